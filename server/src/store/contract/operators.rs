//! What only operators ask for.

use super::{
    partner::link,
    world::{ROUNDS, World, app, hash, new_family, race, user},
};
use crate::{
    audit::Actor,
    partner::{
        link::{LinkStatus, PaymentLink},
        payment::PaymentStatus,
    },
    people::{role::Role, second_factor::FactorOutcome},
    store::{
        AccessStanding, ApproveOutcome, AuditQuery, Company, FactorUse, GrantEnd, GrantQuery,
        LinkFacts, LinkQuery, Part, Renamed, Session, User, Written,
    },
};

const ALL: Part<'_> = Part { after: "", limit: 100 };

fn operator() -> Actor {
    Actor::Operator("olga".to_owned())
}

fn session(world: &World, name: &str, user_id: &str) -> Session {
    Session {
        hash: hash(name),
        user_id: user_id.to_owned(),
        expires_at: world.now() + 100,
        half: false,
        proved_at: None,
        browser: String::new(),
        address: String::new(),
        provider: None,
        confirmed_at: None,
    }
}

/// The newest records: what, by whom, to what, and what else.
async fn noted(world: &World, limit: u32) -> Vec<String> {
    let records = world.store.newest_audit(&AuditQuery::default(), None, limit).await;
    let records = records.expect("reads").into_iter().map(|record| {
        let subject = record.subject.unwrap_or_default();
        format!("{} by {} {subject} {}", record.event, record.actor, record.detail)
    });
    records.collect()
}

pub async fn all_companies(world: World) {
    let store = &world.store;
    world.register("shop", "key").await;
    world.connected("family", "shop", "acme", "key").await;
    store.add_membership("ann", "acme", Role::Admin).await.expect("adds");
    let listed = async |part| {
        let found = store.companies(part).await.expect("reads");
        found.into_iter().map(|facts| facts.company.name).collect::<Vec<_>>()
    };
    assert_eq!(listed(ALL).await, ["acme inc.", "bolt inc."]);
    assert_eq!(listed(Part { limit: 1, ..ALL }).await, ["acme inc."]);
    assert_eq!(listed(Part { after: "acme inc.", ..ALL }).await, ["bolt inc."]);
    let facts = store.company_facts("acme inc.").await.expect("reads").expect("is there");
    assert_eq!((facts.people, facts.connections, facts.closed_at), (1, 1, None));
    assert_eq!(store.company_facts("acme").await.expect("reads"), Some(facts));
    assert_eq!(store.company_facts("nowhere").await.expect("reads"), None);

    store.close_company("acme", &operator(), world.now()).await.expect("closes");
    let facts = store.company_facts("acme").await.expect("reads").expect("is there");
    assert_eq!((facts.connections, facts.closed_at), (0, Some(world.now())));
    let reopen =
        async |id: &str| store.reopen_company(id, &operator(), world.now()).await.expect("writes");
    assert!(!reopen("bolt").await, "is open");
    assert!(!reopen("nowhere").await);
    assert!(reopen("acme").await);
    assert!(!reopen("acme").await, "once");
    assert_eq!(noted(&world, 1).await, ["company_reopened by operator:olga  "]);
    assert!(store.company("acme").await.expect("reads").is_some());
    assert_eq!(store.redeemed_grant("shop").await.expect("reads"), None, "what ended is over");
    world.connected("next", "shop", "acme", "key").await;
}

pub async fn renamed_companies(world: World) {
    let rename = async |id: &str, name: &str| {
        world.store.rename_company(id, name, &operator(), world.now()).await.expect("writes")
    };
    for (id, name, expected) in [
        ("nowhere", "Core", Renamed::Unknown),
        ("acme", "bolt inc.", Renamed::Taken),
        ("acme", "acme inc.", Renamed::Done),
    ] {
        assert_eq!(rename(id, name).await, expected, "{id} {name}");
        assert!(noted(&world, 1).await.is_empty(), "{id} {name}");
    }
    assert_eq!(rename("acme", "Core").await, Renamed::Done);
    assert_eq!(noted(&world, 9).await, ["company_renamed by operator:olga Core acme inc."]);
    let found = world.store.company("Core").await.expect("reads").expect("renamed");
    assert_eq!(found.id, "acme");
    // Two who want one name.
    for round in 0..ROUNDS {
        let name = format!("name {round}");
        let both = ["acme", "bolt"].map(|id| {
            let (world, name) = (world.clone(), name.clone());
            async move {
                let by = operator();
                let renamed = world.store.rename_company(id, &name, &by, world.now());
                renamed.await.expect("writes")
            }
        });
        let outcomes = race(both).await;
        let won = outcomes.iter().filter(|outcome| **outcome == Renamed::Done).count();
        assert_eq!(won, 1, "{outcomes:?}");
    }
}

pub async fn people_shut_out(world: World) {
    let store = &world.store;
    assert!(store.add_user(user("ben"), world.now()).await.expect("adds"));
    store.add_membership("ben", "acme", Role::Developer).await.expect("adds");
    for name in ["one", "two"] {
        store.start_session(session(&world, name, "ben"), world.now()).await.expect("starts");
    }
    let listed = async |company, part| {
        let found = store.users(company, part, world.now()).await.expect("reads");
        found.into_iter().map(|facts| facts.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, ALL).await, ["ann", "ben"]);
    assert_eq!(listed(None, Part { limit: 1, ..ALL }).await, ["ann"]);
    assert_eq!(listed(None, Part { after: "ann@example.com", ..ALL }).await, ["ben"]);
    assert!(listed(Some("acme"), ALL).await.contains(&"ben".to_owned()));
    assert!(!listed(Some("bolt"), ALL).await.contains(&"ben".to_owned()));
    let facts = async || {
        store.user_facts("ben@example.com", world.now()).await.expect("reads").expect("is there")
    };
    let ben = facts().await;
    assert_eq!((ben.sessions, ben.disabled_at, ben.places.len()), (2, None, 1));
    assert_eq!(ben.places[0].role, Role::Developer);
    assert_eq!(store.user_facts("eve@example.com", world.now()).await.expect("reads"), None);

    let shut_out =
        async |id: &str| store.shut_out(id, &operator(), world.now()).await.expect("writes");
    let let_in = async |id: &str| store.let_in(id, &operator(), world.now()).await.expect("writes");
    assert_eq!(shut_out("eve").await, None);
    assert!(!let_in("ben").await, "is not shut out");
    assert!(noted(&world, 1).await.is_empty());
    assert_eq!(shut_out("ben").await, Some(2));
    assert_eq!(shut_out("ben").await, None, "once");
    let ben = facts().await;
    assert_eq!((ben.sessions, ben.disabled_at), (0, Some(world.now())));
    assert_eq!(store.session(&hash("one"), world.now()).await.expect("reads"), None);
    assert!(let_in("ben").await);
    assert!(!let_in("ben").await, "once");
    assert_eq!(facts().await.disabled_at, None);
    assert_eq!(store.session(&hash("one"), world.now()).await.expect("reads"), None);
    let expected =
        ["person_enabled by operator:olga ben ", "person_disabled by operator:olga ben "];
    assert_eq!(noted(&world, 9).await, expected);
}

pub async fn codes_of_a_person_shut_out(world: World) {
    let store = &world.store;
    world.add_app(app("app")).await;
    let grant = world.authorized("redeemed", "app", "acme").await;
    assert_eq!(world.approved("waiting", "app", "acme", None).await, grant);
    let redeem = async |code: &str| {
        world.redeem(world.redemption(code, new_family(code, &grant, None), false)).await
    };
    store.shut_out("ann", &operator(), world.now()).await.expect("writes").expect("was let in");
    assert_eq!(redeem("waiting").await, Written::Raced);
    assert_eq!(world.standing(&grant, Some("redeemed")).await, AccessStanding::Good);
    world.show("late", "app", None).await;
    let late = world.approve(world.approval("late", "app", "acme", None)).await;
    assert_eq!(late, ApproveOutcome::NotAllowed);
    assert!(store.let_in("ann", &operator(), world.now()).await.expect("writes"));
    assert_eq!(redeem("waiting").await, Written::Raced, "it does not come back");
    world.approved("next", "app", "acme", None).await;
    assert_eq!(redeem("next").await, Written::Done);
}

/// Connects a store to acme, and another to bolt; answers their grants.
async fn two_stores(world: &World) -> (String, String) {
    for shop in ["shop", "neighbour"] {
        world.register(shop, "key").await;
    }
    let grant = world.connected("family", "shop", "acme", "key").await;
    (grant, world.connected("other", "neighbour", "bolt", "key").await)
}

pub async fn revoked_grants(world: World) {
    let store = &world.store;
    let (grant, other) = two_stores(&world).await;
    let listed = async |query, part| {
        let found = store.grants(query, part).await.expect("reads");
        found.into_iter().map(|facts| facts.id).collect::<Vec<_>>()
    };
    let mut both = [grant.clone(), other.clone()];
    both.sort();
    let any = GrantQuery::default();
    assert_eq!(listed(any, ALL).await, both);
    assert_eq!(listed(any, Part { limit: 1, ..ALL }).await, both[..1]);
    assert_eq!(listed(any, Part { after: &both[0], ..ALL }).await, both[1..]);
    let acmes = GrantQuery { company_id: Some("acme"), ..any };
    assert_eq!(listed(acmes, ALL).await, [&*grant]);
    let neighbours = GrantQuery { client_id: Some("neighbour"), ..any };
    assert_eq!(listed(neighbours, ALL).await, [&*other]);
    assert!(listed(GrantQuery { client_id: Some("neighbour"), ..acmes }, ALL).await.is_empty());

    let revoke =
        async |id: &str| store.revoke_grant(id, &operator(), world.now()).await.expect("writes");
    assert_eq!(revoke("none").await, GrantEnd::Unknown);
    assert_eq!(revoke(&grant).await, GrantEnd::Done);
    assert_eq!(noted(&world, 1).await, ["grant_ended by operator:olga  by_operator"]);
    assert_eq!(revoke(&grant).await, GrantEnd::Over);
    assert!(!world.is_good(&grant, "family").await);
    assert!(world.is_good(&other, "other").await);
    assert!(listed(acmes, ALL).await.is_empty());
    assert_eq!(listed(GrantQuery { ended: true, ..acmes }, ALL).await, [&*grant]);
    let facts = store.grant_facts(&grant).await.expect("reads").expect("is there");
    assert_eq!(facts.ended_reason.as_deref(), Some("by_operator"));
    assert_eq!(facts.approved_by.as_deref(), Some("ann@example.com"));
    assert_eq!(store.grant_facts("none").await.expect("reads"), None);
}

pub async fn all_payment_links(world: World) {
    let store = &world.store;
    let (grant, other) = two_stores(&world).await;
    let listed = async |query, part| {
        let found = store.all_payment_links(query, part).await.expect("reads");
        found.into_iter().map(|facts| facts.link.uid).collect::<Vec<_>>()
    };
    let any = LinkQuery::default();
    assert!(listed(any, ALL).await.is_empty());
    let first = world.made(link(&world, "first", &grant)).await;
    world
        .made(PaymentLink { status: LinkStatus::Archived, ..link(&world, "put away", &grant) })
        .await;
    world.made(link(&world, "another's", &other)).await;
    let first = world.moves(&first, PaymentStatus::Quoted).await;

    assert_eq!(listed(any, ALL).await, ["another's", "put away", "first"]);
    assert_eq!(listed(any, Part { limit: 2, ..ALL }).await, ["another's", "put away"]);
    assert_eq!(listed(any, Part { after: "put away", ..ALL }).await, ["first"]);
    assert!(listed(any, Part { after: "unknown", ..ALL }).await.is_empty());
    for (query, expected) in [
        (LinkQuery { company_id: Some("acme"), ..any }, &["put away", "first"][..]),
        (LinkQuery { client_id: Some("neighbour"), ..any }, &["another's"]),
        (LinkQuery { client_id: Some("neighbour"), company_id: Some("acme"), ..any }, &[]),
        (LinkQuery { status: Some(LinkStatus::Archived), ..any }, &["put away"]),
        (LinkQuery { status: Some(LinkStatus::Active), ..any }, &["another's", "first"]),
        (LinkQuery { payment: Some(PaymentStatus::Quoted), ..any }, &["first"]),
        (LinkQuery { payment: Some(PaymentStatus::Complete), ..any }, &[]),
    ] {
        assert_eq!(listed(query, ALL).await, expected, "{query:?}");
    }
    let part = Part { after: "put away", ..ALL };
    let found = store.all_payment_links(any, part).await.expect("reads");
    let company = Company { id: "acme".to_owned(), name: "acme inc.".to_owned() };
    let (client_id, client_name) = ("shop".to_owned(), "Shop".to_owned());
    assert_eq!(found, [LinkFacts { link: first, client_id, client_name, company }]);
}

pub async fn revoked_installations(world: World) {
    for shop in ["shop", "neighbour"] {
        world.register(shop, "key").await;
    }
    let grant = world.connected("family", "shop", "acme", "key").await;
    let other = world.connected("other", "neighbour", "acme", "key").await;
    world.approved("pending", "shop", "bolt", None).await;
    let revoke = async |id: &str| {
        let by = operator();
        let revoked = world.store.revoke_installation(id, &by, world.now());
        revoked.await.expect("writes")
    };
    assert_eq!(revoke("none").await, None);
    assert_eq!(revoke("shop").await, Some(2));
    assert_eq!(revoke("shop").await, Some(0));
    assert!(!world.is_good(&grant, "family").await);
    assert!(world.is_good(&other, "other").await);
    // The store is known as it was, and is connected again by an approval.
    let next = world.connected("next", "shop", "acme", "key").await;
    assert!(world.is_good(&next, "next").await);
}

pub async fn added(world: World) {
    let store = &world.store;
    let core = Company { id: "core".to_owned(), name: "Core Ltd".to_owned() };
    let found = async |company: &Company| {
        store.found_company(company.clone(), &operator(), world.now()).await.expect("writes")
    };
    assert!(found(&core).await);
    assert!(!found(&Company { id: "other".to_owned(), ..core }).await, "the name is taken");
    let enroll = async |user| store.enroll(user, &operator(), world.now()).await.expect("writes");
    assert!(enroll(user("ben")).await);
    assert!(!enroll(User { id: "eve".to_owned(), ..user("ben") }).await, "the address is known");
    for role in [Role::Admin, Role::Support] {
        store.place("ben", "core", role, &operator(), world.now()).await.expect("writes");
    }
    let nobody = store.place("nobody", "core", Role::Admin, &operator(), world.now()).await;
    assert!(nobody.is_err());
    let expected = [
        "person_placed by operator:olga ben support",
        "person_placed by operator:olga ben admin",
        "person_added by operator:olga ben ",
        "company_added by operator:olga  ",
    ];
    assert_eq!(noted(&world, 9).await, expected);
    let places = store.memberships("ben").await.expect("reads");
    assert_eq!((places.len(), places[0].role), (1, Role::Support));
}

pub async fn answers_of_a_key(world: World) {
    let signed = async |kid: &str| world.store.answers_signed_by(kid).await.expect("reads");
    assert_eq!(signed("kid").await, 0);
    world.register("shop", "key").await;
    let grant = world.connected("family", "shop", "acme", "key").await;
    assert_eq!((signed("kid").await, signed("other").await), (1, 0), "to a code");
    assert_eq!(world.rotate(world.rotation("family", 1, 2)).await, Written::Done);
    assert_eq!(signed("kid").await, 1, "to a refresh; that to the code cannot be had again");
    let by = operator();
    world.store.revoke_grant(&grant, &by, world.now()).await.expect("writes");
    assert_eq!(signed("kid").await, 0, "nobody can ask for it any more");
}

pub async fn codes_of_a_person_who_lost_them(world: World) {
    let store = &world.store;
    let reset =
        async |id: &str| store.reset_codes(id, &operator(), world.now()).await.expect("writes");
    let since = async || {
        let ann = store.user_facts("ann@example.com", world.now()).await.expect("reads");
        ann.expect("ann").codes_since
    };
    assert!(store.begin_second_factor("ann", b"secret".to_vec()).await.expect("begins"));
    assert_eq!((reset("ann").await, since().await), (None, None), "begun, and not turned on");
    let seen = store.second_factor("ann").await.expect("reads").expect("a factor");
    let (user_id, becomes) = ("ann".to_owned(), FactorOutcome::Step(7));
    let used = FactorUse { user_id, seen, becomes, now: world.now() };
    let confirmed = store.confirm_second_factor(used, vec![hash("spare")], hash("this"));
    assert!(confirmed.await.expect("turns on"));
    assert_eq!(since().await, Some(world.now()));
    for name in ["this", "other"] {
        store.start_session(session(&world, name, "ann"), world.now()).await.expect("starts");
    }
    let half = Session { half: true, ..session(&world, "half", "ann") };
    store.start_session(half, world.now()).await.expect("starts");
    let end = world.now() + 60;
    store.start_reset("ann", hash("link"), world.now(), end).await.expect("starts");

    assert_eq!(reset("eve").await, None);
    assert_eq!(reset("ann").await, Some(3), "half ones too");
    assert_eq!(noted(&world, 1).await, ["second_factor_reset by operator:olga ann "]);
    assert_eq!((reset("ann").await, since().await), (None, None));
    assert_eq!(store.second_factor("ann").await.expect("reads"), None);
    assert_eq!(store.session(&hash("this"), world.now()).await.expect("reads"), None);
    assert_eq!(store.half_session(&hash("half"), world.now()).await.expect("reads"), None);
    assert_eq!(store.reset_of(&hash("link"), world.now()).await.expect("reads"), None);
    assert!(store.begin_second_factor("ann", b"next".to_vec()).await.expect("begins anew"));
}
