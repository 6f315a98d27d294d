//! Whether the database is whole.

use rusqlite::Connection;

use super::{Result, Sqlite};

impl Sqlite {
    /// What SQLite finds wrong with the file; nothing when it is whole.
    pub fn problems(&self) -> Result<Vec<String>> {
        self.read(problems)
    }
}

pub(super) fn problems(db: &Connection) -> Result<Vec<String>> {
    let mut said = db.prepare("PRAGMA integrity_check(20)")?;
    let said = said.query_map([], |row| row.get(0))?;
    let mut problems: Vec<String> = said.collect::<rusqlite::Result<_>>()?;
    problems.retain(|line| line != "ok");
    let mut orphans = db.prepare("PRAGMA foreign_key_check")?;
    let orphans = orphans.query_map([], |row| row.get::<_, String>(0))?;
    for table in orphans.take(20) {
        problems.push(format!("a row of {} points nowhere", table?));
    }
    Ok(problems)
}
