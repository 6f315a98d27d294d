//! Restoring: first a look at what would be undone, then the database is put in its place.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use counterfoil_protocol::{UnixTime, encoding::hex};

use super::{BackupError, KEYS, MANIFEST, Manifest, Result, at, copy_keys, manifest, measure};
use crate::{
    audit::{Actor, AuditRecord, Head},
    data::DataDir,
    files,
    store::{Audit as _, AuditQuery, Contents, DATABASE, Deed, Frozen},
    trail,
    vault::Vault,
};

/// Records that are read at a time.
const PAGE: u32 = 1000;

/// The most ends that are told one by one.
const TOLD: usize = 10_000;

/// A backup that was looked at and can be restored.
pub struct Plan {
    /// What it is.
    pub manifest: Manifest,
    /// What is in it.
    pub holds: Contents,
    /// Whether a database is there that it would take the place of.
    pub replaces: bool,
    /// What ended since the backup was made, and would stand again: oldest first.
    pub undone: Vec<AuditRecord>,
    /// How many records of the trail would be gone, these among them; 0 where that cannot be told.
    pub lost: u64,
    /// The first of them and the last, by their ids.
    pub newer: Option<(i64, i64)>,
    /// Why it cannot be told what would be undone, when that is so.
    pub unknown: Option<String>,
    from: PathBuf,
    data: DataDir,
    vault: Vault,
    _lock: File,
}

/// What a restore did.
pub struct Restored {
    /// Where the database is now that was in its place.
    pub set_aside: Option<PathBuf>,
    /// Whether there are signing keys; without them the server does not start.
    pub has_signing_keys: bool,
}

impl Plan {
    /// Looks at the backup in `from` and at what is in the data directory. Nothing is changed, but that keys are taken
    /// from the backup where it has some and the data directory has none.
    pub fn look(from: &Path, data_dir: &Path, credentials: Option<&Path>) -> Result<Self> {
        let from = at(from, fs::canonicalize(from))?;
        let manifest = read(&from.join(MANIFEST))?;
        let data = DataDir::open(data_dir)?;
        let lock = not_running(data.path())?;
        let copy = check_database(&from.join(DATABASE), &manifest)?;
        let keys = data.keys_directory();
        if manifest.with_keys && at(&keys, fs::read_dir(&keys))?.next().is_none() {
            copy_keys(&from.join(KEYS), &keys)?;
        }
        let key = data.known_at_rest_key(credentials)?;
        let vault = Vault::new(*key.ok_or_else(|| BackupError::NoKey(data.path().to_owned()))?);
        if !manifest.is_marked(vault.operations_key()) {
            return Err(BackupError::OtherKey);
        }
        let mut plan = Self {
            manifest,
            holds: copy.contents()?,
            replaces: data.had_database(),
            undone: Vec::new(),
            lost: 0,
            newer: None,
            unknown: None,
            from,
            data,
            vault,
            _lock: lock,
        };
        if plan.replaces {
            let compared = plan.compare(&copy);
            plan.unknown = compared
                .unwrap_or_else(|error| Some(format!("the database here cannot be read: {error}")));
        }
        if plan.unknown.is_some() {
            (plan.undone, plan.lost, plan.newer) = (Vec::new(), 0, None);
        }
        Ok(plan)
    }

    /// Reads what the trail here says since the last record of the backup. Answers why it says nothing of that, where it
    /// does not go on from there: then the backup is as good as before, and it is the database here that is another.
    fn compare(&mut self, copy: &Frozen) -> Result<Option<String>> {
        let path = self.data.path().join(DATABASE);
        let here = Frozen::open(&at(&path, fs::canonicalize(&path))?, false)?;
        let mut after = 0;
        if let Some((id, hash)) = copy.last_audit()? {
            match here.audit_after(id - 1, 1)?.first() {
                None => {
                    return Ok(Some(format!(
                        "the audit trail of the database here ends before record {id}, the last of the backup: the backup is the newer one, or of another server"
                    )));
                }
                Some(record) if record.id == id && record.hash != hash => {
                    return Ok(Some(format!(
                        "record {id} of the audit trail, the last of the backup, is another in the database here: an older backup was restored since, or the backup is of another server"
                    )));
                }
                Some(_) => after = id,
            }
        }
        loop {
            let records = here.audit_after(after, PAGE)?;
            let (Some(first), Some(last)) = (records.first(), records.last()) else {
                return Ok(None);
            };
            after = last.id;
            self.newer = Some((self.newer.map_or(first.id, |(first, _)| first), after));
            self.lost += records.len() as u64;
            let ends = records.into_iter().filter(AuditRecord::is_an_end);
            self.undone.extend(ends.take(TOLD - self.undone.len()));
        }
    }

    /// Puts the database in its place, with a note of it at the end of its trail. What was there is set aside, and the
    /// memory of proofs goes: proofs made before the next start are refused for a while.
    pub async fn carry_out(&self, actor: &Actor, now: UnixTime) -> Result<Restored> {
        let directory = self.data.path();
        let database = directory.join(DATABASE);
        let fresh = directory.join(format!("{DATABASE}.restored"));
        at(&fresh, copy_file(&self.from.join(DATABASE), &fresh))?;
        let set_aside = self.replaces.then(|| aside(directory, now)).transpose()?;
        if let Some(aside) = &set_aside {
            for name in [DATABASE.to_owned(), format!("{DATABASE}-wal"), format!("{DATABASE}-shm")]
            {
                let moved = fs::rename(directory.join(&name), aside.join(&name));
                at(&directory.join(&name), absent_is_well(moved))?;
            }
        }
        at(&database, fs::rename(&fresh, &database))?;
        at(directory, File::open(directory).and_then(|opened| opened.sync_all()))?;
        let replay = directory.join("replay");
        for entry in at(&replay, fs::read_dir(&replay))? {
            let path = at(&replay, entry)?.path();
            at(&path, fs::remove_file(&path))?;
        }
        let store = self.data.store()?;
        let deed = Deed {
            at: now,
            event: "restored",
            actor: actor.clone(),
            subject: Some(self.manifest.database_sha256.clone()),
            detail: format!(
                "backup of {}, later records gone: {}",
                self.manifest.created_at.0,
                self.unknown
                    .as_ref()
                    .map_or_else(|| self.lost.to_string(), |_| "unknown".to_owned())
            ),
        };
        store.note_deed(deed).await?;
        let newest = store.newest_audit(&AuditQuery::default(), None, 1).await?;
        if let Some(last) = newest.first() {
            trail::write(directory, &self.vault, &Head::of(last.id, &last.hash, now))?;
        }
        Ok(Restored { set_aside, has_signing_keys: self.data.has_signing_keys() })
    }
}

/// Makes the directory for what is set aside. Each restore has one of its own, also those of one second.
fn aside(directory: &Path, now: UnixTime) -> Result<PathBuf> {
    let mut path = directory.join(format!("before-restore-{}", now.0));
    let mut number = 1_u64;
    loop {
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            made => return at(&path, made).map(|()| path.clone()),
        }
        path = directory.join(format!("before-restore-{}-{number}", now.0));
    }
}

fn read(path: &Path) -> Result<Manifest> {
    let unlisted = || BackupError::Unlisted(path.to_owned());
    let text = fs::read_to_string(path).map_err(|_| unlisted())?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|_| unlisted())?;
    if manifest.format != manifest::FORMAT {
        return Err(BackupError::Newer(manifest.version));
    }
    Ok(manifest)
}

/// The database of the backup, if it is the one of the list and whole.
fn check_database(path: &Path, manifest: &Manifest) -> Result<Frozen> {
    let (bytes, sha256) = at(path, measure(path))?;
    if (bytes, &sha256) != (manifest.database_bytes, &manifest.database_sha256) {
        let said = format!("its SHA-256 is {sha256}, the list says {}", manifest.database_sha256);
        return Err(BackupError::Damaged(said));
    }
    let copy = Frozen::open(path, true)?;
    let last = copy.last_audit()?.map(|(id, hash)| (id, hex(&hash)));
    if copy.schema()? != manifest.schema || last != manifest.audit_last {
        return Err(BackupError::Damaged("it is not what the list says".to_owned()));
    }
    match copy.problems()? {
        problems if problems.is_empty() => Ok(copy),
        problems => Err(BackupError::Damaged(problems.join("; "))),
    }
}

/// Takes the place of a running server, or finds that there is one.
fn not_running(data: &Path) -> Result<File> {
    let replay = data.join("replay");
    at(&replay, files::private_directory(&replay))?;
    let lock = at(&replay, files::try_lock(&replay))?;
    lock.ok_or_else(|| BackupError::Running(data.to_owned()))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.sync_all()
}

fn absent_is_well(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
