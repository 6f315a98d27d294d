use super::world::{World, app, hash, new_family, scope, user};
use crate::{
    audit::Actor,
    oauth::{client::ClientKind, grant::EndReason, installation::Slot},
    people::role::Role,
    store::{ApproveOutcome, Company, HandOver, Membership, Session, User, Written},
};

pub async fn companies(world: World) {
    let store = &world.store;
    let core = Company { id: "core".to_owned(), name: "Core Ltd".to_owned() };
    assert!(store.add_company(core.clone(), world.now()).await.expect("adds"));
    let namesake = Company { id: "other".to_owned(), ..core.clone() };
    assert!(!store.add_company(namesake, world.now()).await.expect("refuses"));
    for name in ["core", "Core Ltd"] {
        assert_eq!(store.company(name).await.expect("reads"), Some(core.clone()));
    }
    for name in ["other", "core ltd", ""] {
        assert_eq!(store.company(name).await.expect("reads"), None);
    }
}

pub async fn people(world: World) {
    let store = &world.store;
    let namesake = User { id: "eve".to_owned(), ..user("ann") };
    assert!(!store.add_user(namesake, world.now()).await.expect("refuses"));
    assert_eq!(store.user("eve").await.expect("reads"), None);
    assert_eq!(store.user("ann").await.expect("reads"), Some(user("ann")));
    let found = store.user_by_email("ann@example.com").await.expect("reads");
    assert_eq!(found, Some(user("ann")));
    assert_eq!(store.user_by_email("eve@example.com").await.expect("reads"), None);

    assert!(store.add_user(user("ben"), world.now()).await.expect("adds"));
    assert_eq!(store.memberships("ben").await.expect("reads"), []);
    for (company, role) in [("bolt", Role::Admin), ("acme", Role::Admin), ("acme", Role::Developer)]
    {
        store.add_membership("ben", company, role).await.expect("adds");
    }
    let place = |id: &str, role| Membership {
        company: Company { id: id.to_owned(), name: format!("{id} inc.") },
        role,
    };
    let places = store.memberships("ben").await.expect("reads");
    assert_eq!(places, [place("acme", Role::Developer), place("bolt", Role::Admin)]);
    assert!(store.add_membership("ben", "nowhere", Role::Developer).await.is_err());
    assert!(store.add_membership("nobody", "acme", Role::Developer).await.is_err());
}

pub async fn sessions(world: World) {
    let store = &world.store;
    let shut_out = User { disabled_at: Some(world.now()), ..user("eve") };
    assert!(store.add_user(shut_out, world.now()).await.expect("adds"));
    let session = |name: &str, user: &str| session(&world, name, user);
    let anns = session("hers", "ann");
    store.start_session(anns.clone(), world.now()).await.expect("starts");
    store.start_session(session("shut out", "eve"), world.now()).await.expect("starts");

    let world_start = world.now();
    let find = |name: &'static str, after| async move {
        store.session(&hash(name), world_start + after).await.expect("reads")
    };
    assert_eq!(find("hers", 99).await, Some(anns));
    assert_eq!(find("hers", 100).await, None);
    assert_eq!(find("shut out", 0).await, None);
    assert_eq!(find("nobody's", 0).await, None);
    store.end_session(&hash("hers")).await.expect("ends");
    assert_eq!(find("hers", 0).await, None);
}

fn session(world: &World, name: &str, user: &str) -> Session {
    Session {
        hash: hash(name),
        user_id: user.to_owned(),
        expires_at: world.now() + 100,
        half: false,
        proved_at: None,
        browser: String::new(),
        address: String::new(),
        provider: None,
        confirmed_at: None,
    }
}

pub async fn hand_overs(world: World) {
    let (store, now) = (&world.store, world.now());
    let anns = session(&world, "hers", "ann");
    let half = Session { half: true, ..session(&world, "half", "ann") };
    for session in [anns.clone(), half] {
        store.start_session(session, now).await.expect("starts");
    }
    let offer = async |code: &str, session: &str| {
        let (hash, session, browser) = (hash(code), hash(session), hash("browser"));
        let code = HandOver { hash, session, browser, expires_at: now + 60 };
        store.hand_over(code, now).await.expect("keeps");
    };
    for (code, session) in
        [("one", "hers"), ("two", "hers"), ("half's", "half"), ("nobody's", "nowhere")]
    {
        offer(code, session).await;
    }
    let take = async |code: &str, browser: &str, after: i64| {
        let (code, browser, cookie) = (hash(code), hash(browser), hash(&format!("{code} there")));
        store.take_over(&code, &browser, &cookie, now + after).await.expect("decides")
    };
    let find = async |cookie: &str, after: i64| {
        store.portal_session(&hash(cookie), now + after).await.expect("reads")
    };
    assert!(!take("one", "another browser", 0).await);
    assert!(!take("one", "browser", 60).await, "it has ended");
    assert_eq!(find("one", 0).await, None, "a code is no cookie");
    assert!(take("one", "browser", 59).await);
    assert!(!take("one", "browser", 59).await, "once");
    for code in ["half's", "nobody's", "unknown"] {
        assert!(!take(code, "browser", 0).await, "{code}");
    }
    assert_eq!(find("one there", 99).await, Some(anns.clone()));
    assert_eq!(find("one there", 100).await, None);
    assert_eq!(store.session(&hash("one there"), now).await.expect("reads"), None);
    assert_eq!(find("hers", 0).await, None, "neither cookie is good at the other host");

    // Both hosts have one session. What was not taken up is forgotten.
    assert!(take("two", "browser", 0).await);
    assert_eq!(find("two there", 0).await, Some(anns.clone()));
    offer("late", "hers").await;
    store.sweep(now + 60).await.expect("sweeps");
    assert!(!take("late", "browser", 0).await);
    assert_eq!(find("one there", 60).await, Some(anns.clone()));
    // It has another name once its person has proved more.
    assert!(store.prove_session(&hash("hers"), &hash("renamed"), now).await.expect("decides"));
    let becomes = Session { hash: hash("renamed"), proved_at: Some(now), ..anns };
    for cookie in ["one there", "two there"] {
        assert_eq!(find(cookie, 0).await, Some(becomes.clone()));
    }
    store.end_session(&hash("renamed")).await.expect("ends");
    for cookie in ["one there", "two there"] {
        assert_eq!(find(cookie, 0).await, None);
    }
}

pub async fn closed_companies(world: World) {
    let store = &world.store;
    world.register("shop", "key").await;
    world.register("neighbour", "key").await;
    store.add_membership("ann", "acme", Role::Admin).await.expect("adds");
    let mut foreign = app("foreign");
    if let ClientKind::App(app) = &mut foreign.kind {
        app.company_id = "bolt".to_owned();
    }
    world.add_app(app("own")).await;
    world.add_app(foreign).await;
    let acme = world.connected("family", "shop", "acme", "key").await;
    let bolt = world.connected("other", "neighbour", "bolt", "key").await;
    world.approved("pending", "foreign", "acme", None).await;
    world.show("page", "shop", None).await;

    let close = async |name: &str| {
        store.close_company(name, &Actor::System, world.now()).await.expect("closes")
    };
    assert_eq!(close("nowhere").await, None);
    assert_eq!(close("acme inc.").await, Some(2));
    assert_eq!(close("acme").await, None, "once");
    assert_eq!(store.company("acme").await.expect("reads"), None);
    assert!(store.add_user(user("ben"), world.now()).await.expect("adds"));
    assert_eq!(store.memberships("ben").await.expect("reads"), []);

    // Nothing of it is left alive, and nothing comes back.
    assert!(!world.is_good(&acme, "family").await);
    assert_eq!(world.rotate(world.rotation("family", 1, 2)).await, Written::Raced);
    assert_eq!(store.redeemed_grant("shop").await.expect("reads"), None);
    let recovery = world.recovery("recovered", "shop", &acme, 0);
    assert_eq!(store.recover(recovery).await.expect("decides"), Written::Raced);
    let code = store.code(&hash("pending")).await.expect("reads").expect("a code");
    assert_eq!(code.revoked_at, Some(world.now()));
    let family = new_family("late", &code.grant.id, None);
    assert_eq!(world.redeem(world.redemption("pending", family, false)).await, Written::Raced);
    let approval = world.approval("page", "shop", "acme", Some((Slot::Current, "key")));
    assert_eq!(world.approve(approval).await, ApproveOutcome::AlreadyDecided);

    // Its applications are nobody's; others are as they were.
    assert_eq!(world.client("own").await, None);
    assert!(world.client("foreign").await.is_some());
    assert!(world.client("shop").await.is_some());
    assert!(world.is_good(&bolt, "other").await);
    world.end_grant(&bolt, EndReason::Revoked).await;
    let own = store.own_grant("foreign", "bolt", "grant", &scope(), world.now()).await;
    assert_eq!(own.expect("makes").id, "grant");
}
