//! The audit trail: each event is written in the transaction in which it happens, chained to the one before.
//!
//! The last hash is read inside that transaction, which holds the one write lock of the database: the server's writer
//! and an operator's command cannot both follow the same record.

use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, encoding::hex};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{Sqlite, columns::time};
use crate::{
    audit::{Actor, AuditEvent, AuditRecord, CUT},
    store::{Audit, AuditQuery, Deed, Result},
};

pub(super) const LAST: &str = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1";

const OLDEST: &str = "SELECT id, at FROM audit ORDER BY id LIMIT 1";

/// The first record from a time on, looked for from the oldest on.
pub(super) const FIRST_SINCE: &str =
    "SELECT id FROM audit WHERE id >= ? AND at >= ? ORDER BY id LIMIT 1";

/// The most records that one write cuts off: everybody else's writes wait behind it.
const MAX_CUT: i64 = 20_000;

const INSERT: &str =
    "INSERT INTO audit (id, at, event, actor, client_id, company_id, subject, detail, previous, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

pub(super) const GRANT: &str = "SELECT client_id, company_id FROM grants WHERE id = ?";

pub(super) const FAMILY: &str = "SELECT client_id, company_id FROM grants
    WHERE id = (SELECT grant_id FROM family WHERE id = ?)";

/// Notes what happened, in the transaction in which it happens.
pub(super) fn note(db: &Connection, event: &AuditEvent<'_>) -> Result<()> {
    let last = db
        .prepare_cached(LAST)?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
        .optional()?;
    let (id, previous) = last.map_or((1, [0; 32]), |(id, hash)| (id + 1, hash));
    let record = AuditRecord::of(event, id, previous);
    db.prepare_cached(INSERT)?.execute(params![
        record.id,
        record.at.0,
        record.event,
        record.actor,
        record.client_id,
        record.company_id,
        record.subject,
        record.detail,
        record.previous,
        record.hash
    ])?;
    Ok(())
}

/// Notes what happened to a grant, with its client and company.
pub(super) fn of_grant(db: &Connection, event: AuditEvent<'_>, grant_id: &str) -> Result<()> {
    of_row(db, event, GRANT, grant_id)
}

/// Notes what happened to a family, with its client and company.
pub(super) fn of_family(db: &Connection, event: AuditEvent<'_>, family: &[u8; 16]) -> Result<()> {
    of_row(db, event, FAMILY, family)
}

fn of_row(db: &Connection, event: AuditEvent<'_>, sql: &str, id: impl ToSql) -> Result<()> {
    let (client_id, company_id) = holder(db, sql, id)?;
    note(db, &event.client(&client_id).company(&company_id))
}

/// Notes what a client did to the grant or family that `sql` finds, which is its own.
pub(super) fn by_holder(
    db: &Connection,
    now: UnixTime,
    event: &str,
    detail: &str,
    (sql, id): (&str, &dyn ToSql),
) -> Result<()> {
    let (client_id, company_id) = holder(db, sql, id)?;
    let actor = Actor::Client(client_id.clone());
    let event = AuditEvent::new(now, event, &actor).client(&client_id).company(&company_id);
    note(db, &event.detail(detail))
}

fn holder(db: &Connection, sql: &str, id: impl ToSql) -> Result<(String, String)> {
    Ok(db.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Chains the records of before the chain, in their order.
pub(super) fn take_over(db: &Connection) -> Result<()> {
    let mut before = db
        .prepare("SELECT at, event, client_id, company_id, detail FROM audit_before ORDER BY id")?;
    let mut rows = before.query([])?;
    while let Some(row) = rows.next()? {
        let (event, client_id): (String, String) = (row.get(1)?, row.get(2)?);
        let (company_id, detail): (Option<String>, String) = (row.get(3)?, row.get(4)?);
        let actor = match event.as_str() {
            "approved" => Actor::User(detail.clone()),
            "released" => Actor::Operator("unknown".to_owned()),
            _ => Actor::System,
        };
        let mut event = AuditEvent::new(time(row, 0)?, &event, &actor).client(&client_id);
        event.company_id = company_id.as_deref();
        note(db, &event.detail(&detail))?;
    }
    drop(rows);
    drop(before);
    Ok(db.execute_batch("DROP TABLE audit_before")?)
}

/// Cuts off the records before `before`, and notes it: the record of the cut holds the hash that the rest follows.
///
/// Nothing is cut before the oldest is a day older than that, so that there is a cut a day and not one a minute.
fn cut(db: &Connection, before: UnixTime, now: UnixTime) -> Result<usize> {
    const DAY: i64 = 24 * 3600;
    let oldest: Option<(i64, i64)> =
        db.query_row(OLDEST, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((first, _)) = oldest.filter(|(_, at)| *at < before.0 - DAY) else { return Ok(0) };
    let kept: Option<i64> = db
        .prepare_cached(FIRST_SINCE)?
        .query_row(params![first, before.0], |row| row.get(0))
        .optional()?;
    let whole = "SELECT max(id) + 1 FROM audit";
    let kept = kept.map_or_else(|| db.query_row(whole, [], |row| row.get(0)), Ok)?;
    let (last_cut, hash): (i64, [u8; 32]) = db
        .prepare_cached("SELECT id, hash FROM audit WHERE id = ?")?
        .query_row([(kept - 1).min(first + MAX_CUT)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (subject, detail) = (last_cut.to_string(), hex(&hash));
    let event = AuditEvent::new(now, CUT, &Actor::System);
    note(db, &event.subject(&subject).detail(&detail))?;
    Ok(db.prepare_cached("DELETE FROM audit WHERE id <= ?")?.execute([last_cut])?)
}

#[async_trait]
impl Audit for Sqlite {
    async fn note_deed(&self, deed: Deed) -> Result<()> {
        self.write(move |db| {
            let event = AuditEvent::new(deed.at, deed.event, &deed.actor).detail(&deed.detail);
            note(db, &AuditEvent { subject: deed.subject.as_deref(), ..event })
        })
        .await
    }

    async fn cut_audit(&self, before: UnixTime, now: UnixTime) -> Result<usize> {
        self.write(move |db| cut(db, before, now)).await
    }

    async fn newest_audit(
        &self,
        query: &AuditQuery,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>> {
        self.read(|db| records(db, query, true, before.unwrap_or(i64::MAX), limit))
    }

    async fn audit_after(
        &self,
        query: &AuditQuery,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>> {
        self.read(|db| records(db, query, false, after, limit))
    }
}

/// The statement that reads records about a client, a company, or both. Besides these: ?1 the record that they come
/// before or after, ?2 how many, ?3 and ?4 the time.
pub(super) fn statement(client: bool, company: bool, newest_first: bool) -> String {
    let about = match (client, company) {
        (false, false) => "",
        (true, false) => " AND client_id = ?5",
        (false, true) => " AND company_id = ?5",
        (true, true) => " AND client_id = ?5 AND company_id = ?6",
    };
    let (side, order) = if newest_first { ("<", "DESC") } else { (">", "ASC") };
    format!(
        "SELECT id, at, event, actor, client_id, company_id, subject, detail, previous, hash FROM audit
         WHERE id {side} ?1{about} AND at >= ?3 AND at < ?4 ORDER BY id {order} LIMIT ?2"
    )
}

pub(super) fn records(
    db: &Connection,
    query: &AuditQuery,
    newest_first: bool,
    from: i64,
    limit: u32,
) -> Result<Vec<AuditRecord>> {
    let AuditQuery { client_id, company_id, since, until } = query;
    let sql = statement(client_id.is_some(), company_id.is_some(), newest_first);
    let since = since.unwrap_or(UnixTime(i64::MIN)).0;
    let until = until.unwrap_or(UnixTime(i64::MAX)).0;
    let mut values: Vec<&dyn ToSql> = vec![&from, &limit, &since, &until];
    values.extend([client_id, company_id].into_iter().flatten().map(|id| id as &dyn ToSql));
    let mut statement = db.prepare_cached(&sql)?;
    let records = statement.query_map(values.as_slice(), record)?;
    Ok(records.collect::<rusqlite::Result<_>>()?)
}

fn record(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    Ok(AuditRecord {
        id: row.get(0)?,
        at: time(row, 1)?,
        event: row.get(2)?,
        actor: row.get(3)?,
        client_id: row.get(4)?,
        company_id: row.get(5)?,
        subject: row.get(6)?,
        detail: row.get(7)?,
        previous: row.get(8)?,
        hash: row.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Broken, Chain},
        store::sqlite::schema,
    };

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn trail(length: i64) -> Connection {
        let mut db = Connection::open_in_memory().expect("memory");
        schema::migrate(&mut db).expect("migrates");
        for at in 0..length {
            note(&db, &AuditEvent::new(NOW + at, "noted", &Actor::System)).expect("notes");
        }
        db
    }

    fn walk(db: &Connection) -> std::result::Result<Option<i64>, Broken> {
        let mut chain = Chain::default();
        for record in records(db, &AuditQuery::default(), false, i64::MIN, 1000).expect("reads") {
            chain.take(&record)?;
        }
        Ok(chain.end()?.map(|(id, _)| id))
    }

    #[test]
    fn what_somebody_does_to_the_file_is_found() {
        for (sql, expected) in [
            ("SELECT 1", Ok(Some(9))),
            ("UPDATE audit SET detail = 'other' WHERE id = 4", Err(Broken::Changed { id: 4 })),
            ("UPDATE audit SET actor = 'user:eve' WHERE id = 9", Err(Broken::Changed { id: 9 })),
            ("DELETE FROM audit WHERE id = 4", Err(Broken::Missing { id: 4, found: 5 })),
            ("DELETE FROM audit WHERE id < 4", Err(Broken::Beheaded { id: 4 })),
            (
                "UPDATE audit SET id = -1 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 5;
                 UPDATE audit SET id = 5 WHERE id = -1",
                Err(Broken::Unlinked { id: 4 }),
            ),
            (
                "DELETE FROM audit WHERE id = 4; UPDATE audit SET id = id - 1 WHERE id > 4",
                Err(Broken::Unlinked { id: 4 }),
            ),
            (
                "INSERT INTO audit SELECT 10, at, event, actor, client_id, company_id, subject, detail, previous, hash
                 FROM audit WHERE id = 9",
                Err(Broken::Unlinked { id: 10 }),
            ),
        ] {
            let db = trail(9);
            db.execute_batch(sql).expect("is done");
            assert_eq!(walk(&db), expected, "{sql}");
        }
    }

    #[test]
    fn what_was_noted_before_there_was_a_chain() {
        let mut db = Connection::open_in_memory().expect("memory");
        schema::migrate_to(&db, 1);
        db.execute_batch(
            "INSERT INTO audit (at, event, client_id, company_id, detail) VALUES
             (5, 'approved', 'shop', 'acme', 'ann'), (6, 'released', 'shop', NULL, '')",
        )
        .expect("fills");
        schema::migrate(&mut db).expect("migrates");
        assert_eq!(walk(&db), Ok(Some(2)));
        let found = records(&db, &AuditQuery::client("shop"), false, 0, 9).expect("reads");
        let told = found.iter().map(|r| (r.at.0, &*r.event, &*r.actor, r.company_id.as_deref()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [(5, "approved", "user:ann", Some("acme")), (6, "released", "operator:unknown", None)]
        );
    }
}
