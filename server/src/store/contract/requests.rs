use super::world::{
    World, address, app, family_id, hash, key, new_family, request, scope, staging,
};
use crate::{
    oauth::{
        code::Code,
        grant::Grant,
        installation::{STAGED_LIFETIME, Slot},
    },
    people::role::{Act, Role},
    store::{
        Approval,
        ApproveOutcome::{self, AlreadyDecided, Approved, KeyGone, NotAllowed},
        PushedRequest, Written,
    },
};

const CURRENT: Option<(Slot, &str)> = Some((Slot::Current, "key"));

async fn push(world: &World, name: &str) -> PushedRequest {
    let pushed =
        PushedRequest { hash: hash(name), request: request("shop"), expires_at: world.now() + 300 };
    world.store.push_request(pushed.clone()).await.expect("pushes");
    pushed
}

pub async fn pushed_requests(world: World) {
    world.register("shop", "key").await;
    let pushed = push(&world, "pushed").await;
    let find = |after| {
        let (store, now) = (world.store.clone(), world.now());
        async move { store.pushed_request(&hash("pushed"), now + after).await.expect("reads") }
    };
    // Looking does not spend it.
    for _ in 0..2 {
        assert_eq!(find(0).await, Some(pushed.clone()));
    }
    assert!(find(299).await.is_some());
    assert_eq!(find(300).await, None);
    let other = world.store.pushed_request(&hash("other"), world.now()).await.expect("reads");
    assert_eq!(other, None);

    world.show("page", "shop", Some("pushed")).await;
    assert!(find(0).await.is_some());
    let mut approval = world.approval("page", "shop", "acme", CURRENT);
    approval.pushed = Some(hash("pushed"));
    assert!(matches!(world.approve(approval).await, ApproveOutcome::Approved { .. }));
    assert_eq!(find(0).await, None);

    // A second page of the same request finds it spent, and its own decision is not taken.
    world.show("second", "shop", Some("pushed")).await;
    let mut approval = world.approval("second", "shop", "acme", CURRENT);
    approval.pushed = Some(hash("pushed"));
    assert_eq!(world.approve(approval).await, AlreadyDecided);
    assert_eq!(world.store.code(&hash("second")).await.expect("reads"), None);
}

pub async fn consents(world: World) {
    world.register("shop", "key").await;
    world.show("page", "shop", Some("pushed")).await;
    let page = world.store.consent(&hash("page"), world.now() + 599).await.expect("reads");
    let page = page.expect("a page");
    assert_eq!((page.hash, page.session_hash), (hash("page"), hash("session")));
    assert_eq!((page.user_id.as_str(), page.pushed), ("ann", Some(hash("pushed"))));
    assert_eq!((page.request, page.expires_at), (request("shop"), world.now() + 600));
    assert_eq!(world.store.consent(&hash("page"), world.now() + 600).await.expect("reads"), None);
    assert_eq!(world.store.consent(&hash("other"), world.now()).await.expect("reads"), None);
}

pub async fn approved(world: World) {
    world.register("shop", "key").await;
    let grant_id = world.approved("page", "shop", "acme", CURRENT).await;
    assert_eq!(grant_id, "grant page");
    let grant = Grant {
        id: grant_id.clone(),
        client_id: "shop".to_owned(),
        company_id: "acme".to_owned(),
        company_name: "acme inc.".to_owned(),
        redeemed_at: None,
        revoked_at: None,
    };
    assert_eq!(world.store.grant(&grant_id).await.expect("reads"), Some(grant.clone()));
    let approval = world.approval("page", "shop", "acme", CURRENT);
    let code = Code {
        hash: hash("page"),
        grant,
        redirect_uri: approval.code.redirect_uri.clone(),
        challenge: approval.code.challenge.clone(),
        scope: scope(),
        resource: approval.code.resource.clone(),
        key: Some(key("key")),
        user_id: "ann".to_owned(),
        expires_at: world.now() + 60,
        revoked_at: None,
        redeemed: None,
    };
    assert_eq!(world.store.code(&hash("page")).await.expect("reads"), Some(code));
    assert_eq!(world.store.code(&hash("other")).await.expect("reads"), None);
    assert_eq!(world.installation("shop").await.approved_at, Some(world.now()));
    assert_eq!(world.store.consent(&hash("page"), world.now()).await.expect("reads"), None);
    // Nothing was redeemed, so there is nothing to recover.
    assert_eq!(world.store.redeemed_grant("shop").await.expect("reads"), None);

    let first = world.now();
    world.advance(5);
    world.approved("again", "shop", "acme", CURRENT).await;
    assert_eq!(world.installation("shop").await.approved_at, Some(first));
}

pub async fn approvals_by_whoever_may_not(world: World) {
    world.register("shop", "key").await;
    world.show("page", "shop", None).await;
    let (store, approval) = (&world.store, || world.approval("page", "shop", "acme", CURRENT));
    for role in Role::ALL {
        // The page was open while the role was changed.
        store.add_membership("ann", "acme", role).await.expect("changes");
        if !role.may(Act::Approve) {
            assert_eq!(world.approve(approval()).await, NotAllowed, "{role:?}");
        }
    }
    let stranger = Approval { user_id: "eve".to_owned(), ..approval() };
    assert_eq!(world.approve(stranger).await, NotAllowed);
    store.add_membership("ann", "acme", Role::Owner).await.expect("changes");
    assert!(matches!(world.approve(approval()).await, Approved { .. }));
}

pub async fn approvals_refused(world: World) {
    world.register("shop", "key").await;
    let staged_at = world.now();
    world.change("shop", Some("key"), staging("new", None, staged_at)).await;
    world.show("page", "shop", None).await;
    let at = |slot, name| world.approval("page", "shop", "acme", Some((slot, name)));

    let mut other_callback = at(Slot::Current, "key");
    other_callback.code.redirect_uri = address("elsewhere").redirect_uri;
    let mut other_staged_callback = at(Slot::Staged, "new");
    other_staged_callback.code.redirect_uri = address("elsewhere").redirect_uri;
    let mut too_late = at(Slot::Staged, "new");
    too_late.now = staged_at + STAGED_LIFETIME;
    for gone in [
        at(Slot::Current, "new"),
        at(Slot::Current, "stranger"),
        at(Slot::Staged, "key"),
        at(Slot::Staged, "stranger"),
        other_callback,
        other_staged_callback,
        too_late,
    ] {
        assert_eq!(world.approve(gone).await, KeyGone);
    }
    let mut expired = at(Slot::Current, "key");
    expired.now = world.now() + 600;
    assert_eq!(world.approve(expired).await, AlreadyDecided);
    let mut unknown = at(Slot::Current, "key");
    unknown.consent = hash("unknown");
    assert_eq!(world.approve(unknown).await, AlreadyDecided);

    // None of them spent the page or promoted the key.
    assert!(world.installation("shop").await.staged.is_some());
    let approval = at(Slot::Current, "key");
    assert!(matches!(world.approve(approval.clone()).await, ApproveOutcome::Approved { .. }));
    assert_eq!(world.approve(approval).await, AlreadyDecided);
}

pub async fn denied(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("family", "shop", "acme", "key").await;
    world.change("shop", Some("key"), staging("new", None, world.now())).await;
    push(&world, "pushed").await;
    world.show("page", "shop", Some("pushed")).await;
    let deny = |now| {
        let store = world.store.clone();
        async move { store.deny(&hash("page"), Some(&hash("pushed")), now).await.expect("decides") }
    };
    assert!(!deny(world.now() + 600).await);
    assert!(deny(world.now()).await);
    assert!(!deny(world.now()).await);
    let spent = world.store.pushed_request(&hash("pushed"), world.now()).await.expect("reads");
    assert_eq!(spent, None);
    let approval = world.approval("page", "shop", "acme", Some((Slot::Staged, "new")));
    assert_eq!(world.approve(approval).await, AlreadyDecided);
    assert!(world.is_good(&grant, "family").await);
    assert_eq!(world.installation("shop").await.key, Some(key("key")));

    world.show("plain", "shop", None).await;
    assert!(world.store.deny(&hash("plain"), None, world.now()).await.expect("decides"));
    assert!(!world.store.deny(&hash("plain"), None, world.now()).await.expect("decides"));
}

pub async fn grants_of_companies(world: World) {
    world.register("shop", "key").await;
    world.register("other", "key").await;
    let acme = world.connected("first", "shop", "acme", "key").await;
    assert_eq!(world.approved("again", "shop", "acme", CURRENT).await, acme);
    let bolt = world.approved("bolt", "shop", "bolt", CURRENT).await;
    assert_ne!(bolt, acme);
    assert_ne!(world.approved("other", "other", "acme", CURRENT).await, acme);
    // The key did not change, so the first family lives until a code is redeemed.
    assert!(world.is_good(&acme, "first").await);

    world.add_app(app("app")).await;
    let acme = world.authorized("app acme", "app", "acme").await;
    let bolt = world.authorized("app bolt", "app", "bolt").await;
    assert!(world.is_good(&acme, "app acme").await);
    assert!(world.is_good(&bolt, "app bolt").await);
    assert_eq!(world.approved("app again", "app", "acme", None).await, acme);
}

pub async fn promotions(world: World) {
    world.register("shop", "key").await;
    world.register("neighbour", "key").await;
    let neighbours = world.connected("neighbour", "neighbour", "acme", "key").await;
    let acme = world.connected("family", "shop", "acme", "key").await;
    let bolt = world.approved("old code at bolt", "shop", "bolt", CURRENT).await;
    world.approved("old code", "shop", "acme", CURRENT).await;
    world.change("shop", Some("key"), staging("new", None, world.now())).await;
    assert!(world.is_good(&acme, "family").await);

    let staged = Some((Slot::Staged, "new"));
    assert_eq!(world.approved("new code", "shop", "acme", staged).await, acme);
    let installation = world.installation("shop").await;
    assert_eq!((installation.key, installation.staged), (Some(key("new")), None));
    assert_eq!(installation.site_url, address("shop").site_url);
    assert!(!world.is_good(&acme, "family").await);
    let grant = world.store.grant(&bolt).await.expect("reads").expect("a grant");
    assert!(grant.revoked_at.is_some());
    for code in ["old code", "old code at bolt"] {
        let redemption = world.redemption(code, new_family("old", &acme, Some("key")), true);
        assert_eq!(world.redeem(redemption).await, Written::Raced);
    }
    let redemption = world.redemption("new code", new_family("new", &acme, Some("new")), true);
    assert_eq!(world.redeem(redemption).await, Written::Done);
    assert!(world.is_good(&acme, "new").await);
    assert!(world.is_good(&neighbours, "neighbour").await);

    // The slot is empty now.
    world.show("twice", "shop", None).await;
    assert_eq!(world.approve(world.approval("twice", "shop", "acme", staged)).await, KeyGone);
}

pub async fn promotions_of_moved_stores(world: World) {
    world.register("shop", "key").await;
    let acme = world.connected("family", "shop", "acme", "key").await;
    let moved = staging("key", Some(address("elsewhere")), world.now());
    world.change("shop", Some("key"), moved).await;
    world.show("page", "shop", None).await;
    let mut approval = world.approval("page", "shop", "bolt", Some((Slot::Staged, "key")));
    // The merchant was shown the old address: the move is not what he approves.
    assert_eq!(world.approve(approval.clone()).await, KeyGone);
    approval.code.redirect_uri = address("elsewhere").redirect_uri;
    let ApproveOutcome::Approved { grant_id: bolt } = world.approve(approval).await else {
        panic!("the move was refused")
    };
    let installation = world.installation("shop").await;
    assert_eq!(installation.site_url, address("elsewhere").site_url);
    assert_eq!(installation.redirect_uri, address("elsewhere").redirect_uri);
    assert_eq!((installation.key, installation.staged), (Some(key("key")), None));
    let family = world.store.family(&family_id("family")).await.expect("reads");
    assert!(family.expect("a family").revoked_at.is_some());
    let grant = world.store.grant(&acme).await.expect("reads").expect("a grant");
    assert!(grant.revoked_at.is_some());
    assert_ne!(bolt, acme);
}
