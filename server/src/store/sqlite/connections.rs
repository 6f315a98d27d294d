use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{OptionalExtension, params};

use super::{Sqlite, columns::time};
use crate::store::{Connections, Result};

pub(super) const NOTE_ACCESS: &str =
    "INSERT INTO grant_access (grant_id, at) SELECT id, ?2 FROM grants WHERE id = ?1
     ON CONFLICT DO UPDATE SET at = max(at, excluded.at)";

#[async_trait]
impl Connections for Sqlite {
    async fn note_access(&self, uses: Vec<(String, UnixTime)>) -> Result<()> {
        self.write(move |db| {
            let mut statement = db.prepare_cached(NOTE_ACCESS)?;
            for (grant_id, at) in &uses {
                statement.execute(params![grant_id, at.0])?;
            }
            Ok(())
        })
        .await
    }

    async fn last_access(&self, grant_id: &str) -> Result<Option<UnixTime>> {
        self.read(|db| {
            let sql = "SELECT at FROM grant_access WHERE grant_id = ?";
            Ok(db.prepare_cached(sql)?.query_row([grant_id], |row| time(row, 0)).optional()?)
        })
    }
}
