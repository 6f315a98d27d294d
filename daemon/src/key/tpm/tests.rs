//! With swtpm: a TPM in software, started by each test on a state of its own.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use super::*;
use crate::{
    clock::System,
    key::{
        Credentials, Found, InstallationKey, KeyStore,
        device::stage::{assert_signs, in_slot, trouble_of},
        open_store,
    },
};

/// The next pair of ports to try: below those that the system gives away by itself.
static PORT: AtomicU16 = AtomicU16::new(0);

/// Between two looks at whether it has begun.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a TPM may take to begin.
const PATIENCE: Duration = Duration::from_mins(1);

/// A TPM, and a state directory beside it.
struct Stage {
    dir: TempDir,
    port: u16,
    tpm: Option<Child>,
}

impl Stage {
    async fn set() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["tpm", "state"] {
            fs::create_dir(dir.path().join(name)).expect("made");
        }
        let mut stage = Self { dir, port: free_ports(), tpm: None };
        stage.switch_on().await;
        stage
    }

    async fn switch_on(&mut self) {
        let (state, log) = (self.dir.path().join("tpm"), self.dir.path().join("tpm.log"));
        let at = |port: u16| format!("type=tcp,bindaddr=127.0.0.1,port={port}");
        let tpm = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", state.display())])
            .args(["--server", &format!("{},disconnect", at(self.port))])
            .args(["--ctrl", &at(self.port + 1)])
            .args(["--log", &format!("file={}", log.display())])
            .stdin(Stdio::null())
            .spawn()
            .expect("swtpm is installed");
        self.tpm = Some(tpm);
        // The control channel takes any number of callers; the other one is the TPM's single line.
        let begun = async {
            while TcpStream::connect(("127.0.0.1", self.port + 1)).is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, begun).await.expect("swtpm begins");
    }

    fn switch_off(&mut self) {
        if let Some(mut tpm) = self.tpm.take() {
            tpm.kill().expect("killed");
            tpm.wait().expect("ended");
        }
    }

    /// Another TPM in the place of this one, or this one cleared: the owner seed is another.
    async fn exchange(&mut self) {
        self.switch_off();
        let state = self.dir.path().join("tpm");
        fs::remove_dir_all(&state).expect("removed");
        fs::create_dir(&state).expect("made");
        self.switch_on().await;
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn store(&self) -> Arc<dyn KeyStore> {
        let settings = KeySettings {
            store: StoreKind::Tpm,
            tcti: Some(format!("swtpm:host=127.0.0.1,port={}", self.port)),
            ..KeySettings::default()
        };
        settings.check().expect("good settings");
        open_store(&self.state(), &settings, &Credentials::default(), None).expect("a store")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.switch_off();
    }
}

/// Two ports side by side that nobody uses; swtpm's users expect them so.
fn free_ports() -> u16 {
    let process = u16::try_from(std::process::id() % 1_000).expect("small");
    std::iter::repeat_with(|| {
        let turn = PORT.fetch_add(1, Ordering::SeqCst);
        12_000 + 2 * ((process * 7 + turn) % 8_000)
    })
    .find(|port| [*port, port + 1].iter().all(|it| TcpListener::bind(("127.0.0.1", *it)).is_ok()))
    .expect("free ports")
}

fn made(store: &dyn KeyStore, slot: Slot) -> InstallationKey {
    store.create(slot, Leftover::Keep, &System).expect("made")
}

#[tokio::test]
async fn keys_are_made_by_the_tpm_sign_and_come_back() {
    let mut stage = Stage::set().await;
    let thumbprints = {
        let store = stage.store();
        let keys = Slot::ALL.map(|slot| made(&*store, slot));
        for key in &keys {
            assert_signs(key).await;
        }
        let refused = store.create(Slot::A, Leftover::Keep, &System);
        assert!(matches!(refused, Err(KeyError::Occupied { .. })));
        keys.map(|key| *key.thumbprint())
    };
    assert_ne!(thumbprints[0], thumbprints[1]);
    // Both sides are started anew.
    stage.switch_off();
    stage.switch_on().await;
    let store = stage.store();
    for (slot, thumbprint) in Slot::ALL.into_iter().zip(thumbprints) {
        let Ok(Found::Here(here, key)) = store.find(&thumbprint) else { panic!("not found") };
        assert_eq!(here, slot);
        assert_signs(&key).await;
        let mode = fs::metadata(stage.state().join(format!("key-{}.tpm", slot.name())));
        assert_eq!(mode.expect("there").mode() & 0o777, 0o600);
    }
    // A key that was replaced never signs with its successor.
    let before = in_slot(&*store, Slot::A);
    let after = store.create(Slot::A, Leftover::Replace, &System).expect("made");
    assert_signs(&after).await;
    assert!(before.sign(b"message").await.is_err());
    store.remove(Slot::A).expect("removed");
    store.remove(Slot::A).expect("nothing there");
    assert!(store.load(Slot::A).expect("readable").is_none());
    assert_signs(&in_slot(&*store, Slot::B)).await;
}

#[tokio::test]
async fn a_tpm_that_went_and_came_back_signs_again() {
    let mut stage = Stage::set().await;
    let store = stage.store();
    let key = made(&*store, Slot::A);
    assert_signs(&key).await;
    stage.switch_off();
    assert!(key.sign(b"message").await.is_err());
    assert!(matches!(trouble_of(store.load(Slot::A)), DeviceTrouble::Missing));
    stage.switch_on().await;
    assert_signs(&key).await;
}

#[tokio::test]
async fn another_or_a_cleared_tpm_is_told_from_the_one_that_made_the_key() {
    let mut stage = Stage::set().await;
    let key = {
        let store = stage.store();
        *made(&*store, Slot::A).thumbprint()
    };
    let path = stage.state().join("key-a.tpm");
    let evidence = fs::read(&path).expect("there");
    stage.exchange().await;
    let store = stage.store();
    assert!(matches!(trouble_of(store.load(Slot::A)), DeviceTrouble::Changed));
    assert!(matches!(trouble_of(store.find(&key)), DeviceTrouble::Changed));
    assert_eq!(fs::read(&path).expect("there"), evidence);
    // The other one is good for keys of its own.
    assert_signs(&made(&*store, Slot::B)).await;
}

#[tokio::test]
async fn a_wrapped_key_that_is_torn_or_exposed_is_no_key() {
    use std::os::unix::fs::PermissionsExt as _;

    let stage = Stage::set().await;
    let store = stage.store();
    made(&*store, Slot::A);
    let path = stage.state().join("key-a.tpm");
    let whole = fs::read(&path).expect("there");
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).expect("cut");
        assert!(matches!(store.load(Slot::A), Err(KeyError::Malformed { .. })), "{length}");
    }
    fs::write(&path, &whole).expect("whole");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
    assert!(matches!(store.load(Slot::A), Err(KeyError::Exposed { .. })));
}
