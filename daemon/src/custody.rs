//! The state directory: one owner at a time, an identity that is born whole and never made a second time.
//!
//! Key and journal belong together. While they are made, a file named `birth` stands beside them; it goes before
//! anything is signed, so a birth that a power cut interrupted is simply begun again. An installation that is given up
//! ends with the same mark: whatever lies beside it is destroyed, and never opened. Without it, a key without
//! its journal, a journal without its key, or either one damaged is a loss that only a person can judge.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use counterfoil_protocol::secret::Secret;
use rustix::fs::{FlockOperation, flock};

use crate::{
    clock::{Clock, Entropy},
    files::{self, Distrust},
    journal::{self, Identity, Journal, JournalError},
    key::{
        self, Credentials, Found, Held, KeyError, KeySettings, KeyStore, Keyring, Leftover, Seal,
        Slot, StaysClosed,
    },
    session::{Facts, Keys},
    surroundings::{self, Standing},
};

const BIRTH_FILE: &str = "birth";
const LOCK_FILE: &str = "lock";

/// Why the daemon does not start at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustodyError {
    /// Another daemon has the state.
    #[error("another counterfoild is using {}; stop it first", dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
    },
    /// Others could change the state.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// The directory cannot be made or used.
    #[error("the state directory {}: {source}", dir.display())]
    Unusable {
        /// The state directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why the state that is there cannot be used. The daemon starts all the same, to say so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    /// The journal is there and the key is not.
    #[error("the key {0} is gone, though this store has one")]
    KeyGone(String),
    /// The key is there and the journal is not.
    #[error("the journal {} is gone, though this store has a key", .0.display())]
    JournalGone(PathBuf),
    /// The key is another than the journal's.
    #[error("the key in {0} is not the one that the journal belongs to")]
    Mismatch(String),
    /// The key is damaged.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The journal is damaged or of a newer daemon.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Damage {
    /// What a person can do about it.
    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::Key(error) => error.next_step(),
            Self::Journal(
                JournalError::Newer { .. }
                | JournalError::StaysClosed { why: StaysClosed::Newer, .. },
            ) => "Install the newer counterfoil again and restart it; the state is untouched.",
            Self::Journal(
                JournalError::Sealed { .. }
                | JournalError::StaysClosed { why: StaysClosed::OtherCredential, .. },
            ) => key::CREDENTIAL_MISSING,
            Self::Journal(JournalError::Unreadable { .. }) => {
                "Make sure that the daemon's user owns the state directory and every file in it, and that the disk is well and not full; then restart the daemon. The state is untouched."
            }
            Self::Journal(JournalError::Unmakeable(_) | JournalError::Storage(_)) => {
                "Make room on the disk, check that the daemon's user can write the state directory, and restart the daemon."
            }
            Self::KeyGone(_)
            | Self::JournalGone(_)
            | Self::Mismatch(_)
            | Self::Journal(JournalError::Damaged { .. } | JournalError::StaysClosed { .. }) => {
                "Restore the whole state directory from a backup and restart the daemon; without one, move the directory away, restart, and press Connect."
            }
        }
    }
}

impl Damage {
    /// Whether it is over as soon as the device with the key is there.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Key(error) if error.is_absence())
    }
}

/// The state directory, held against every other daemon.
#[derive(Debug)]
pub(crate) struct Custody {
    dir: PathBuf,
    /// Who owns the state, and so may do anything here.
    pub(crate) owner: u32,
    /// The flags of a command that leads to this daemon.
    pub(crate) flags: Option<String>,
    _lock: File,
}

/// The user whose daemon made the lock in this state directory; `None` where none did, or it cannot be seen.
pub(crate) fn holder(dir: &Path) -> Option<u32> {
    fs::metadata(dir.join(LOCK_FILE)).ok().map(|metadata| metadata.uid())
}

/// Whether a daemon holds this state directory. The lock itself is not tried: that could keep a daemon from starting.
/// False where it cannot be seen.
pub(crate) fn is_held(dir: &Path) -> bool {
    let (Ok(lock), Ok(locks)) =
        (fs::metadata(dir.join(LOCK_FILE)), fs::read_to_string("/proc/locks"))
    else {
        return false;
    };
    is_listed(&locks, lock.dev(), lock.ino())
}

/// Whether the kernel's list of locks (`proc_locks(5)`) has one by `flock` on this file.
fn is_listed(locks: &str, device: u64, inode: u64) -> bool {
    let file =
        format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    locks.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        // Those who wait are marked by an arrow in the second place.
        words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&file.as_str())
    })
}

/// The state of one installation, ready for use.
#[derive(Debug)]
pub(crate) struct Estate {
    /// Who it is.
    pub(crate) identity: Identity,
    /// Its keys.
    pub(crate) keys: Arc<Keyring>,
    /// Where changes are saved.
    pub(crate) journal: Journal,
    /// What was saved last.
    pub(crate) facts: Facts,
    /// Where it was found, and what says that it is a copy.
    pub(crate) standing: Standing,
}

impl Custody {
    /// Takes the directory: makes it if need be, checks that it is private, and locks it.
    pub(crate) fn take(dir: &Path) -> Result<Self, CustodyError> {
        let unusable = |source| CustodyError::Unusable { dir: dir.to_owned(), source };
        files::create_private_dir(dir).map_err(unusable)?;
        files::check_trusted(dir)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(dir.join(LOCK_FILE))
            .map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(CustodyError::InUse { dir: dir.to_owned() });
            }
            Err(error) => return Err(unusable(error.into())),
        }
        let owner = fs::metadata(dir).map_err(unusable)?.uid();
        Ok(Self { dir: dir.to_owned(), owner, flags: None, _lock: lock })
    }

    /// Opens the installation's state, or brings a new installation into being where there never was one. Says where
    /// it stands, and binds it to where it is if it is at home there. A key that was `held` until now is used where
    /// its file is lost.
    pub(crate) fn open(
        &self,
        settings: &KeySettings,
        held: Option<Held>,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Estate, Damage> {
        let mut estate = self.find_or_bear(settings, held, clock, entropy)?;
        let before = estate.facts.place.clone();
        estate.standing = surroundings::stand(&self.dir, &mut estate.facts);
        estate.standing.flags.clone_from(&self.flags);
        if estate.facts.place != before
            && let Err(error) = estate.journal.save(&estate.facts, clock.now())
        {
            // Every later save writes it too, and until then there is nothing that was not known before.
            tracing::warn!(%error, "the state's place cannot be written down");
        }
        Ok(estate)
    }

    /// Gives up the installation, whose journal nobody may have open: once this has returned, no start opens it ever
    /// again, and the next [`Self::open`] destroys it and makes another. If it fails, everything is as it was.
    pub(crate) fn give_up(&self) -> io::Result<()> {
        let birth = self.dir.join(BIRTH_FILE);
        let Err(error) = files::write_durably(&birth, b"", 0o600) else { return Ok(()) };
        match fs::remove_file(&birth) {
            // The mark stands, and cannot be taken back: what it says will be done.
            Err(_) if birth.exists() => Ok(()),
            _ => Err(error),
        }
    }

    fn find_or_bear(
        &self,
        settings: &KeySettings,
        held: Option<Held>,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Estate, Damage> {
        let [journal, birth] = [journal::FILE, BIRTH_FILE].map(|name| self.dir.join(name));
        let credentials = Credentials::from_environment();
        let seal = key::open_seal(settings, &credentials)?;
        let keys = key::open_store(&self.dir, settings, &credentials, seal.clone())?;
        if birth.exists() {
            // An old rollback journal would be played into the new file.
            for unfinished in [journal::FILE, journal::ROLLBACK_FILE] {
                remove_if_there(&self.dir.join(unfinished))?;
            }
            files::sync_parent(&journal).map_err(JournalError::from)?;
            keys.remove(Slot::B)?;
            return self.bear(keys, Leftover::Replace, (&journal, seal), clock, entropy);
        }
        if journal.exists() {
            return open(keys, held, &journal, seal);
        }
        for slot in Slot::ALL {
            if keys.load(slot)?.is_some() {
                return Err(Damage::JournalGone(journal));
            }
        }
        self.bear(keys, Leftover::Keep, (&journal, seal), clock, entropy)
    }

    fn bear(
        &self,
        keys: Arc<dyn KeyStore>,
        leftover: Leftover,
        (journal, seal): (&Path, Option<Arc<Seal>>),
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Estate, Damage> {
        let birth = self.dir.join(BIRTH_FILE);
        let storage = JournalError::from;
        // A start that was cut short may have made the directory.
        files::sync_above(&self.dir).map_err(storage)?;
        files::write_durably(&birth, b"", 0o600).map_err(storage)?;
        let key = keys.create(Slot::A, leftover, entropy)?;
        let identity = Identity { registration_id: Secret::new(entropy.base64url::<32>()) };
        let named = Keys { since: Some(clock.now()), ..Keys::of(*key.thumbprint()) };
        let facts = Facts { keys: named, ..Facts::default() };
        let journal = Journal::create(journal, &identity, &facts, seal, clock.now())?;
        fs::remove_file(&birth).map_err(storage)?;
        files::sync_parent(&birth).map_err(storage)?;
        let keys = Arc::new(Keyring::new(keys, Slot::A, key));
        Ok(Estate { identity, keys, journal, facts, standing: Standing::default() })
    }
}

fn open(
    keys: Arc<dyn KeyStore>,
    held: Option<Held>,
    journal: &Path,
    seal: Option<Arc<Seal>>,
) -> Result<Estate, Damage> {
    let (journal, identity, mut facts) = Journal::open(journal, seal)?;
    let held = held.filter(|(_, key)| *key.thumbprint() == facts.keys.current);
    let (slot, key) = match (keys.find(&facts.keys.current), held) {
        (Ok(Found::Here(slot, key)), _) => (slot, key),
        // Status says that its file is lost, and how the connection is saved before the daemon is started again.
        (_, Some(held)) => held,
        (Ok(Found::Nothing), None) => return Err(Damage::KeyGone(keys.place(Slot::A))),
        (Ok(Found::OnlyOthers), None) => return Err(Damage::Mismatch(keys.place(Slot::A))),
        (Err(error), None) => return Err(error.into()),
    };
    let keys = Arc::new(Keyring::new(keys, slot, key));
    if let Some(staged) = &facts.keys.staged {
        match keys.load_staged(&staged.key) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(key = %staged.key, "the next key is gone; the one in force stays");
                (facts.keys.staged, facts.rotation) = (None, None);
            }
            // The key in force is there, and that is enough to work with.
            Err(error) => tracing::warn!(%error, "the next key cannot be used at the moment"),
        }
    }
    Ok(Estate { identity, keys, journal, facts, standing: Standing::default() })
}

fn remove_if_there(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;

    const KEY: &str = "key-a.pem";

    fn identity_at(dir: &Path) -> Result<Identity, Damage> {
        let custody = Custody::take(dir).expect("taken");
        custody.open(&KeySettings::default(), None, &System, &System).map(|estate| estate.identity)
    }

    #[test]
    fn a_lock_is_found_in_the_kernels_list() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:8 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 12 fe:00:7 0 EOF\n\
            2: -> FLOCK  ADVISORY  WRITE 13 fe:00:9 0 EOF\n";
        let device = rustix::fs::makedev(0xfe, 0);
        for (device, inode, expected) in [
            (device, 7, true),
            (device, 8, false),
            (device, 9, false),
            (device, 77, false),
            (rustix::fs::makedev(0xfe, 1), 7, false),
        ] {
            assert_eq!(is_listed(locks, device, inode), expected, "{inode}");
        }
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!is_held(dir.path()), "nobody was here");
        assert_eq!(holder(dir.path()), None);
        drop(Custody::take(dir.path()).expect("taken"));
        assert_eq!(holder(dir.path()), Some(rustix::process::geteuid().as_raw()));
    }

    #[test]
    fn an_identity_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        let first = identity_at(&state).expect("born");
        assert_eq!(identity_at(&state).expect("found"), first);
        assert_eq!(first.registration_id.expose().len(), 43);
    }

    #[test]
    fn a_birth_cut_short_is_begun_again() {
        let dir = tempfile::tempdir().expect("a directory");
        for left_behind in [&[][..], &[KEY], &[KEY, journal::FILE]] {
            fs::write(dir.path().join(BIRTH_FILE), "").expect("written");
            for name in left_behind {
                fs::write(dir.path().join(name), "torn").expect("written");
            }
            identity_at(dir.path()).expect("born");
            assert!(!dir.path().join(BIRTH_FILE).exists());
        }
    }

    /// Wherever a kill comes: the copy in safe mode with all it had, or another installation with nothing of it.
    #[test]
    fn a_separation_cut_short_anywhere_leaves_the_one_or_the_other() {
        let parent = tempfile::tempdir().expect("a directory");
        let original = parent.path().join("original");
        let first = identity_at(&original).expect("born");
        let rollback = "journal.db-journal";
        let files = [KEY, "key-b.pem", journal::FILE, rollback];
        // What a step leaves of each file: the old one, none, or a new one that is torn.
        let [old, none, torn] = ["old", "none", "torn"];
        let steps: [(bool, [&str; 4]); 8] = [
            (false, [old, old, old, old]),
            (true, [old, old, old, old]),
            (true, [old, old, none, old]),
            (true, [old, old, none, none]),
            (true, [old, none, none, none]),
            (true, [none, none, none, none]),
            (true, [torn, none, none, none]),
            (true, [torn, none, torn, torn]),
        ];
        for (at, (marked, left)) in steps.into_iter().enumerate() {
            let copy = parent.path().join(format!("copy-{at}"));
            files::create_private_dir(&copy).expect("made");
            for (file, state) in files.iter().zip(left) {
                let source = original.join(if *file == "key-b.pem" { KEY } else { file });
                match state {
                    "old" if *file == rollback => fs::write(copy.join(file), "").expect("written"),
                    "old" => drop(fs::copy(source, copy.join(file)).expect("copied")),
                    "torn" => fs::write(copy.join(file), "torn").expect("written"),
                    _ => {}
                }
            }
            let custody = Custody::take(&copy).expect("taken");
            if marked {
                custody.give_up().expect("given up");
            }
            let open =
                || custody.open(&KeySettings::default(), None, &System, &System).expect("whole");
            let estate = open();
            let is_new = estate.identity != first;
            assert_eq!(is_new, marked, "step {at}");
            assert_eq!(estate.standing.evidence.is_empty(), marked, "step {at}: a copy is known");
            let thumbprint = estate.facts.keys.current;
            if marked {
                let place = estate.facts.place.clone();
                let keys = estate.facts.keys.clone();
                let fresh = Facts { keys, place, ..Facts::default() };
                assert_eq!(estate.facts, fresh, "step {at}: nothing of the copy is left");
                assert!(!copy.join("key-b.pem").exists() && !copy.join(BIRTH_FILE).exists());
            }
            drop(estate);
            assert_eq!(open().facts.keys.current, thumbprint, "step {at}: and it stays so");
        }
        assert_eq!(identity_at(&original).expect("untouched"), first);
    }

    #[test]
    fn what_cannot_be_given_up_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = identity_at(dir.path()).expect("born");
        let custody = Custody::take(dir.path()).expect("taken");
        // Nothing can be written under the temporary name.
        fs::create_dir(dir.path().join("birth.new")).expect("made");
        assert!(custody.give_up().is_err());
        drop(custody);
        assert_eq!(identity_at(dir.path()).expect("still there"), first);
    }

    #[test]
    fn one_without_the_other_is_damage_and_never_a_new_identity() {
        for (lost, kept) in [(KEY, journal::FILE), (journal::FILE, KEY)] {
            let dir = tempfile::tempdir().expect("a directory");
            identity_at(dir.path()).expect("born");
            let evidence = fs::read(dir.path().join(kept)).expect("there");
            fs::remove_file(dir.path().join(lost)).expect("removed");
            assert!(identity_at(dir.path()).is_err(), "{lost}");
            assert!(!dir.path().join(lost).exists(), "{lost}");
            assert_eq!(fs::read(dir.path().join(kept)).expect("there"), evidence);
        }
    }

    #[test]
    fn another_installations_key_is_damage() {
        let (one, other) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        identity_at(one.path()).expect("born");
        identity_at(other.path()).expect("born");
        fs::copy(other.path().join(KEY), one.path().join(KEY)).expect("copied");
        assert!(matches!(identity_at(one.path()), Err(Damage::Mismatch(_))));
    }

    #[test]
    fn two_daemons_never_share_a_state() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Custody::take(dir.path()).expect("taken");
        assert!(matches!(Custody::take(dir.path()), Err(CustodyError::InUse { .. })));
        drop(first);
        Custody::take(dir.path()).expect("taken");
    }
}
