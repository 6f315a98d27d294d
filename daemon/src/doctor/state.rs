//! The state directory: key and journal are there, whole, private, and belong together.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use counterfoil_protocol::jwk::Thumbprint;
use serde_json::Value;

use super::{Finding, trust};
use crate::{
    journal::{self, Journal, JournalError},
    key::{self, Seen, StoreKind},
};

const RESTORE: &str = "Restore the whole state directory from a backup, then run: systemctl restart counterfoild; without a backup, move the directory away, restart, and press Connect";

/// The same beside a daemon that works: what it has in memory is all that there is.
const RESTORE_LATER: &str = "The daemon goes on with what it has in memory: do not restart it before a backup of the whole state directory is at hand; then run: systemctl stop counterfoild, restore the directory, and run: systemctl start counterfoild. Without a backup: move the directory away, restart, and press Connect";

/// Looks at the state in `dir`, whose owner should be `user`. `store` is what keeps the key, if the store's file says it.
pub(super) fn examine(
    dir: &Path,
    user: u32,
    store: Option<StoreKind>,
    live: Option<&Value>,
) -> Vec<Finding> {
    let place = dir.display();
    match fs::metadata(dir).and_then(|metadata| fs::read_dir(dir).map(|_| metadata)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            vec![Finding::warning(
                "state",
                format!(
                    "This user may not look into {place}, so key and journal were not examined."
                ),
                "Run the same command as root or as the daemon's user: sudo counterfoild doctor",
            )]
        }
        Err(_) if live.is_some_and(|live| live.pointer("/daemon/state_dir").is_some()) => {
            vec![Finding::problem(
                "state",
                format!(
                    "{place} is gone, and the daemon that answers works with it: key and journal are in its memory alone, and the next start would find neither."
                ),
                "Put the whole directory back where it was now, and do not restart the daemon before; without it, restart and press Connect",
            )]
        }
        Err(_) => {
            vec![Finding::warning(
                "state",
                format!(
                    "There is no state at {place}: no daemon has run with it yet, or it runs with another."
                ),
                "Start the daemon, or name its directory: counterfoild doctor --state-dir DIR",
            )]
        }
        Ok(metadata) => {
            let mut findings = vec![trust::trusted("state", "The state directory", dir, user)];
            findings.extend(private(dir, metadata.mode()));
            let path = dir.join(journal::FILE);
            let journal = path.exists().then(|| Journal::look(&path));
            let live = live.and_then(Live::told);
            findings.extend(judge(&key::look(dir), journal.as_ref(), store, live));
            findings
        }
    }
}

fn private(dir: &Path, mode: u32) -> Option<Finding> {
    let mode = mode & 0o7777;
    (mode & 0o077 != 0).then(|| {
        Finding::warning(
            "state_mode",
            format!("Others may look into the state directory (mode {mode:o})."),
            format!("Run: chmod 700 {}", dir.display()),
        )
    })
}

/// The key that the daemon works with.
#[derive(Clone, Copy, Debug)]
struct Live {
    key: Thumbprint,
    /// It was read from a file, which the next start needs again.
    from_file: bool,
}

impl Live {
    /// What a daemon tells of it.
    fn told(live: &Value) -> Option<Self> {
        let text = |path: &str| live.pointer(path).and_then(Value::as_str);
        let key = text("/thumbprint")?.parse().ok()?;
        Some(Self { key, from_file: text("/key/store") == Some("file") })
    }
}

/// Judges what was seen of key and journal, beside the key that the daemon works with.
fn judge(
    keys: &[Seen],
    journal: Option<&Result<Option<Thumbprint>, JournalError>>,
    store: Option<StoreKind>,
    live: Option<Live>,
) -> Vec<Finding> {
    let restore = if live.is_some() { RESTORE_LATER } else { RESTORE };
    let mut findings = Vec::new();
    let current = match journal {
        Some(Ok(current)) => {
            findings.push(Finding::ok("journal", "The journal is whole."));
            *current
        }
        None if keys.is_empty() && live.is_none() => {
            findings.push(Finding::ok(
                "journal",
                "There is no journal and no key yet; the daemon makes both when it starts.",
            ));
            return findings;
        }
        None => {
            findings.push(Finding::problem(
                "journal",
                "The journal is gone, though there is a key.",
                restore,
            ));
            None
        }
        Some(Err(JournalError::Unreadable { why, .. })) => {
            findings.push(Finding::warning(
                "journal",
                format!("The journal could not be examined: {why}."),
                "Run the same command as root, and start the daemon: it finishes what a crash left behind",
            ));
            None
        }
        Some(Err(error @ JournalError::Newer { .. })) => {
            findings.push(Finding::problem(
                "journal",
                format!("{error}."),
                "Install the newer counterfoil again, then run: systemctl restart counterfoild",
            ));
            None
        }
        Some(Err(error)) => {
            findings.push(Finding::problem("journal", format!("{error}."), restore));
            None
        }
    };
    for seen in keys {
        if is_open(seen) {
            let place = seen.path.display();
            findings.push(Finding::problem(
                "key_mode",
                format!("Others can read the key {place} (mode {:o}).", seen.mode),
                format!("Run: chmod 600 {place} && counterfoild reload; if others may have read it, then also: counterfoild key rotate"),
            ));
        }
    }
    findings.extend(belonging(keys, current, store, live));
    findings
}

/// Whether others can read it; such a file is not used.
fn is_open(seen: &Seen) -> bool {
    seen.mode & 0o077 != 0
}

/// Whether the journal's key is there.
fn belonging(
    keys: &[Seen],
    current: Option<Thumbprint>,
    store: Option<StoreKind>,
    live: Option<Live>,
) -> Option<Finding> {
    // It was not read for its mode, and that is said already.
    let unread = keys.iter().any(|seen| seen.thumbprint.is_none() && is_open(seen));
    if let Some(live) = live.filter(|live| current.is_none_or(|current| live.key == current)) {
        let key = live.key;
        if !live.from_file || keys.iter().any(|seen| seen.thumbprint == Some(key)) {
            let says = format!("The daemon works with the journal's key ({key}).");
            return Some(Finding::ok("key", says));
        }
        return (!unread).then(|| {
            Finding::problem(
                "key",
                format!("The daemon has the journal's key ({key}) in its memory alone: no file holds it any more, and the next start would not find it."),
                "Put the key's file back into the state directory now, and do not restart the daemon before; if the file is lost, have the daemon put another key in force while it has this one: counterfoild key rotate",
            )
        });
    }
    let current = current?;
    let found = keys.iter().find(|seen| seen.thumbprint == Some(current));
    Some(match found {
        Some(seen) if seen.sealed => Finding::ok(
            "key",
            format!("The journal's key is there ({current}), sealed with the credential."),
        ),
        Some(_) => Finding::ok("key", format!("The journal's key is there ({current}).")),
        None if keys.is_empty() && store == Some(StoreKind::File) => Finding::problem(
            "key",
            format!(
                "The journal's key ({current}) is gone: its file is not there, and the store's file names no other place for it."
            ),
            RESTORE,
        ),
        None if keys.is_empty() => Finding::warning(
            "key",
            format!(
                "No file holds the journal's key ({current}). It is in a token or a TPM, or it is gone."
            ),
            "Start the daemon: it looks into the token or the TPM that [key] in the store's file names; then run: counterfoild status",
        ),
        None if unread => return None,
        None => Finding::problem(
            "key",
            format!(
                "No file holds the journal's key ({current}); what is there is another, or damaged."
            ),
            RESTORE,
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::doctor::Level;

    const KEY: Thumbprint = Thumbprint([1; 32]);
    const OTHER: Thumbprint = Thumbprint([2; 32]);

    fn seen(thumbprint: Option<Thumbprint>, mode: u32) -> Seen {
        Seen { path: PathBuf::from("/state/key-a.pem"), mode, sealed: false, thumbprint }
    }

    #[track_caller]
    fn check(
        keys: &[Seen],
        journal: Option<&Result<Option<Thumbprint>, JournalError>>,
        live: Option<Live>,
        expected: &[(&str, Level)],
    ) {
        let findings = judge(keys, journal, None, live);
        let told: Vec<_> = findings.iter().map(|it| (it.check, it.level)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn key_and_journal_belong_together() {
        let good = [seen(Some(KEY), 0o600)];
        let (ok, problem, warning) = (Level::Ok, Level::Problem, Level::Warning);
        check(&good, Some(&Ok(Some(KEY))), None, &[("journal", ok), ("key", ok)]);
        let [device, file] = [false, true].map(|from_file| Some(Live { key: KEY, from_file }));
        check(&[], Some(&Ok(Some(KEY))), device, &[("journal", ok), ("key", ok)]);
        check(&[], Some(&Ok(Some(KEY))), file, &[("journal", ok), ("key", problem)]);
        check(
            &[seen(Some(OTHER), 0o600)],
            Some(&Ok(Some(KEY))),
            file,
            &[("journal", ok), ("key", problem)],
        );
        check(
            &[seen(None, 0o644)],
            Some(&Ok(Some(KEY))),
            file,
            &[("journal", ok), ("key_mode", problem)],
        );
        check(&[], None, file, &[("journal", problem), ("key", problem)]);
        check(&[], Some(&Ok(Some(KEY))), None, &[("journal", ok), ("key", warning)]);
        check(&good, Some(&Ok(None)), None, &[("journal", ok)]);
        check(&good, Some(&Ok(None)), file, &[("journal", ok), ("key", ok)]);
        check(
            &[seen(Some(OTHER), 0o600)],
            Some(&Ok(Some(KEY))),
            None,
            &[("journal", ok), ("key", problem)],
        );
        check(
            &[seen(None, 0o600)],
            Some(&Ok(Some(KEY))),
            None,
            &[("journal", ok), ("key", problem)],
        );
        check(
            &[seen(Some(KEY), 0o640)],
            Some(&Ok(Some(KEY))),
            None,
            &[("journal", ok), ("key_mode", problem), ("key", ok)],
        );
        check(
            &[seen(None, 0o644)],
            Some(&Ok(Some(KEY))),
            None,
            &[("journal", ok), ("key_mode", problem)],
        );
        check(&[], None, None, &[("journal", ok)]);
        check(&good, None, None, &[("journal", problem)]);
        check(&good, Some(&Err(JournalError::Newer { found: 9 })), None, &[("journal", problem)]);
        let path = PathBuf::from("/state/journal.db");
        let damaged = JournalError::Damaged { path: path.clone(), why: "torn".to_owned() };
        check(&good, Some(&Err(damaged)), None, &[("journal", problem)]);
        let unreadable = JournalError::Unreadable { path, why: "no".to_owned() };
        check(&good, Some(&Err(unreadable)), None, &[("journal", warning)]);
    }

    #[test]
    fn a_key_that_no_file_holds_is_gone_where_files_keep_it() {
        let journal = Ok(Some(KEY));
        for (store, level, words) in [
            (Some(StoreKind::File), Level::Problem, "is gone: its file is not there"),
            (Some(StoreKind::Tpm), Level::Warning, "in a token or a TPM"),
            (None, Level::Warning, "in a token or a TPM"),
        ] {
            let findings = judge(&[], Some(&journal), store, None);
            let key = findings.iter().find(|it| it.check == "key").expect("of the key");
            assert_eq!(key.level, level, "{store:?}");
            assert!(key.says.contains(words), "{}", key.says);
            assert_eq!(key.next_step.as_deref() == Some(RESTORE), level == Level::Problem);
        }
    }

    #[test]
    fn beside_a_daemon_that_works_nothing_is_restarted_before_the_journal_is_back() {
        let path = PathBuf::from("/state/journal.db");
        let damaged = Err(JournalError::Damaged { path, why: "torn".to_owned() });
        let keys = [seen(Some(KEY), 0o600)];
        let live = Some(Live { key: KEY, from_file: true });
        for journal in [None, Some(&damaged)] {
            for (live, expected) in [(live, RESTORE_LATER), (None, RESTORE)] {
                let findings = judge(&keys, journal, Some(StoreKind::File), live);
                let found = findings.iter().find(|it| it.check == "journal").expect("of it");
                assert_eq!(found.next_step.as_deref(), Some(expected));
            }
        }
        let [wait, stop] = ["do not restart it", "systemctl stop"].map(|it| RESTORE_LATER.find(it));
        assert!(wait.is_some() && wait < stop);
    }

    #[test]
    fn a_directory_of_our_own_is_examined_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("state");
        crate::files::create_private_dir(&place).expect("made");
        let user = rustix::process::geteuid().as_raw();
        let findings = examine(&place, user, None, None);
        assert!(findings.iter().all(|it| it.level == Level::Ok), "{findings:?}");
        fs::write(place.join(journal::FILE), "torn").expect("written");
        let findings = examine(&place, user, None, None);
        assert!(findings.iter().any(|it| it.check == "journal" && it.level == Level::Problem));
        assert_eq!(fs::read(place.join(journal::FILE)).expect("there"), b"torn");
        let missing = examine(&dir.path().join("none"), user, None, None);
        assert_eq!(missing[0].level, Level::Warning);
        let live = serde_json::json!({ "daemon": { "state_dir": "/s" } });
        let moved = examine(&dir.path().join("none"), user, None, Some(&live));
        assert_eq!((moved.len(), moved[0].level), (1, Level::Problem), "a daemon works with it");
    }
}
