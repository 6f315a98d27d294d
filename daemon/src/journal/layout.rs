//! The layouts of the journal's file: what each holds, and how an older one is brought forward.
//!
//! 1. The identity names the one key of the installation.
//! 2. The facts name its keys, since there may be two and they change; every attempt and exchange names its own.

use counterfoil_protocol::encoding::sha256;
use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};

/// The layout this daemon writes. A file of a newer one is refused, never guessed at.
pub(super) const CURRENT: i64 = 2;

/// The oldest layout that is read.
pub(super) const OLDEST: i64 = 1;

/// A new file's tables.
pub(super) const SCHEMA: &str = "
    CREATE TABLE identity (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        registration_id TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE facts (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        generation INTEGER NOT NULL,
        document TEXT NOT NULL,
        checksum BLOB NOT NULL,
        saved_at INTEGER NOT NULL
    ) STRICT;
";

/// Brings a whole file of layout 1 forward: one transaction, so it is of the one layout or of the other.
pub(super) fn bring_forward(db: &mut Connection, document: &str) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    let key: String =
        transaction.query_row("SELECT thumbprint FROM identity", [], |row| row.get(0))?;
    let document = with_keys(document, &key)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    transaction.execute(
        "UPDATE facts SET document = ?1, checksum = ?2",
        params![document, sha256(document.as_bytes())],
    )?;
    transaction.execute("ALTER TABLE identity DROP COLUMN thumbprint", [])?;
    transaction.pragma_update(None, "user_version", CURRENT)?;
    transaction.commit()
}

fn with_keys(document: &str, key: &str) -> serde_json::Result<String> {
    let mut facts: Map<String, Value> = serde_json::from_str(document)?;
    for signed in ["pending", "exchange"] {
        if let Some(Value::Object(signed)) = facts.get_mut(signed) {
            signed.insert("key".to_owned(), key.into());
        }
    }
    facts.insert("keys".to_owned(), json!({ "current": key }));
    serde_json::to_string(&facts)
}
