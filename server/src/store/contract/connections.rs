//! Connections as a company sees them.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint};

use super::world::{World, app};
use crate::{
    audit::Actor,
    oauth::{
        connection::Standing,
        grant::EndReason,
        ownership::{Checked, Verdict},
    },
    people::role::Role,
    store::{Connection, ConnectionEnd, ConnectionQuery, EndOutcome},
};

/// A store, approved and connected; answers its grant.
async fn connected(world: &World) -> String {
    world.register("shop", "key").await;
    world.connected("family", "shop", "acme", "key").await
}

pub async fn last_accesses(world: World) {
    let grant = connected(&world).await;
    let noted = async |at: i64| {
        let uses = vec![("unknown".to_owned(), UnixTime(at)), (grant.clone(), UnixTime(at))];
        world.store.note_access(uses).await.expect("notes");
        world.store.last_access(&grant).await.expect("reads")
    };
    assert_eq!(world.store.last_access(&grant).await.expect("reads"), None);
    for (at, newest) in [(5, 5), (9, 9), (7, 9)] {
        assert_eq!(noted(at).await, Some(UnixTime(newest)));
    }
    assert_eq!(world.store.last_access("unknown").await.expect("reads"), None);
    world.store.note_access(Vec::new()).await.expect("notes nothing");
}

async fn listed(world: &World, company: &str, query: ConnectionQuery<'_>) -> Vec<String> {
    let found = world.store.connections(company, world.now(), query).await.expect("reads");
    found.into_iter().map(|connection| connection.client_id).collect()
}

async fn one(world: &World, company: &str, client: &str) -> Option<Connection> {
    world.store.connection(company, client, world.now()).await.expect("reads")
}

/// What is told of a connection, newest first.
async fn told(world: &World, company: &str, client: &str) -> Vec<String> {
    let events = world.store.connection_events(company, client, None, 50).await.expect("reads");
    events.into_iter().map(|event| event.event).collect()
}

fn end(world: &World, company: &str, grant: &str) -> ConnectionEnd {
    ConnectionEnd {
        company_id: company.to_owned(),
        client_id: "shop".to_owned(),
        grant_id: grant.to_owned(),
        user_id: "ann".to_owned(),
        now: world.now(),
    }
}

pub async fn connections_of_a_company(world: World) {
    let all = ConnectionQuery { limit: 10, ..ConnectionQuery::default() };
    assert!(listed(&world, "acme", all).await.is_empty());
    let grant = connected(&world).await;
    world.advance(5);
    world.store.add_app(app("app"), &Actor::System, 9).await.expect("adds");
    world.authorized("app", "app", "acme").await;
    world.advance(5);
    world.register("other", "other key").await;
    let gone = world.connected("other", "other", "acme", "other key").await;
    world.end_grant(&gone, EndReason::Revoked).await;
    // Those that stand first, then the newest first; a company sees its own alone.
    assert_eq!(listed(&world, "acme", all).await, ["app", "shop", "other"]);
    assert!(listed(&world, "bolt", all).await.is_empty());
    for (query, expected) in [
        (ConnectionQuery { limit: 1, ..all }, &["app"][..]),
        (ConnectionQuery { skip: 1, limit: 1, ..all }, &["shop"]),
        (ConnectionQuery { skip: 3, ..all }, &[]),
        (ConnectionQuery { ended: Some(true), ..all }, &["other"]),
        (ConnectionQuery { ended: Some(false), ..all }, &["app", "shop"]),
        (ConnectionQuery { search: "PARTNER", ..all }, &["app"]),
        (ConnectionQuery { search: "shop.example", ..all }, &["shop", "other"]),
        (ConnectionQuery { search: "%", ..all }, &[]),
    ] {
        assert_eq!(listed(&world, "acme", query).await, expected, "{query:?}");
    }
    let shop = one(&world, "acme", "shop").await.expect("connected");
    assert_eq!((shop.grant_id, shop.approved_by), (grant, Some("ann@example.com".to_owned())));
    assert_eq!(Standing::of(&shop.facts), Standing::Connected);
    let facts = shop.store.expect("a store");
    assert_eq!((&*facts.site_url, &*facts.plugin_version), ("https://shop.example", "1.0.0"));
    world.end_family("family", EndReason::RefreshReuse).await;
    let shop = one(&world, "acme", "shop").await.expect("connected");
    assert_eq!(Standing::of(&shop.facts), Standing::Interrupted);
    assert!(one(&world, "bolt", "shop").await.is_none());
    let other = one(&world, "acme", "other").await.expect("was connected");
    assert_eq!(other.ended_reason.as_deref(), Some("revoked"));
}

pub async fn connections_that_end(world: World) {
    let grant = connected(&world).await;
    let outcome = async |end| world.store.end_connection(end).await.expect("decides");
    let ann = end(&world, "acme", &grant);
    for (wrong, expected) in [
        (ConnectionEnd { user_id: "nobody".to_owned(), ..ann.clone() }, EndOutcome::NotAllowed),
        (ConnectionEnd { company_id: "bolt".to_owned(), ..ann.clone() }, EndOutcome::NotStanding),
        (ConnectionEnd { client_id: "app".to_owned(), ..ann.clone() }, EndOutcome::NotStanding),
        (ConnectionEnd { grant_id: "none".to_owned(), ..ann.clone() }, EndOutcome::NotStanding),
    ] {
        assert_eq!(outcome(wrong.clone()).await, expected, "{wrong:?}");
    }
    for (role, expected) in [
        (Role::Support, EndOutcome::NotAllowed),
        (Role::Developer, EndOutcome::NotAllowed),
        (Role::Admin, EndOutcome::Ended),
        (Role::Admin, EndOutcome::NotStanding),
    ] {
        world.store.add_membership("ann", "acme", role).await.expect("changes");
        assert_eq!(world.is_good(&grant, "family").await, expected != EndOutcome::NotStanding);
        assert_eq!(outcome(ann.clone()).await, expected, "{role:?}");
    }
    assert!(!world.is_good(&grant, "family").await);
    assert!(world.store.redeemed_grant("shop").await.expect("reads").is_none());
    let shop = one(&world, "acme", "shop").await.expect("was connected");
    assert_eq!(shop.ended_reason.as_deref(), Some("withdrawn"));
    let events = world.store.connection_events("acme", "shop", None, 1).await.expect("reads");
    assert_eq!((&*events[0].event, &*events[0].actor), ("grant_ended", "user:ann"));
    assert_eq!(events[0].email.as_deref(), Some("ann@example.com"));
    // Approved again it is another grant, and the connection is the one that stands.
    let next = world.connected("next", "shop", "acme", "key").await;
    assert_eq!(one(&world, "acme", "shop").await.expect("connected").grant_id, next);
}

pub async fn histories_of_companies(world: World) {
    connected(&world).await;
    world.advance(1);
    // The store goes over to the other company, and does something there that is of no company in particular.
    world.connected("next", "shop", "bolt", "key").await;
    world.advance(1);
    world.store.reset(world.reset("shop", "reset")).await.expect("resets");
    assert_eq!(told(&world, "acme", "shop").await, ["grant_ended", "code_redeemed", "approved"]);
    assert_eq!(told(&world, "bolt", "shop").await, ["reset", "code_redeemed", "approved"]);
    assert!(told(&world, "acme", "unknown").await.is_empty());
    let page = async |before| {
        world.store.connection_events("acme", "shop", before, 2).await.expect("reads")
    };
    let first = page(None).await;
    let second = page(Some(first[1].id)).await;
    let names = first.iter().chain(&second).map(|event| &*event.event);
    assert_eq!(names.collect::<Vec<_>>(), ["grant_ended", "code_redeemed", "approved"]);
}

pub async fn ownership(world: World) {
    world.register("shop", "key").await;
    let checked = |client: &str, verdict, at| Checked {
        client_id: client.to_owned(),
        site_url: "https://shop.example".to_owned(),
        key: Thumbprint([7; 32]),
        verdict,
        at: UnixTime(at),
    };
    let kept = async |client: &str| world.store.ownership(client).await.expect("reads");
    assert_eq!(kept("shop").await, None);
    for verdict in Verdict::ALL {
        let checked = checked("shop", verdict, 5);
        world.store.note_ownership(checked.clone()).await.expect("keeps");
        assert_eq!(kept("shop").await, Some(checked));
    }
    let newer = checked("shop", Verdict::Verified, 9);
    world.store.note_ownership(newer.clone()).await.expect("keeps");
    let older = checked("shop", Verdict::Foreign, 8);
    world.store.note_ownership(older).await.expect("passes over");
    assert_eq!(kept("shop").await, Some(newer), "two checks that overtook each other");
    let of_nobody = checked("gone", Verdict::Verified, 9);
    world.store.note_ownership(of_nobody).await.expect("passes over");
    assert_eq!(kept("gone").await, None);
}
