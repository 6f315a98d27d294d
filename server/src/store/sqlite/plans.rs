//! How SQLite goes about the statements that must stay fast when there are millions of rows: by an index, never by
//! reading a whole table.

use rusqlite::Connection;

use super::{
    accounts, applications, audit, clients, commerce, connections, credentials, ends, grants,
    identities, partner, people, recovery, schema, webhooks,
};

#[track_caller]
fn check(db: &Connection, sql: &str) {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
    let wanted = statement.parameter_count();
    let nothing = std::iter::repeat_n(rusqlite::types::Null, wanted);
    let steps: Vec<String> = statement
        .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
        .expect("a plan")
        .collect::<rusqlite::Result<_>>()
        .expect("a plan");
    assert!(!steps.is_empty());
    for step in &steps {
        // The view's own rows, which its parts have searched.
        let view = step == "SCAN endpoint";
        assert!(view || !step.starts_with("SCAN"), "{sql}\n{steps:#?}");
    }
}

#[test]
fn no_table_is_read_whole() {
    let mut db = Connection::open_in_memory().expect("memory");
    schema::migrate(&mut db).expect("migrates");
    for (client, company) in [(false, false), (true, false), (false, true), (true, true)] {
        for newest_first in [true, false] {
            check(&db, &audit::statement(client, company, newest_first));
        }
    }
    for sql in [
        accounts::AT_PORTAL,
        accounts::RENAME_AT_PORTAL,
        applications::CONNECTED,
        applications::FORGET_PICTURE,
        &format!("{} {}", clients::SELECT, applications::OF_COMPANY),
        audit::FAMILY,
        audit::FIRST_SINCE,
        audit::GRANT,
        connections::EVENTS,
        connections::LIST,
        connections::NOTE_ACCESS,
        connections::NOTE_OWNERSHIP,
        connections::ONE,
        connections::OWNERSHIP,
        ends::OTHER_GRANTS,
        credentials::END_SESSIONS,
        credentials::FACTOR,
        credentials::RESET,
        credentials::SESSIONS,
        grants::CODE,
        grants::END_FAMILIES_BESIDE,
        grants::END_OTHER_GRANTS,
        grants::FAMILY,
        grants::REUSES,
        grants::SETTLE,
        grants::STANDING,
        identities::OF_PERSON,
        identities::TAKE,
        identities::WAITING,
        identities::WHO,
        partner::HOLDER,
        people::PEOPLE,
        webhooks::APPLICATIONS,
        webhooks::BY_ID,
        webhooks::DUE,
        webhooks::NEXT,
        webhooks::OF_CLIENT,
        webhooks::OF_ENDPOINT,
        webhooks::OF_GRANT,
        webhooks::OLD,
        webhooks::SUBSCRIBED,
        webhooks::WAITS_BEFORE,
        recovery::FORGET,
        partner::INHERIT,
        partner::INHERIT_RECEIPTS,
        partner::LINKS,
        commerce::ACTIVITY,
        &format!("SELECT id FROM customer{}", commerce::AFTER),
        &format!("SELECT id FROM recurring{}", commerce::AFTER),
        &format!("{} WHERE client.id = ?", clients::SELECT),
        &format!("{} WHERE installation.identity = ?", clients::SELECT),
        "SELECT id FROM grants WHERE client_id = ? AND company_id = ? AND revoked_at IS NULL",
        "SELECT client_id FROM installation WHERE approved_at IS NULL AND registered_at <= ?",
    ] {
        check(&db, sql);
    }
}

/// The rows that go with a row that is deleted are found by an index too.
#[test]
fn every_cascade_has_an_index() {
    let mut db = Connection::open_in_memory().expect("memory");
    schema::migrate(&mut db).expect("migrates");
    let cascades =
        "SELECT m.name, f.\"from\" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f
                    WHERE m.type = 'table' AND f.on_delete = 'CASCADE'";
    let mut statement = db.prepare(cascades).expect("a statement");
    let children: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("tables")
        .collect::<rusqlite::Result<_>>()
        .expect("tables");
    assert!(children.len() >= 8, "{children:?}");
    for (table, column) in children {
        check(&db, &format!("DELETE FROM {table} WHERE {column} = ?"));
    }
}

#[test]
fn operators_are_told_how_long_every_table_is_kept() {
    let mut db = Connection::open_in_memory().expect("memory");
    schema::migrate(&mut db).expect("migrates");
    let text = include_str!("../../../../docs/server.md");
    let (_, section) = text.split_once("\n## How long things are kept\n").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let rows = section.lines().filter_map(|row| row.strip_prefix("| ")?.split(" | ").next());
    let told: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut statement = db.prepare(sql).expect("a statement");
    let tables = statement.query_map([], |row| row.get::<_, String>(0)).expect("tables");
    for table in tables {
        let table = table.expect("a name");
        assert!(told.contains(&&*table), "docs/server.md does not say how long {table} is kept");
    }
}
