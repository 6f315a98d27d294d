//! With SoftHSM. A module is initialised once in a process and reads its settings then, so each scene of a test runs
//! in a process of its own, on a token that the test made.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use cryptoki::context::Pkcs11;
use tempfile::TempDir;

use super::*;
use crate::{
    clock::System,
    key::{
        Found, KeyStore,
        device::stage::{assert_signs, in_slot, trouble_of},
        open_store,
    },
};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// Where the scene of this process plays, and which it is.
const PLACE: &str = "COUNTERFOIL_TEST_PLACE";
const SCENE: &str = "COUNTERFOIL_TEST_SCENE";

/// A directory with a token for one test.
struct Stage(TempDir);

impl Stage {
    /// In the test itself a new stage with a token; in a process of a scene, that scene's name and directory.
    fn set() -> Result<Self, (String, PathBuf)> {
        if let (Ok(scene), Some(place)) = (env::var(SCENE), env::var_os(PLACE)) {
            return Err((scene, place.into()));
        }
        let stage = Self(tempfile::tempdir().expect("a directory"));
        fs::create_dir(stage.path("tokens")).expect("made");
        fs::create_dir(stage.path("state")).expect("made");
        let conf = format!("directories.tokendir = {}\n", stage.path("tokens").display());
        fs::write(stage.path("softhsm2.conf"), conf).expect("written");
        stage.write_pin("1234");
        stage.make_token();
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write_pin(&self, pin: &str) {
        fs::write(self.path("pin"), format!("{pin}\n")).expect("written");
        fs::set_permissions(self.path("pin"), fs::Permissions::from_mode(0o600)).expect("set");
    }

    fn make_token(&self) {
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "store"])
            .args(["--pin", "1234", "--so-pin", "5678"])
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("softhsm2-util is installed").success());
    }

    fn lose_token(&self) {
        fs::remove_dir_all(self.path("tokens")).expect("removed");
        fs::create_dir(self.path("tokens")).expect("made");
    }

    /// Plays a scene of the running test in a process of its own.
    #[track_caller]
    fn play(&self, scene: &str) {
        let test = thread::current().name().expect("the test's name").to_owned();
        let played = Command::new(env::current_exe().expect("this program"))
            .args([test.as_str(), "--exact", "--nocapture"])
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env(PLACE, self.0.path())
            .env(SCENE, scene)
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&played.stdout);
        assert!(
            played.status.success() && said.contains("1 passed"),
            "{scene}: {said}{}",
            String::from_utf8_lossy(&played.stderr)
        );
    }
}

fn settings(place: &Path) -> KeySettings {
    let settings = KeySettings {
        store: StoreKind::Pkcs11,
        module: Some(MODULE.into()),
        token: Some("store".to_owned()),
        pin_file: Some(place.join("pin")),
        ..KeySettings::default()
    };
    settings.check().expect("good settings");
    settings
}

fn opened(place: &Path) -> Result<Arc<dyn KeyStore>, KeyError> {
    open_store(&place.join("state"), &settings(place), &Credentials::default(), None)
}

fn store(place: &Path) -> Arc<dyn KeyStore> {
    opened(place).expect("a store")
}

/// A session of the scene's own, in the process's one login.
fn session() -> Session {
    let module = Pkcs11::new(MODULE).expect("loaded");
    let slot = module.get_slots_with_initialized_token().expect("slots")[0];
    module.open_rw_session(slot).expect("a session")
}

#[tokio::test]
async fn keys_are_made_in_the_token_sign_and_come_back() {
    match Stage::set() {
        Ok(stage) => ["made", "found", "replaced", "gone"].iter().for_each(|it| stage.play(it)),
        Err((scene, place)) => {
            let (store, thumbprints) = (store(&place), place.join("thumbprints"));
            match scene.as_str() {
                "made" => {
                    let keys = Slot::ALL
                        .map(|slot| store.create(slot, Leftover::Keep, &System).expect("made"));
                    for key in &keys {
                        assert_signs(key).await;
                    }
                    let names = keys.map(|key| key.thumbprint().to_string());
                    assert_ne!(names[0], names[1]);
                    fs::write(thumbprints, names.join("\n")).expect("written");
                    let refused = store.create(Slot::A, Leftover::Keep, &System);
                    assert!(matches!(refused, Err(KeyError::Occupied { .. })));
                }
                "found" => {
                    for (slot, name) in Slot::ALL
                        .into_iter()
                        .zip(fs::read_to_string(thumbprints).expect("there").lines())
                    {
                        let found = store.find(&name.parse().expect("a thumbprint"));
                        let Ok(Found::Here(here, key)) = found else { panic!("{found:?}") };
                        assert_eq!(here, slot);
                        assert_signs(&key).await;
                    }
                }
                "replaced" => {
                    let before = in_slot(&*store, Slot::A);
                    let after = store.create(Slot::A, Leftover::Replace, &System).expect("made");
                    assert_signs(&after).await;
                    assert_ne!(before.thumbprint(), after.thumbprint());
                    // A key that was replaced never signs with its successor.
                    assert!(before.sign(b"message").await.is_err());
                    assert_signs(&in_slot(&*store, Slot::B)).await;
                    store.remove(Slot::A).expect("removed");
                    store.remove(Slot::A).expect("nothing there");
                }
                _ => {
                    assert!(store.load(Slot::A).expect("readable").is_none());
                    assert_signs(&in_slot(&*store, Slot::B)).await;
                }
            }
        }
    }
}

#[test]
fn the_private_half_cannot_leave_the_token() {
    match Stage::set() {
        Ok(stage) => stage.play("looked at"),
        Err((_, place)) => {
            let store = store(&place);
            store.create(Slot::A, Leftover::Keep, &System).expect("made");
            let session = session();
            let found = session
                .find_objects(&[
                    Attribute::Class(ObjectClass::PRIVATE_KEY),
                    Attribute::Label(b"counterfoil-a".to_vec()),
                ])
                .expect("found");
            let told = session.get_attributes(
                found[0],
                &[
                    AttributeType::Private,
                    AttributeType::AlwaysSensitive,
                    AttributeType::NeverExtractable,
                    AttributeType::Value,
                ],
            );
            assert_eq!(
                told.expect("told"),
                [
                    Attribute::Private(true),
                    Attribute::AlwaysSensitive(true),
                    Attribute::NeverExtractable(true)
                ]
            );
        }
    }
}

#[tokio::test]
async fn a_session_that_is_lost_is_opened_again() {
    match Stage::set() {
        Ok(stage) => stage.play("lost"),
        Err((_, place)) => {
            let store = store(&place);
            let key = store.create(Slot::A, Leftover::Keep, &System).expect("made");
            // Logged out, then the whole module ended, behind its back.
            session().logout().expect("logged out");
            assert_signs(&key).await;
            Pkcs11::new(MODULE).expect("loaded").finalize().expect("ended");
            assert_signs(&key).await;
            assert_signs(&in_slot(&*store, Slot::A)).await;
        }
    }
}

#[test]
fn a_token_that_is_not_there_is_told_and_nothing_is_made() {
    match Stage::set() {
        Ok(stage) => {
            stage.play("made");
            stage.lose_token();
            stage.play("missing");
        }
        Err((scene, place)) => {
            let store = store(&place);
            if scene == "made" {
                store.create(Slot::A, Leftover::Keep, &System).expect("made");
            } else {
                assert!(matches!(trouble_of(store.load(Slot::A)), DeviceTrouble::Missing));
            }
        }
    }
}

#[test]
fn a_token_that_was_made_anew_is_told_from_the_one_with_the_key() {
    match Stage::set() {
        Ok(stage) => {
            stage.play("made");
            stage.lose_token();
            stage.make_token();
            stage.play("changed");
        }
        Err((scene, place)) => {
            let store = store(&place);
            if scene == "made" {
                store.create(Slot::A, Leftover::Keep, &System).expect("made");
            } else {
                for slot in Slot::ALL {
                    assert!(matches!(trouble_of(store.load(slot)), DeviceTrouble::Changed));
                }
            }
        }
    }
}

#[test]
fn a_wrong_pin_is_tried_once() {
    match Stage::set() {
        Ok(stage) => {
            stage.write_pin("4321");
            stage.play("wrong");
            stage.write_pin("1234");
            stage.play("right");
        }
        Err((scene, place)) => {
            let store = store(&place);
            if scene == "right" {
                assert!(store.load(Slot::A).expect("readable").is_none());
                return;
            }
            assert!(matches!(trouble_of(store.load(Slot::A)), DeviceTrouble::PinRefused));
            // With the right one it would let us in: so the next refusal is our own.
            fs::write(place.join("pin"), "1234").expect("written");
            for slot in Slot::ALL {
                assert!(matches!(trouble_of(store.load(slot)), DeviceTrouble::PinRefused));
            }
        }
    }
}

#[test]
fn tokens_of_one_name_are_told_apart_by_their_serial_numbers() {
    match Stage::set() {
        Ok(stage) => {
            stage.make_token();
            stage.play("two");
        }
        Err((_, place)) => {
            assert!(matches!(trouble_of(store(&place).load(Slot::A)), DeviceTrouble::Ambiguous));
            let module = Pkcs11::new(MODULE).expect("loaded");
            let slot = module.get_slots_with_initialized_token().expect("slots")[1];
            let serial = module.get_token_info(slot).expect("told").serial_number().to_owned();
            let settings = KeySettings { token: Some(serial), ..settings(&place) };
            let store = open_store(&place.join("state"), &settings, &Credentials::default(), None)
                .expect("a store");
            store.create(Slot::B, Leftover::Keep, &System).expect("made");
            assert!(store.load(Slot::B).expect("readable").is_some());
        }
    }
}

#[test]
fn the_settings_lead_to_the_token_or_to_words() {
    match Stage::set() {
        Ok(stage) => stage.play("settings"),
        Err((_, place)) => {
            let open = |settings: &KeySettings, credentials: &Credentials| {
                open_store(&place.join("state"), settings, credentials, None)
            };
            // A module that somebody else could change is not loaded.
            let own = place.join("module.so");
            fs::copy(MODULE, &own).expect("copied");
            std::os::unix::fs::chown(&own, Some(12_345), None).expect("given away");
            let settings = settings(&place);
            let foreign = KeySettings { module: Some(own), ..settings.clone() };
            let store = open(&foreign, &Credentials::default()).expect("a store");
            assert!(matches!(trouble_of(store.load(Slot::A)), DeviceTrouble::Distrusted(_)));
            // The PIN can be systemd's credential; without any, the token does not let us in.
            let bare = KeySettings { pin_file: None, ..settings };
            let store = open(&bare, &Credentials::default()).expect("a store");
            assert!(store.load(Slot::A).is_err());
            let credentials = place.join("credentials");
            fs::create_dir(&credentials).expect("made");
            fs::copy(place.join("pin"), credentials.join(PIN)).expect("copied");
            let store = open(&bare, &Credentials::in_dir(&credentials)).expect("a store");
            assert!(store.load(Slot::A).expect("readable").is_none());
            fs::write(place.join("pin"), " \n").expect("written");
            let none = open(&self::settings(&place), &Credentials::default());
            assert!(matches!(none, Err(KeyError::Credential { .. })));
        }
    }
}
