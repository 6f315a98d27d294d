//! The schema and its migrations, counted in `user_version`.

use rusqlite::{Connection, TransactionBehavior};

use super::{Result, StoreError, audit};

const MIGRATIONS: [&str; 9] = [
    include_str!("../../../migrations/0001_first.sql"),
    include_str!("../../../migrations/0002_audit.sql"),
    include_str!("../../../migrations/0003_people.sql"),
    include_str!("../../../migrations/0004_applications.sql"),
    include_str!("../../../migrations/0005_webhooks.sql"),
    include_str!("../../../migrations/0006_commerce.sql"),
    include_str!("../../../migrations/0007_connections.sql"),
    include_str!("../../../migrations/0008_identities.sql"),
    include_str!("../../../migrations/0009_receipts.sql"),
];

/// The migration after which the records of before are chained: SQL has no SHA-256.
const AUDIT: usize = 1;

/// The newest schema that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("few migrations")
}

/// Whether the audit records of a schema are chained.
pub(super) fn has_chain(version: i64) -> bool {
    usize::try_from(version).is_ok_and(|version| version > AUDIT)
}

/// Brings the database to the newest schema. A newer one is refused.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let known = known();
    let version = |connection: &Connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
    };
    if version(connection)? == known {
        return Ok(());
    }
    // Another process may be doing the same; whoever takes the lock second finds it done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (at, migration) in
        MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or_default())
    {
        transaction.execute_batch(migration)?;
        if at == AUDIT {
            audit::take_over(&transaction)?;
        }
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

/// An empty database of an older schema.
#[cfg(test)]
pub(super) fn migrate_to(connection: &Connection, version: u8) {
    for migration in &MIGRATIONS[..usize::from(version)] {
        connection.execute_batch(migration).expect("migrates");
    }
    connection.pragma_update(None, "user_version", version).expect("sets");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_empty_and_again() {
        let mut connection = Connection::open_in_memory().expect("memory");
        migrate(&mut connection).expect("migrates");
        migrate(&mut connection).expect("changes nothing");
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().expect("memory");
        connection.pragma_update(None, "user_version", 999).expect("sets");
        assert!(matches!(migrate(&mut connection), Err(StoreError::Newer { found: 999, .. })));
    }
}
