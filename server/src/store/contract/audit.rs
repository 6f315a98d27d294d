//! The audit trail: who did what, in pages, and a chain that no two writers tear.

use super::world::{ROUNDS, World, race};
use crate::{
    audit::{Actor, AuditRecord, Broken, Chain},
    oauth::grant::EndReason,
    store::{AuditQuery, Deed},
};

async fn all(world: &World, query: &AuditQuery) -> Vec<AuditRecord> {
    world.store.audit_after(query, 0, 100_000).await.expect("reads")
}

/// The last id of the whole trail, if that is as it was written.
async fn walked(world: &World) -> Result<i64, Broken> {
    let mut chain = Chain::default();
    for record in all(world, &AuditQuery::default()).await {
        chain.take(&record)?;
    }
    Ok(chain.end()?.map_or(0, |(id, _)| id))
}

fn words(records: &[AuditRecord]) -> Vec<String> {
    let words = |record: &AuditRecord| format!("{} by {}", record.event, record.actor);
    records.iter().map(words).collect()
}

pub async fn actors(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("family", "shop", "acme", "key").await;
    world.end_family("family", EndReason::RefreshReuse).await;
    let operator = Actor::Operator("root".to_owned());
    let now = world.now();
    world.store.end_grant(&grant, EndReason::Revoked, &operator, now).await.expect("ends");
    world.store.reset(world.reset("shop", "reset")).await.expect("resets");
    world.store.close_company("bolt", &operator, now).await.expect("closes");
    assert!(world.store.release("shop", &operator, now).await.expect("releases"));
    let trail = all(&world, &AuditQuery::default()).await;
    let expected = [
        "approved by user:ann",
        "code_redeemed by client:shop",
        "family_ended by client:ender",
        "grant_ended by operator:root",
        "reset by client:shop",
        "company_closed by operator:root",
        "released by operator:root",
    ];
    assert_eq!(words(&trail), expected);
    assert_eq!(trail[5].company_id.as_deref(), Some("bolt"));
    assert_eq!(trail[5].client_id, None);
    assert_eq!(trail[6].subject.as_deref(), Some("https://shop.example"));
    assert_eq!(walked(&world).await, Ok(7));
}

pub async fn audit_pages(world: World) {
    for client in ["one", "two"] {
        world.register(client, "key").await;
        for company in ["acme", "bolt"] {
            world.connected(&format!("{client} {company}"), client, company, "key").await;
            world.advance(10);
        }
    }
    let ids =
        |records: Vec<AuditRecord>| records.iter().map(|record| record.id).collect::<Vec<_>>();
    let of = |client: Option<&str>, company: Option<&str>| AuditQuery {
        client_id: client.map(str::to_owned),
        company_id: company.map(str::to_owned),
        ..AuditQuery::default()
    };
    for (client, company, expected) in [
        (None, None, (1..=10).collect()),
        (Some("one"), None, vec![1, 2, 3, 4, 5]),
        (None, Some("bolt"), vec![3, 5, 8, 10]),
        (Some("two"), Some("acme"), vec![6, 7, 9]),
        (Some("three"), None, vec![]),
    ] {
        let query = of(client, company);
        assert_eq!(ids(all(&world, &query).await), expected);
        let (mut backwards, mut before) = (Vec::new(), None);
        loop {
            let page = world.store.newest_audit(&query, before, 3).await.expect("reads");
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            backwards.extend(ids(page));
        }
        backwards.reverse();
        assert_eq!(backwards, expected);
    }
    let now = world.now();
    let between = AuditQuery { since: Some(now - 30), until: Some(now - 20), ..of(None, None) };
    assert_eq!(ids(all(&world, &between).await), [3, 4, 5]);
    let after = world.store.audit_after(&of(None, None), 6, 1).await.expect("reads");
    assert_eq!(ids(after), [7]);
}

/// The server and an operator's command write at the same time.
pub async fn audit_of_two_writers(world: World) {
    let command = world.beside();
    for round in 0..ROUNDS {
        for name in ["a", "b"] {
            world.register(&format!("{name} {round}"), "key").await;
        }
        let both = [(world.clone(), "a"), (command.clone(), "b")].map(|(world, name)| async move {
            let client = format!("{name} {round}");
            world.store.release(&client, &Actor::System, world.now()).await.expect("releases")
        });
        assert_eq!(race(both).await, [true, true]);
    }
    assert_eq!(walked(&world).await, Ok(2 * i64::try_from(ROUNDS).expect("few")));
}

/// What is taken back is not noted, and leaves no gap.
pub async fn audit_of_what_failed(world: World) {
    world.register("shop", "key").await;
    // Noted before the receipt turns out to be impossible.
    assert!(world.store.reset(world.reset("no such store", "reset")).await.is_err());
    assert_eq!(walked(&world).await, Ok(0));
    world.connected("family", "shop", "acme", "key").await;
    assert_eq!(walked(&world).await, Ok(2));
}

/// The beginning may go, once a day, and the rest shows it.
pub async fn audit_cuts(world: World) {
    const DAY: i64 = 24 * 3600;
    let note = async |event| {
        let deed = Deed {
            at: world.now(),
            event,
            actor: Actor::System,
            subject: Some("of it".to_owned()),
            detail: "why".to_owned(),
        };
        world.store.note_deed(deed).await.expect("notes");
    };
    let cut = async |before| world.store.cut_audit(before, world.now()).await.expect("cuts");
    let start = world.now();
    assert_eq!(cut(start).await, 0);
    for event in ["one", "two", "three"] {
        note(event).await;
        world.advance(DAY);
    }
    assert_eq!(cut(start + DAY).await, 0, "not a day older");
    assert_eq!(cut(start + DAY + 1).await, 2);
    assert_eq!(cut(start + DAY + 1).await, 0);
    assert_eq!(walked(&world).await, Ok(4));
    let rest = all(&world, &AuditQuery::default()).await;
    assert_eq!(words(&rest), ["three by system", "audit_cut by system"]);
    assert_eq!((rest[0].subject.as_deref(), &*rest[0].detail), (Some("of it"), "why"));
    world.advance(10 * DAY);
    assert_eq!(cut(world.now()).await, 2, "all of it");
    assert_eq!(words(&all(&world, &AuditQuery::default()).await), ["audit_cut by system"]);
    note("four").await;
    assert_eq!(walked(&world).await, Ok(6));
}
