//! Every way in which an access token stops being good.

use super::world::{World, app, family_id, scope, staging};
use crate::{
    audit::Actor,
    oauth::{grant::EndReason, installation::Slot},
    store::AccessStanding::{self, Ended, Good},
};

/// A store with a standing family; answers its grant.
async fn standing(world: &World) -> String {
    world.register("shop", "key").await;
    let grant = world.connected("family", "shop", "acme", "key").await;
    assert_eq!(world.standing(&grant, Some("family")).await, Good);
    grant
}

async fn check(world: &World, grant: &str, expected: AccessStanding) {
    assert_eq!(world.standing(grant, Some("family")).await, expected);
}

pub async fn by_end_of_family(world: World) {
    let grant = standing(&world).await;
    let end = |reason| world.end_family("family", reason);
    end(EndReason::RefreshReuse).await;
    check(&world, &grant, Ended).await;
    // The first end stays.
    let ended_at = world.now();
    world.advance(5);
    end(EndReason::Revoked).await;
    let family = world.store.family(&family_id("family")).await.expect("reads");
    assert_eq!(family.expect("a family").revoked_at, Some(ended_at));
    // The grant stands: the next family is as good as the first was.
    assert_eq!(world.connected("next", "shop", "acme", "key").await, grant);
    assert!(world.is_good(&grant, "next").await);
    end(EndReason::Revoked).await;
    assert!(world.is_good(&grant, "next").await);
}

pub async fn by_end_of_grant(world: World) {
    let grant = standing(&world).await;
    world.approved("pending", "shop", "acme", Some((Slot::Current, "key"))).await;
    for _ in 0..2 {
        world.end_grant(&grant, EndReason::Revoked).await;
        world.advance(1);
    }
    check(&world, &grant, Ended).await;
    assert_eq!(world.standing(&grant, None).await, Ended);
    let ended_at = Some(world.now() - 2);
    let found = world.store.grant(&grant).await.expect("reads").expect("a grant");
    assert_eq!(found.revoked_at, ended_at);
    let family = world.store.family(&family_id("family")).await.expect("reads");
    assert_eq!(family.expect("a family").revoked_at, ended_at);
    for code in ["family", "pending"] {
        let code = world.store.code(&super::world::hash(code)).await.expect("reads");
        assert_eq!(code.expect("a code").revoked_at, ended_at);
    }
    assert_ne!(world.connected("next", "shop", "acme", "key").await, grant);
    world
        .store
        .end_grant("unknown", EndReason::Revoked, &Actor::System, world.now())
        .await
        .expect("ends nothing");
}

pub async fn by_expiry(world: World) {
    const LIFETIME: i64 = 90 * 24 * 3600;
    world.add_app(app("app")).await;
    let grant = world.authorized("family", "app", "acme").await;
    world.advance(LIFETIME - 1);
    check(&world, &grant, Good).await;
    world.advance(1);
    check(&world, &grant, Ended).await;
}

pub async fn by_promotion(world: World) {
    let grant = standing(&world).await;
    world.change("shop", Some("key"), staging("new", None, world.now())).await;
    check(&world, &grant, Good).await;
    world.show("page", "shop", None).await;
    check(&world, &grant, Good).await;
    world.approve(world.approval("page", "shop", "acme", Some((Slot::Staged, "new")))).await;
    check(&world, &grant, Ended).await;
    assert_eq!(world.standing(&grant, None).await, Good);
}

pub async fn by_release(world: World) {
    let grant = standing(&world).await;
    world.store.release("shop", &Actor::System, world.now()).await.expect("releases");
    check(&world, &grant, Ended).await;
    assert_eq!(world.standing(&grant, None).await, Ended);
}

pub async fn by_reset(world: World) {
    let grant = standing(&world).await;
    world.store.reset(world.reset("shop", "reset")).await.expect("resets");
    check(&world, &grant, Ended).await;
    assert_eq!(world.standing(&grant, None).await, Ended);
}

pub async fn by_revoked_access(world: World) {
    let grant = standing(&world).await;
    for _ in 0..2 {
        world.store.revoke_access("other", world.now() + 3600).await.expect("revokes");
    }
    check(&world, &grant, Good).await;
    world.store.revoke_access("jti", world.now() + 3600).await.expect("revokes");
    check(&world, &grant, Ended).await;
    assert_eq!(world.standing(&grant, None).await, Ended);
    let family = family_id("family");
    let next = world.store.standing("next", &grant, Some(&family), world.now()).await;
    assert_eq!(next.expect("reads"), Good);
}

pub async fn of_another_grant(world: World) {
    let grant = standing(&world).await;
    world.register("neighbour", "key").await;
    let neighbours = world.connected("neighbour", "neighbour", "acme", "key").await;
    assert_eq!(world.standing(&neighbours, Some("family")).await, Ended);
    assert_eq!(world.standing(&grant, Some("neighbour")).await, Ended);
    assert_eq!(world.standing(&grant, Some("unknown")).await, Ended);
    assert_eq!(world.standing("unknown", Some("family")).await, Ended);
    assert_eq!(world.standing("unknown", None).await, Ended);
}

pub async fn of_own_grants(world: World) {
    world.add_app(app("app")).await;
    let scope = scope();
    let own = world.store.own_grant("app", "acme", "own", &scope, world.now());
    let own = own.await.expect("makes").id;
    assert_eq!(world.standing(&own, None).await, Good);
    world.end_grant(&own, EndReason::Revoked).await;
    assert_eq!(world.standing(&own, None).await, Ended);
}
