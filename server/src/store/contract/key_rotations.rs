//! A new key in the place of an old one: all of it or nothing, and only one may.

use super::world::{
    RACERS, ROUNDS, World, change, count, family_id, hash, key, new_family, race, receipt, staging,
};
use crate::{
    oauth::{
        grant::{EndReason, Family},
        installation::{Change, Slot},
    },
    store::{
        ApproveOutcome, KeyRotation, RegisterOutcome,
        Written::{self, Done, Raced},
    },
};

/// The store `client_id` goes from `key` and the family `ended`, at its first generation, to `new_key` and the family
/// of the same name.
fn rotation(
    world: &World,
    client_id: &str,
    grant: &str,
    ended: &str,
    new_key: &str,
) -> KeyRotation {
    KeyRotation {
        client_id: client_id.to_owned(),
        ended: family_id(ended),
        generation: 1,
        old_key: key("key"),
        family: new_family(new_key, grant, Some(new_key)),
        receipt: receipt(new_key, world.now()),
        now: world.now(),
    }
}

async fn rotate(world: &World, rotation: KeyRotation) -> Written {
    world.store.rotate_key(rotation).await.expect("decides")
}

async fn recover(world: &World, name: &str, client_id: &str, grant: &str, signed: &str) -> Written {
    let mut recovery = world.recovery(name, client_id, grant, 0);
    recovery.family.key = Some(key(signed));
    world.store.recover(recovery).await.expect("decides")
}

async fn family(world: &World, name: &str) -> Option<Family> {
    world.store.family(&family_id(name)).await.expect("reads")
}

pub async fn rotated(world: World) {
    world.register("shop", "key").await;
    world.register("neighbour", "key").await;
    let grant = world.connected("old", "shop", "acme", "key").await;
    let neighbours = world.connected("neighbour", "neighbour", "acme", "key").await;
    let before = family(&world, "old").await.expect("a family");
    world.advance(7);
    assert_eq!(rotate(&world, rotation(&world, "shop", &grant, "old", "new")).await, Done);

    let ended = Family {
        revoked_at: Some(world.now()),
        successor: Some(family_id("new")),
        ..before.clone()
    };
    assert_eq!(family(&world, "old").await, Some(ended));
    let next = Family {
        id: family_id("new"),
        key: Some(key("new")),
        token_hash: hash("new 1"),
        receipt: Some(receipt("new", world.now())),
        ..before
    };
    assert_eq!(family(&world, "new").await, Some(next));
    assert!(world.is_good(&grant, "new").await);
    assert!(!world.is_good(&grant, "old").await);
    assert_eq!(world.installation("shop").await.key, Some(key("new")));
    assert_eq!(world.installation("neighbour").await.key, Some(key("key")));
    assert!(world.is_good(&neighbours, "neighbour").await);
    // Nobody has used anything twice.
    assert_eq!(world.store.reuses("shop").await.expect("reads"), []);

    let world = world.opened_again();
    assert!(world.is_good(&grant, "new").await);
    assert_eq!(world.installation("shop").await.key, Some(key("new")));
    assert_eq!(rotate(&world, rotation(&world, "shop", &grant, "old", "late")).await, Raced);
    // The receipt goes when the family is refreshed.
    assert_eq!(world.rotate(world.rotation("new", 1, 2)).await, Done);
    let used = family(&world, "new").await.expect("a family").receipt;
    assert_eq!(used, Some(receipt("new 2", world.now())));
}

/// Whatever the old key could still have opened.
pub async fn the_old_key_opens_nothing(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("old", "shop", "acme", "key").await;
    let current = Some((Slot::Current, "key"));
    let pending = world.approved("pending", "shop", "acme", current).await;
    world.show("page", "shop", None).await;
    world.show("staged page", "shop", None).await;
    let (address, now) = (super::world::address("elsewhere"), world.now());
    world.change("shop", Some("key"), staging("staged", Some(address), now)).await;
    assert_eq!(rotate(&world, rotation(&world, "shop", &grant, "old", "new")).await, Done);

    let installation = world.installation("shop").await;
    assert_eq!((installation.key, installation.staged), (Some(key("new")), None));
    let redemption = world.redemption("pending", new_family("late", &pending, Some("key")), true);
    assert_eq!(world.redeem(redemption).await, Raced);
    for (page, slot, name) in
        [("page", Slot::Current, "key"), ("staged page", Slot::Staged, "staged")]
    {
        let approval = world.approval(page, "shop", "acme", Some((slot, name)));
        assert_eq!(world.approve(approval).await, ApproveOutcome::KeyGone, "{page}");
    }
    let stage = change("shop", Some("key"), staging("again", None, now), now);
    assert_eq!(world.store.register(stage).await.expect("decides"), RegisterOutcome::Raced);
    assert_eq!(recover(&world, "recovered", "shop", &grant, "key").await, Raced);
    assert!(world.is_good(&grant, "new").await);

    assert_eq!(recover(&world, "recovered", "shop", &grant, "new").await, Done);
    assert!(world.is_good(&grant, "recovered").await);
    world.change("shop", Some("new"), Change::Refresh).await;
    assert_eq!(world.connected("next", "shop", "acme", "new").await, grant);
}

pub async fn refused(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("old", "shop", "acme", "key").await;
    let attempt = || rotation(&world, "shop", &grant, "old", "new");
    let (client, before) = (world.client("shop").await, family(&world, "old").await);
    for overtaken in [
        KeyRotation { generation: 2, ..attempt() },
        KeyRotation { old_key: key("other"), ..attempt() },
        KeyRotation { ended: family_id("unknown"), ..attempt() },
        KeyRotation { client_id: "unknown".to_owned(), ..attempt() },
    ] {
        assert_eq!(rotate(&world, overtaken).await, Raced);
    }
    let keyless = KeyRotation { family: new_family("new", &grant, None), ..attempt() };
    assert!(world.store.rotate_key(keyless).await.is_err());
    assert_eq!(world.client("shop").await, client);
    assert_eq!(family(&world, "old").await, before);
    assert_eq!(family(&world, "new").await, None);

    world.end_family("old", EndReason::RefreshReuse).await;
    assert_eq!(rotate(&world, attempt()).await, Raced);
    world.connected("again", "shop", "acme", "key").await;
    world.end_grant(&grant, EndReason::Revoked).await;
    let withdrawn = KeyRotation { ended: family_id("again"), ..attempt() };
    assert_eq!(rotate(&world, withdrawn).await, Raced);
    world.store.reset(world.reset("shop", "reset")).await.expect("resets");
    assert_eq!(rotate(&world, attempt()).await, Raced);
    assert_eq!(world.installation("shop").await.key, None);
}

/// A store of its own for each round; answers its grant.
async fn connected(world: &World, shop: &str) -> String {
    world.register(shop, "key").await;
    world.connected(&format!("{shop} old"), shop, "acme", "key").await
}

pub async fn of_many(world: World) {
    for round in 0..ROUNDS {
        let shop = format!("shop {round}");
        let grant = connected(&world, &shop).await;
        let name = |racer| format!("{shop} new {racer}");
        let outcomes = race((0..RACERS).map(|racer| {
            let attempt = rotation(&world, &shop, &grant, &format!("{shop} old"), &name(racer));
            let world = world.clone();
            async move { rotate(&world, attempt).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &Done), 1, "round {round}");
        for (racer, outcome) in outcomes.iter().enumerate() {
            assert_eq!(world.is_good(&grant, &name(racer)).await, *outcome == Done);
        }
        let winner = outcomes.iter().position(|outcome| *outcome == Done).expect("a winner");
        assert_eq!(world.installation(&shop).await.key, Some(key(&name(winner))));
    }
}

/// A refresh of the same family: exactly one of both is written.
pub async fn against_refreshes(world: World) {
    for round in 0..ROUNDS {
        let shop = format!("shop {round}");
        let grant = connected(&world, &shop).await;
        let (old, new) = (format!("{shop} old"), format!("{shop} new"));
        let outcomes = race((0..RACERS).map(|racer| {
            let world = world.clone();
            let refresh = world.rotation(&old, 1, 2);
            let change = rotation(&world, &shop, &grant, &old, &new);
            async move {
                if racer % 2 == 0 {
                    world.rotate(refresh).await
                } else {
                    rotate(&world, change).await
                }
            }
        }))
        .await;
        assert_eq!(count(&outcomes, &Done), 1, "round {round}");
        let refreshed = outcomes.iter().step_by(2).any(|outcome| *outcome == Done);
        assert_eq!(world.is_good(&grant, &old).await, refreshed);
        assert_eq!(world.is_good(&grant, &new).await, !refreshed);
        let in_force = if refreshed { "key" } else { new.as_str() };
        assert_eq!(world.installation(&shop).await.key, Some(key(in_force)));
    }
}

/// A recovery by the old key, and an approval of a key that was staged before: whoever wins, the family that stands is
/// bound to the key in force.
pub async fn against_recoveries_and_approvals(world: World) {
    for round in 0..ROUNDS {
        let shop = format!("shop {round}");
        let grant = connected(&world, &shop).await;
        world.change(&shop, Some("key"), staging("staged", None, world.now())).await;
        let name = |what: &str| format!("{shop} {what}");
        world.show(&name("page"), &shop, None).await;
        let (approves, (old, new, recovered)) =
            (round % 2 == 0, (name("old"), name("new"), name("recovered")));
        let outcomes = race([false, true].map(|changes| {
            let (world, shop, grant) = (world.clone(), shop.clone(), grant.clone());
            let change = rotation(&world, &shop, &grant, &old, &new);
            let slot = Some((Slot::Staged, "staged"));
            let approval = world.approval(&name("page"), &shop, "acme", slot);
            let recovered = recovered.clone();
            async move {
                if changes {
                    rotate(&world, change).await == Done
                } else if approves {
                    matches!(world.approve(approval).await, ApproveOutcome::Approved { .. })
                } else {
                    recover(&world, &recovered, &shop, &grant, "key").await == Done
                }
            }
        }))
        .await;
        assert_eq!(count(&outcomes, &true), 1, "round {round}");
        let in_force = world.installation(&shop).await.key;
        for name in [old, new, recovered] {
            let standing = family(&world, &name).await.filter(|family| family.stands(world.now()));
            assert!(standing.is_none_or(|family| family.key == in_force), "{name}");
        }
    }
}
