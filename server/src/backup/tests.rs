use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::{
    audit::{Actor, AuditRecord, Chain},
    clock::fixed::CountingEntropy,
    data::DataDir,
    store::{Accounts as _, Audit as _, AuditQuery, Company, Contents, Deed},
};

const NOW: UnixTime = UnixTime(1_800_000_000);

/// A data directory with a company, and a place for backups.
struct Place {
    outer: TempDir,
    vault: Vault,
}

impl Place {
    async fn new() -> Self {
        let outer = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(&outer.path().join("data")).expect("opens");
        let entropy = CountingEntropy::default();
        let vault = Vault::new(*data.at_rest_key(None, &entropy).expect("a key"));
        data.signing_keys(&entropy, NOW).expect("keys");
        let place = Self { outer, vault };
        place.add("acme").await;
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.outer.path().join(name)
    }

    fn store(&self) -> Sqlite {
        DataDir::open(&self.path("data")).expect("opens").store().expect("opens")
    }

    async fn add(&self, name: &str) {
        let company = Company { id: name.to_owned(), name: name.to_owned() };
        assert!(self.store().add_company(company, NOW).await.expect("adds"));
    }

    async fn note(&self) {
        let (actor, subject, detail) = (Actor::System, None, String::new());
        let deed = Deed { at: NOW, event: "noted", actor, subject, detail };
        self.store().note_deed(deed).await.expect("notes");
    }

    async fn close(&self, name: &str) {
        let closed = self.store().close_company(name, &Actor::System, NOW).await;
        assert!(closed.expect("closes").is_some());
    }

    fn back_up(&self, name: &str, with_keys: bool) -> Result<Manifest> {
        make(&self.path("data"), &self.path(name), with_keys, &self.vault, NOW)
    }

    fn look(&self, backup: &str, data: &str) -> Result<Plan> {
        Plan::look(&self.path(backup), &self.path(data), None)
    }
}

/// Whether somebody who is not the owner may do anything with what is in a directory, or it itself.
fn is_private(path: &Path) -> bool {
    let mode = fs::metadata(path).expect("is there").permissions().mode();
    let inside = |entry: io::Result<fs::DirEntry>| is_private(&entry.expect("an entry").path());
    mode.trailing_zeros() >= 6 && (path.is_file() || fs::read_dir(path).expect("reads").all(inside))
}

#[tokio::test]
async fn there_and_back() {
    let place = Place::new().await;
    place.back_up("backup", false).expect("backs up");
    assert!(is_private(&place.path("backup")));
    assert!(!place.path("backup/keys").exists());
    place.add("bolt").await;
    place.close("acme").await;

    let plan = place.look("backup", "data").expect("fits");
    assert!(plan.replaces);
    let events = plan.undone.iter().map(|record: &AuditRecord| &*record.event);
    assert_eq!((events.collect::<Vec<_>>(), &plan.unknown), (vec!["company_closed"], &None));
    let done = plan.carry_out(&Actor::Operator("root".to_owned()), NOW).await.expect("restores");
    drop(plan);
    let aside = done.set_aside.expect("something was there");
    assert!(done.has_signing_keys && aside.join(DATABASE).exists() && is_private(&aside));
    let store = place.store();
    assert!(store.company("acme").await.expect("reads").is_some());
    assert!(store.company("bolt").await.expect("reads").is_none());
    let mut chain = Chain::default();
    let trail = store.audit_after(&AuditQuery::default(), 0, 100).await.expect("reads");
    for record in &trail {
        chain.take(record).expect("whole");
    }
    assert_eq!(trail.last().map(|record| &*record.event), Some("restored"));
    crate::trail::keep(&place.path("data"), &place.vault, &store, NOW).await.expect("a new head");
}

#[tokio::test]
async fn an_older_backup_then_a_newer_one() {
    let place = Place::new().await;
    place.note().await;
    place.back_up("old", false).expect("backs up");
    place.add("bolt").await;
    place.note().await;
    let aside = |done: crate::backup::restore::Restored| done.set_aside.expect("one was there");
    let restore = |backup: &'static str| place.look(backup, "data").expect("sound");

    let plan = restore("old");
    assert_eq!((plan.lost, plan.newer, &plan.unknown), (1, Some((2, 2)), &None));
    drop(plan);
    place.back_up("new", false).expect("backs up");
    let plan = restore("new");
    assert_eq!((plan.lost, plan.newer, &plan.unknown), (0, None, &None));
    drop(plan);

    // Each puts another database in its place, all within one second.
    let mut asides = Vec::new();
    for (backup, unknown) in [
        ("old", None),
        ("new", Some("record 2 of the audit trail, the last of the backup, is another")),
        ("new", None),
    ] {
        let plan = restore(backup);
        let said = plan.unknown.as_deref().unwrap_or_default();
        assert!(said.starts_with(unknown.unwrap_or_default()), "{said}");
        assert_eq!(plan.unknown.is_some(), unknown.is_some(), "{said}");
        assert!(!said.contains("damaged"), "{said}");
        asides.push(aside(plan.carry_out(&Actor::System, NOW).await.expect("restores")));
    }
    let names = ["", "-2", "-3"].map(|end| format!("before-restore-{}{end}", NOW.0));
    assert_eq!(asides, names.map(|name| place.path("data").join(name)));
    for (directory, companies) in asides.iter().zip([2, 1, 2]) {
        assert!(is_private(directory));
        let kept = Frozen::open(&directory.join(DATABASE), false).expect("opens");
        assert_eq!(kept.contents().expect("reads").companies, companies);
    }
    let trail = place.store().newest_audit(&AuditQuery::default(), None, 1).await.expect("reads");
    assert!(trail[0].detail.ends_with("later records gone: 1"), "{}", trail[0].detail);

    // The trail here ends before that of the backup.
    fs::remove_file(place.path("data").join(DATABASE)).expect("removes");
    place.store();
    let said = restore("new").unknown.expect("another database");
    assert!(said.contains("ends before record 2, the last of the backup"), "{said}");
}

#[tokio::test]
async fn a_damaged_backup_leaves_everything_as_it_is() {
    let place = Place::new().await;
    place.back_up("backup", false).expect("backs up");
    place.add("bolt").await;
    let database = place.path("backup").join(DATABASE);
    let mut bytes = fs::read(&database).expect("reads");
    bytes[5000] ^= 1;
    fs::write(&database, bytes).expect("writes");
    assert!(matches!(place.look("backup", "data"), Err(BackupError::Damaged(_))));
    assert!(place.store().company("bolt").await.expect("reads").is_some());
    let aside = |entry: io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().starts_with("before-restore")
    };
    assert!(!fs::read_dir(place.path("data")).expect("reads").any(aside));
}

#[tokio::test]
async fn to_another_machine() {
    let place = Place::new().await;
    place.back_up("bare", false).expect("backs up");
    place.back_up("whole", true).expect("backs up");
    assert!(is_private(&place.path("whole")));
    assert!(matches!(place.look("bare", "new"), Err(BackupError::NoKey(_))));
    let plan = place.look("whole", "new").expect("fits");
    assert!(!plan.replaces && plan.undone.is_empty());
    let holds = Contents {
        companies: 1,
        people: 0,
        applications: 0,
        installations: 0,
        payment_links: 0,
        connections: 0,
        standing: Vec::new(),
    };
    assert_eq!(plan.holds, holds);
    let done = plan.carry_out(&Actor::System, NOW).await.expect("restores");
    assert!(done.has_signing_keys && done.set_aside.is_none());
    assert!(is_private(&place.path("new")));
    let data = DataDir::open(&place.path("new")).expect("opens");
    assert!(data.store().expect("opens").company("acme").await.expect("reads").is_some());
}

#[tokio::test]
async fn refused() {
    let place = Place::new().await;
    place.back_up("backup", true).expect("backs up");
    assert!(matches!(place.back_up("backup", true), Err(BackupError::NotEmpty(_))));
    assert!(matches!(place.look("keys", "data"), Err(BackupError::File { .. })));
    fs::create_dir(place.path("empty")).expect("makes");
    assert!(matches!(place.look("empty", "data"), Err(BackupError::Unlisted(_))));

    let running = place.look("backup", "data").expect("fits");
    assert!(matches!(place.look("backup", "data"), Err(BackupError::Running(_))));
    drop(running);

    let list = place.path("backup/manifest.json");
    let good = fs::read_to_string(&list).expect("reads");
    for (from, to, words) in [
        ("\"format\": 1", "\"format\": 2", "another format"),
        ("1800000000", "1800000001", "does not fit the at-rest key"),
        ("\"database_sha256\": \"", "\"database_sha256\": \"0", "damaged"),
    ] {
        assert!(good.contains(from), "{good}");
        fs::write(&list, good.replacen(from, to, 1)).expect("writes");
        let error = place.look("backup", "data").err().expect(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    fs::write(&list, &good).expect("writes");
    let key = place.path("data/keys/at-rest.key");
    let own = fs::read(&key).expect("reads");
    fs::write(&key, "A".repeat(43)).expect("writes");
    assert!(matches!(place.look("backup", "data"), Err(BackupError::OtherKey)));
    fs::write(&key, own).expect("writes");
    let database = place.path("backup").join(DATABASE);
    let mut bytes = fs::read(&database).expect("reads");
    bytes[5000] ^= 1;
    fs::write(&database, bytes).expect("writes");
    assert!(matches!(place.look("backup", "data"), Err(BackupError::Damaged(_))));
}
