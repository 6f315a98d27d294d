//! The head of the audit trail, kept in a file beside the database: it shows when the newest records were cut off.

use std::{fs, io, path::Path};

use counterfoil_protocol::{UnixTime, encoding::hex};

use crate::{
    audit::Head,
    files,
    partner::link::rfc3339,
    store::{Audit, AuditQuery, StoreError},
    vault::Vault,
};

/// The file in the data directory.
const FILE: &str = "audit-head.json";

/// What is wrong with the end of the trail.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The file cannot be read or written.
    #[error("{FILE}: {0}")]
    File(#[from] io::Error),
    /// The file is not what the server wrote.
    #[error(
        "{FILE} was not written with this server's at-rest key: somebody changed it, or the key"
    )]
    Foreign,
    /// The record is not in the trail any more.
    #[error(
        "record {id}, which the server wrote down at {} as the last, is not in the trail: its end was cut off",
        rfc3339(*at)
    )]
    Shortened {
        /// The record.
        id: i64,
        /// When that was.
        at: UnixTime,
    },
    /// Another record is in its place.
    #[error(
        "record {id} has another hash than the server wrote down at {}: the trail was written anew",
        rfc3339(*at)
    )]
    Rewritten {
        /// The record.
        id: i64,
        /// When that was.
        at: UnixTime,
    },
    /// The record that somebody remembers is not in the trail any more.
    #[error(
        "record {id}, which was remembered, is not in the trail: its end was cut off, or the record is of another trail"
    )]
    Forgotten {
        /// The record.
        id: i64,
    },
    /// Another record is in the place of one that somebody remembers.
    #[error(
        "record {id} has another hash than the one that was remembered: the trail was written anew, or the hash is of another trail"
    )]
    OtherThanRemembered {
        /// The record.
        id: i64,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl HeadError {
    /// The same of a record that somebody remembers, which the server did not write down.
    #[must_use]
    pub fn of_remembered(self) -> Self {
        match self {
            Self::Shortened { id, .. } => Self::Forgotten { id },
            Self::Rewritten { id, .. } => Self::OtherThanRemembered { id },
            other => other,
        }
    }
}

/// The head that was written down, if one was.
pub fn kept(directory: &Path, vault: &Vault) -> Result<Option<Head>, HeadError> {
    match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => Head::read(&text, vault.operations_key()).map(Some).ok_or(HeadError::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the trail still has the record that was written down as its last. One that was cut off from the beginning
/// since, as old, is accounted for by the chain itself.
pub async fn compare(store: &(impl Audit + ?Sized), head: &Head) -> Result<(), HeadError> {
    let (id, at) = (head.id, head.at);
    let found = store.audit_after(&AuditQuery::default(), id - 1, 1).await?;
    match found.first() {
        None => Err(HeadError::Shortened { id, at }),
        Some(record) if record.id == id && hex(&record.hash) != head.hash => {
            Err(HeadError::Rewritten { id, at })
        }
        Some(_) => Ok(()),
    }
}

/// Writes the newest record down, after a look whether the one before is still there. One that is not is left as it
/// is: it is the proof.
pub async fn keep(
    directory: &Path,
    vault: &Vault,
    store: &(impl Audit + ?Sized),
    now: UnixTime,
) -> Result<(), HeadError> {
    let before = kept(directory, vault)?;
    if let Some(head) = &before {
        compare(store, head).await?;
    }
    let newest = store.newest_audit(&AuditQuery::default(), None, 1).await?;
    let Some(last) = newest.first() else { return Ok(()) };
    if before.is_none_or(|head| head.id != last.id) {
        write(directory, vault, &Head::of(last.id, &last.hash, now))?;
    }
    Ok(())
}

/// Writes a head down, whatever was there: after a restore.
pub fn write(directory: &Path, vault: &Vault, head: &Head) -> Result<(), HeadError> {
    let text = head.marked(vault.operations_key());
    Ok(files::write_private(&directory.join(FILE), text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::Actor,
        store::{Deed, Sqlite},
    };

    const NOW: UnixTime = UnixTime(1_800_000_000);

    async fn note(store: &Sqlite) {
        let deed = Deed {
            at: NOW,
            event: "noted",
            actor: Actor::System,
            subject: None,
            detail: String::new(),
        };
        store.note_deed(deed).await.expect("notes");
    }

    #[tokio::test]
    async fn a_trail_that_lost_its_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, vault) = (directory.path(), Vault::new([7; 32]));
        let copy = path.join("copy");
        fs::create_dir(&copy).expect("a directory");
        let store = Sqlite::open(path).expect("opens");
        keep(path, &vault, &store, NOW).await.expect("nothing to write down yet");
        assert_eq!(kept(path, &vault).expect("reads"), None);
        note(&store).await;
        keep(path, &vault, &store, NOW).await.expect("writes");
        note(&store).await;
        Sqlite::copy(path, &copy.join("counterfoil.db")).expect("copies");
        note(&store).await;
        keep(path, &vault, &store, NOW).await.expect("writes");
        let head = kept(path, &vault).expect("reads").expect("a head");
        assert_eq!(head.id, 3);

        // The end is gone; the chain by itself is whole.
        let shorter = Sqlite::open(&copy).expect("opens");
        for _ in 0..2 {
            let kept = keep(path, &vault, &shorter, NOW).await;
            assert!(matches!(kept, Err(HeadError::Shortened { id: 3, .. })), "{kept:?}");
            let error = kept.expect_err("shortened");
            let said = error.to_string();
            assert!(said.contains("wrote down at 2027-01-15T08:00:00Z as the last"), "{said}");
            let said = error.of_remembered().to_string();
            assert!(said.starts_with("record 3, which was remembered, is not"), "{said}");
        }
        note(&shorter).await;
        compare(&shorter, &head).await.expect("the same was noted again, in the same second");
        let other = Deed {
            at: NOW,
            event: "other",
            actor: Actor::System,
            subject: None,
            detail: String::new(),
        };
        shorter.note_deed(other).await.expect("notes");
        let rewritten = Head::of(4, &[0; 32], NOW);
        let compared = compare(&shorter, &rewritten).await;
        assert!(matches!(compared, Err(HeadError::Rewritten { id: 4, .. })), "{compared:?}");
        let said = compared.expect_err("rewritten").of_remembered().to_string();
        assert!(said.starts_with("record 4 has another hash than the one that was rem"), "{said}");

        assert!(matches!(kept(path, &Vault::new([8; 32])), Err(HeadError::Foreign)));
        fs::write(path.join(FILE), "{}").expect("writes");
        assert!(matches!(keep(path, &vault, &store, NOW).await, Err(HeadError::Foreign)));
    }
}
