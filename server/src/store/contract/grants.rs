use super::world::{RESOURCE, World, app, family_id, hash, key, new_family, receipt, scope, user};
use crate::{
    oauth::{
        code::Redeemed,
        grant::{EndReason, Family, Grant},
        installation::Slot,
        recovery::{PERIOD, RecoveryRecord},
    },
    people::role::Role,
    store::{
        NewFamily,
        Written::{self, Done, Raced},
    },
};

const CURRENT: Option<(Slot, &str)> = Some((Slot::Current, "key"));

async fn grant(world: &World, id: &str) -> Grant {
    world.store.grant(id).await.expect("reads").expect("a grant")
}

async fn family(world: &World, name: &str) -> Family {
    world.store.family(&family_id(name)).await.expect("reads").expect("a family")
}

async fn redeemed(world: &World, code: &str) -> Redeemed {
    let code = world.store.code(&hash(code)).await.expect("reads").expect("a code");
    code.redeemed.expect("a redeemed code")
}

pub async fn redemptions(world: World) {
    world.register("shop", "key").await;
    let grant_id = world.approved("code", "shop", "acme", CURRENT).await;
    let new = new_family("family", &grant_id, Some("key"));
    let redemption = world.redemption("code", new, true);
    assert_eq!(world.redeem(redemption.clone()).await, Done);
    let expected = Family {
        id: family_id("family"),
        grant: Grant { redeemed_at: Some(world.now()), ..grant(&world, &grant_id).await },
        scope: scope(),
        resource: RESOURCE.to_owned(),
        key: Some(key("key")),
        generation: 1,
        token_hash: hash("family 1"),
        receipt: None,
        expires_at: None,
        revoked_at: None,
        successor: None,
    };
    assert_eq!(family(&world, "family").await, expected);
    let given = Redeemed {
        family: family_id("family"),
        key: Some(key("key")),
        untouched: true,
        receipt: Some(receipt("code", world.now())),
    };
    assert_eq!(redeemed(&world, "code").await, given);
    assert_eq!(world.store.redeemed_grant("shop").await.expect("reads"), Some(expected.grant));
    assert_eq!(world.store.granted_scope(&grant_id).await.expect("reads"), scope());
    assert_eq!(world.redeem(redemption).await, Raced);
    assert_eq!(world.store.family(&family_id("unknown")).await.expect("reads"), None);

    // An answer that is not kept.
    world.add_app(app("app")).await;
    let grant_id = world.approved("bearer code", "app", "acme", None).await;
    let expires_at = Some(world.now() + 90);
    let new = NewFamily { expires_at, ..new_family("bearer", &grant_id, None) };
    let mut redemption = world.redemption("bearer code", new, false);
    redemption.receipt = None;
    assert_eq!(world.redeem(redemption).await, Done);
    let bearer = family(&world, "bearer").await;
    assert_eq!((bearer.key, bearer.expires_at), (None, expires_at));
    let given = redeemed(&world, "bearer code").await;
    assert_eq!((given.key, given.receipt), (None, None));
}

pub async fn redemptions_refused(world: World) {
    world.register("shop", "key").await;
    let grant_id = world.approved("code", "shop", "acme", CURRENT).await;
    let attempt =
        |code: &str| world.redemption(code, new_family("family", &grant_id, Some("key")), true);
    assert_eq!(world.redeem(attempt("unknown")).await, Raced);
    let mut late = attempt("code");
    late.now = world.now() + 60;
    assert_eq!(world.redeem(late).await, Raced);
    assert_eq!(world.store.family(&family_id("family")).await.expect("reads"), None);
    assert_eq!(grant(&world, &grant_id).await.redeemed_at, None);

    world.end_grant(&grant_id, EndReason::Revoked).await;
    assert_eq!(world.redeem(attempt("code")).await, Raced);
    assert_eq!(world.store.redeemed_grant("shop").await.expect("reads"), None);
}

pub async fn sole_clients_have_one_family(world: World) {
    world.register("shop", "key").await;
    world.register("neighbour", "key").await;
    let neighbours = world.connected("neighbour", "neighbour", "acme", "key").await;
    let acme = world.connected("first", "shop", "acme", "key").await;

    assert_eq!(world.connected("second", "shop", "acme", "key").await, acme);
    assert!(!world.is_good(&acme, "first").await);
    assert!(world.is_good(&acme, "second").await);

    // Of two approvals that wait, the one that is redeemed first ends the other.
    let late = world.approved("late", "shop", "acme", CURRENT).await;
    let bolt = world.connected("third", "shop", "bolt", "key").await;
    assert!(!world.is_good(&acme, "second").await);
    let late = world.redemption("late", new_family("late", &late, Some("key")), true);
    assert_eq!(world.redeem(late).await, Raced);
    assert!(grant(&world, &acme).await.revoked_at.is_some());
    assert!(world.is_good(&bolt, "third").await);
    let standing = world.store.redeemed_grant("shop").await.expect("reads");
    assert_eq!(standing.map(|grant| grant.id), Some(bolt));
    assert!(world.is_good(&neighbours, "neighbour").await);

    world.add_app(app("app")).await;
    let acme = world.authorized("one", "app", "acme").await;
    assert_eq!(world.authorized("two", "app", "acme").await, acme);
    let bolt = world.authorized("three", "app", "bolt").await;
    for (grant, family) in [(&acme, "one"), (&acme, "two"), (&bolt, "three")] {
        assert!(world.is_good(grant, family).await, "{family}");
    }
}

pub async fn connected_companies(world: World) {
    world.add_app(app("app")).await;
    world.add_app(app("other")).await;
    assert!(world.store.add_user(user("ben"), world.now()).await.expect("adds"));
    world.store.add_membership("ben", "acme", Role::Support).await.expect("adds");
    let check = async |client: &str, user: &str, expected: &[&str]| {
        let connected = world.store.connected_companies(client, user).await.expect("reads");
        assert_eq!(connected, expected, "{client} {user}");
    };
    let acme = world.authorized("one", "app", "acme").await;
    world.authorized("two", "app", "bolt").await;
    world.approved("unredeemed", "other", "acme", None).await;
    check("app", "ben", &["acme"]).await;
    check("app", "nobody", &[]).await;
    check("other", "ben", &[]).await;
    world.end_grant(&acme, EndReason::Revoked).await;
    check("app", "ben", &[]).await;
}

pub async fn rotations(world: World) {
    world.register("shop", "key").await;
    world.connected("family", "shop", "acme", "key").await;
    world.advance(7);
    let mut rotation = world.rotation("family", 1, 2);
    rotation.expires_at = Some(world.now() + 90);
    assert_eq!(world.rotate(rotation).await, Done);
    let rotated = family(&world, "family").await;
    assert_eq!((rotated.generation, rotated.token_hash), (2, hash("family 2")));
    assert_eq!(rotated.receipt, Some(receipt("family 2", world.now())));
    assert_eq!(rotated.expires_at, Some(world.now() + 90));

    // An answer without a key of its own, and one that is not kept.
    let mut rotation = world.rotation("family", 2, 3);
    rotation.receipt.as_mut().expect("a receipt").idempotency = None;
    assert_eq!(world.rotate(rotation).await, Done);
    let kept = family(&world, "family").await.receipt.expect("a receipt");
    assert_eq!(kept.idempotency, None);
    let mut rotation = world.rotation("family", 3, 4);
    rotation.receipt = None;
    assert_eq!(world.rotate(rotation).await, Done);
    assert_eq!(family(&world, "family").await.receipt, None);

    // A family that was behind its client.
    assert_eq!(world.rotate(world.rotation("family", 4, 40)).await, Done);
    assert_eq!(family(&world, "family").await.generation, 40);
}

pub async fn rotations_refused(world: World) {
    world.register("shop", "key").await;
    let grant_id = world.connected("family", "shop", "acme", "key").await;
    assert_eq!(world.rotate(world.rotation("family", 1, 2)).await, Done);
    let before = family(&world, "family").await;
    for (from, to) in [(1, 2), (3, 4)] {
        assert_eq!(world.rotate(world.rotation("family", from, to)).await, Raced);
    }
    assert_eq!(world.rotate(world.rotation("unknown", 1, 2)).await, Raced);
    assert_eq!(family(&world, "family").await, before);

    world.end_family("family", EndReason::Revoked).await;
    assert_eq!(world.rotate(world.rotation("family", 2, 3)).await, Raced);
    world.connected("next", "shop", "acme", "key").await;
    world.end_grant(&grant_id, EndReason::Revoked).await;
    assert_eq!(world.rotate(world.rotation("next", 1, 2)).await, Raced);
}

pub async fn untouched_until_used(world: World) {
    world.register("shop", "key").await;
    let grant_id = world.connected("used", "shop", "acme", "key").await;
    assert!(redeemed(&world, "used").await.untouched);
    world.rotate(world.rotation("used", 1, 2)).await;
    assert!(!redeemed(&world, "used").await.untouched);

    world.connected("ended", "shop", "acme", "key").await;
    world.end_family("ended", EndReason::CodeReuse).await;
    assert!(!redeemed(&world, "ended").await.untouched);

    world.connected("withdrawn", "shop", "acme", "key").await;
    world.end_grant(&grant_id, EndReason::Revoked).await;
    assert!(!redeemed(&world, "withdrawn").await.untouched);
}

pub async fn own_grants(world: World) {
    world.add_app(app("app")).await;
    world.add_app(app("other")).await;
    let own = |client: &'static str, id: &'static str| {
        let (store, now) = (world.store.clone(), world.now());
        async move {
            store.own_grant(client, "acme", id, &scope(), now).await.expect("finds or makes").id
        }
    };
    assert_eq!(own("app", "first").await, "first");
    assert_eq!(own("app", "second").await, "first");
    assert_eq!(own("other", "third").await, "third");
    let made = grant(&world, "first").await;
    assert_eq!((made.company_id.as_str(), made.redeemed_at), ("acme", Some(world.now())));
    assert_eq!(world.store.granted_scope("first").await.expect("reads"), scope());
    world.end_grant("first", EndReason::Revoked).await;
    assert_eq!(own("app", "fourth").await, "fourth");
}

pub async fn reuses(world: World) {
    world.register("shop", "key").await;
    world.connected("first", "shop", "acme", "key").await;
    let reuses = || async { world.store.reuses("shop").await.expect("reads") };
    let after_reuse = || async {
        let recoveries = world.store.recoveries("shop", world.now() - PERIOD).await.expect("reads");
        recoveries.iter().map(|recovery| recovery.after_reuse).collect::<Vec<_>>()
    };
    let end = |family: &'static str, reason| world.end_family(family, reason);
    world.advance(10);
    end("first", EndReason::Revoked).await;
    // It ended already, and for another reason.
    end("first", EndReason::RefreshReuse).await;
    assert_eq!(reuses().await, []);

    world.connected("second", "shop", "acme", "key").await;
    world.advance(10);
    end("second", EndReason::RefreshReuse).await;
    let (first_reuse, grant) = (world.now(), world.approved("code", "shop", "acme", CURRENT).await);
    assert_eq!(reuses().await, [first_reuse]);
    let recovery = world.recovery("recovered", "shop", &grant, 0);
    assert_eq!(world.store.recover(recovery).await.expect("recovers"), Done);
    assert_eq!(after_reuse().await, [true]);
    world.advance(10);
    end("recovered", EndReason::RefreshReuse).await;
    assert_eq!(reuses().await, [world.now(), first_reuse]);
    assert_eq!(world.store.reuses("other").await.expect("reads"), []);

    // An approval that was redeemed makes a fresh start, for whatever company it is.
    world.connected("fresh", "shop", "bolt", "key").await;
    assert_eq!((reuses().await, after_reuse().await), (vec![], vec![false]));

    // All of it within one second: before, after, and after the merchant.
    let bolt = world.connected("early", "shop", "bolt", "key").await;
    let recover = async |name, counted| {
        let recovery = world.recovery(name, "shop", &bolt, counted);
        assert_eq!(world.store.recover(recovery).await.expect("recovers"), Done);
    };
    recover("before", 1).await;
    end("before", EndReason::RefreshReuse).await;
    recover("after", 2).await;
    assert_eq!(reuses().await, [world.now()]);
    let mut told = after_reuse().await;
    told.sort_unstable();
    assert_eq!(told, [false, false, true]);
    world.connected("late", "shop", "bolt", "key").await;
    assert_eq!((reuses().await, after_reuse().await), (vec![], vec![false; 3]));
}

pub async fn recoveries(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("lost", "shop", "acme", "key").await;
    let recover = |name: &'static str, counted| {
        let (store, recovery) =
            (world.store.clone(), world.recovery(name, "shop", &grant, counted));
        async move { store.recover(recovery).await.expect("recovers") }
    };
    let listed = || async {
        let since = world.now() - PERIOD;
        world.store.recoveries("shop", since).await.expect("reads")
    };
    let record = |name: &str, at, untouched| RecoveryRecord {
        idempotency: hash(name),
        at,
        receipt: receipt(name, at),
        untouched,
        after_reuse: false,
    };
    assert_eq!(listed().await, []);
    let start = world.now();
    assert_eq!(recover("one", 0).await, Done);
    assert!(!world.is_good(&grant, "lost").await);
    assert!(world.is_good(&grant, "one").await);
    assert_eq!(listed().await, [record("one", start, true)]);

    world.advance(5);
    assert_eq!(recover("two", 1).await, Done);
    assert!(!world.is_good(&grant, "one").await);
    let both = [record("two", world.now(), true), record("one", start, false)];
    assert_eq!(listed().await, both);
    world.rotate(world.rotation("two", 1, 2)).await;
    assert!(!listed().await[0].untouched);

    // A day later it counts no longer, and its Idempotency-Key is free again.
    world.advance(PERIOD - 5);
    assert_eq!(listed().await.len(), 1);
    let mut again = world.recovery("one again", "shop", &grant, 1);
    again.idempotency = hash("one");
    assert_eq!(world.store.recover(again).await.expect("recovers"), Done);
    assert_eq!(listed().await.len(), 2);
}

pub async fn recovery_refused(world: World) {
    world.register("shop", "key").await;
    let grant = world.approved("code", "shop", "acme", CURRENT).await;
    let attempt = |counted| world.recovery("recovered", "shop", &grant, counted);
    let recover = |recovery| async { world.store.recover(recovery).await.expect("decides") };
    // No code of the grant was redeemed: nobody has shown that it reached the store.
    assert_eq!(recover(attempt(0)).await, Raced);
    let redemption = world.redemption("code", new_family("family", &grant, Some("key")), true);
    assert_eq!(world.redeem(redemption).await, Done);
    // Somebody else recovered meanwhile.
    assert_eq!(recover(attempt(1)).await, Raced);
    assert!(world.is_good(&grant, "family").await);

    world.end_grant(&grant, EndReason::Revoked).await;
    assert_eq!(recover(attempt(0)).await, Raced);
    assert_eq!(world.store.family(&family_id("recovered")).await.expect("reads"), None);
    let since = world.now() - PERIOD;
    assert_eq!(world.store.recoveries("shop", since).await.expect("reads"), []);
}

pub async fn recovery_leaves_a_pending_approval(world: World) {
    world.register("shop", "key").await;
    let acme = world.connected("lost", "shop", "acme", "key").await;
    let bolt = world.approved("code", "shop", "bolt", CURRENT).await;
    let recovery = world.recovery("recovered", "shop", &acme, 0);
    assert_eq!(world.store.recover(recovery).await.expect("recovers"), Done);
    let redemption = world.redemption("code", new_family("next", &bolt, Some("key")), true);
    let outcome: Written = world.redeem(redemption).await;
    assert_eq!(outcome, Done);
    assert!(world.is_good(&bolt, "next").await);
    assert!(!world.is_good(&acme, "recovered").await);
}

/// Families that ended are forgotten in time, and not those whose reuse still counts.
pub async fn ended_families(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("revoked", "shop", "acme", "key").await;
    world.end_family("revoked", EndReason::Revoked).await;
    world.connected("reused", "shop", "acme", "key").await;
    world.end_family("reused", EndReason::RefreshReuse).await;
    world.advance(1);
    let known =
        async |name: &str| world.store.family(&family_id(name)).await.expect("reads").is_some();
    let forget = async |before| world.store.forget_ended(before).await.expect("forgets");
    forget(world.now() - 1).await;
    assert!(known("revoked").await && known("reused").await);
    forget(world.now()).await;
    assert!(!known("revoked").await && known("reused").await);
    assert_eq!(world.connected("standing", "shop", "acme", "key").await, grant);
    forget(world.now()).await;
    assert!(!known("reused").await && known("standing").await);
    assert!(world.is_good(&grant, "standing").await);
}
