use super::world::{World, app, count, family_id, hash, key, race, staging};
use crate::{
    audit::Actor,
    oauth::{grant::EndReason, installation::Slot},
    store::{AddedApp, ApproveOutcome, Session, Written},
};

pub async fn everything_is_there_again(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("family", "shop", "acme", "key").await;
    world.change("shop", Some("key"), staging("new", None, world.now())).await;
    world.rotate(world.rotation("family", 1, 2)).await;
    world.show("page", "shop", None).await;
    world.approved("code", "shop", "acme", Some((Slot::Current, "key"))).await;
    world.store.revoke_access("revoked", world.now() + 3600).await.expect("revokes");
    world.add_app(app("app")).await;

    let client = world.client("shop").await;
    let family = world.store.family(&family_id("family")).await.expect("reads");
    let code = world.store.code(&hash("code")).await.expect("reads");
    let page = world.store.consent(&hash("page"), world.now()).await.expect("reads");
    assert!(client.is_some() && family.is_some() && code.is_some() && page.is_some());

    let world = world.opened_again();
    assert_eq!(world.client("shop").await, client);
    assert_eq!(world.client("app").await, Some(app("app")));
    assert_eq!(world.store.family(&family_id("family")).await.expect("reads"), family);
    assert_eq!(world.store.code(&hash("code")).await.expect("reads"), code);
    assert_eq!(world.store.consent(&hash("page"), world.now()).await.expect("reads"), page);
    assert!(world.is_good(&grant, "family").await);
    let revoked = world.store.standing("revoked", &grant, None, world.now()).await;
    assert_eq!(revoked.expect("reads"), crate::store::AccessStanding::Ended);
    assert_eq!(world.rotate(world.rotation("family", 2, 3)).await, Written::Done);
}

/// What an operator's command does beside the server is seen by the server, and the other way round.
pub async fn two_at_the_same_place(world: World) {
    let command = world.beside();
    world.register("shop", "key").await;
    let grant = world.connected("family", "shop", "acme", "key").await;
    assert!(command.is_good(&grant, "family").await);
    assert_eq!(command.installation("shop").await.key, Some(key("key")));

    command.end_grant(&grant, EndReason::Revoked).await;
    assert!(!world.is_good(&grant, "family").await);
    assert_eq!(world.rotate(world.rotation("family", 1, 2)).await, Written::Raced);
    assert!(command.store.release("shop", &Actor::System, world.now()).await.expect("releases"));
    assert_eq!(world.client("shop").await, None);

    for round in 0..10 {
        let name = format!("app {round}");
        let both = [world.clone(), command.clone()].map(|world| {
            let app = app(&name);
            async move { world.store.add_app(app, &Actor::System, 100).await.expect("decides") }
        });
        let outcomes = race(both).await;
        assert_eq!(count(&outcomes, &AddedApp::Added), 1);
        assert_eq!(count(&outcomes, &AddedApp::Known), 1);
    }
}

pub async fn errors_leave_nothing(world: World) {
    world.register("shop", "key").await;
    world.show("page", "shop", None).await;
    let slot = Some((Slot::Current, "key"));
    // The page is spent and the approval noted before the grant turns out to be impossible.
    world.add_app(app("app")).await;
    let taken = world.approved("other page", "app", "acme", None).await;
    let mut impossible = world.approval("page", "shop", "acme", slot);
    impossible.new_grant_id = taken;
    assert!(world.store.approve(impossible).await.is_err());
    assert_eq!(world.installation("shop").await.approved_at, None);
    let good = world.approval("page", "shop", "acme", slot);
    assert!(matches!(world.approve(good).await, ApproveOutcome::Approved { .. }));

    assert!(world.store.reset(world.reset("no such store", "reset")).await.is_err());
}

pub async fn one_error_among_many(world: World) {
    let people = ["ann", "nobody", "ann", "nobody", "ann", "ann"];
    let starting = people.into_iter().enumerate().map(|(at, person)| {
        let (store, now) = (world.store.clone(), world.now());
        let session = Session {
            hash: hash(&format!("session {at}")),
            user_id: person.to_owned(),
            expires_at: now + 100,
            half: false,
            proved_at: None,
            browser: String::new(),
            address: String::new(),
            provider: None,
            confirmed_at: None,
        };
        async move { store.start_session(session, now).await.is_ok() }
    });
    let outcomes = race(starting).await;
    assert_eq!(outcomes, [true, false, true, false, true, true]);
    for (at, started) in outcomes.into_iter().enumerate() {
        let found = world.store.session(&hash(&format!("session {at}")), world.now()).await;
        assert_eq!(found.expect("reads").is_some(), started);
    }
}
