use std::{fs, os::unix::fs::PermissionsExt as _};

use counterfoil_protocol::UnixTime;

use super::*;
use crate::{
    clock::System,
    key::{Credentials, KeySettings, Leftover, Slot, open_store},
};

/// A key in a store of files, in use.
fn ring(dir: &Path) -> Arc<Keyring> {
    let store = open_store(dir, &KeySettings::default(), &Credentials::default(), None);
    let store = store.expect("a store");
    let key = store.create(Slot::A, Leftover::Keep, &System).expect("made");
    Arc::new(Keyring::new(store, Slot::A, key))
}

#[tokio::test]
async fn each_way_to_lose_a_file_is_found_and_told_until_it_is_mended() {
    let parent = tempfile::tempdir().expect("a directory");
    let (dir, aside) = (parent.path().join("state"), parent.path().join("aside"));
    let (file, copy) = (dir.join("key-a.pem"), parent.path().join("copy.pem"));
    fs::create_dir(&dir).expect("made");
    let keys = ring(&dir);
    let keeping = Keeping::of(Arc::clone(&keys));
    fs::copy(&file, &copy).expect("copied");
    let other = tempfile::tempdir().expect("a directory");
    drop(ring(other.path()));
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
    let mut seen = keeping.watch();
    for expected in
        [KeyFile::Gone, KeyFile::Damaged, KeyFile::Other, KeyFile::Exposed, KeyFile::DirectoryGone]
    {
        match expected {
            KeyFile::Gone => fs::remove_file(&file).expect("removed"),
            KeyFile::Damaged => fs::write(&file, "torn").expect("written"),
            KeyFile::Other => drop(fs::copy(other.path().join("key-a.pem"), &file)),
            KeyFile::Exposed => mode(0o640),
            _ => fs::rename(&dir, &aside).expect("moved"),
        }
        keeping.look().await;
        let unkept = keeping.unkept().expect("seen");
        assert_eq!(unkept.file, expected);
        assert_eq!(unkept.place, file.display().to_string());
        assert!(seen.has_changed().expect("alive"), "{expected:?}: whoever follows is told");
        if expected == KeyFile::DirectoryGone {
            fs::rename(&aside, &dir).expect("moved back");
        } else {
            fs::copy(&copy, &file).expect("put back");
            mode(0o600);
        }
        seen.mark_unchanged();
        keeping.look().await;
        assert_eq!(keeping.unkept(), None, "{expected:?}: mended");
        assert!(seen.has_changed().expect("alive"), "{expected:?}: mended");
        keeping.look().await;
        seen.mark_unchanged();
        keeping.look().await;
        assert!(!seen.has_changed().expect("alive"), "nothing new");
    }
}

#[tokio::test]
async fn however_the_file_was_lost_another_key_can_be_made_and_the_rest_of_it_goes() {
    for spoil in ["gone", "torn", "exposed", "other"] {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("key-a.pem");
        let keys = ring(dir.path());
        let keeping = Keeping::of(Arc::clone(&keys));
        let before = *keys.current().thumbprint();
        match spoil {
            "gone" => fs::remove_file(&file).expect("removed"),
            "torn" => fs::write(&file, "torn").expect("written"),
            "exposed" => {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
            }
            _ => {
                let other = tempfile::tempdir().expect("a directory");
                drop(ring(other.path()));
                fs::copy(other.path().join("key-a.pem"), &file).expect("copied");
            }
        }
        keeping.look().await;
        assert!(keeping.unkept().is_some(), "{spoil}");
        let next = keys.stage(&System).expect("made beside it");
        assert!(dir.path().join("key-b.pem").exists(), "{spoil}");
        keys.promote(&next);
        assert_eq!(keeping.unkept(), None, "{spoil}: what was seen was of the key before");
        keys.destroy(&before).expect("goes");
        assert_eq!(file.exists(), spoil == "other", "{spoil}: another's key is not ours to remove");
        keeping.look().await;
        assert_eq!(keeping.unkept(), None, "{spoil}");
        keys.stage(&System).expect("and so on");
    }
}

fn unkept(file: KeyFile) -> Unkept {
    let key = Thumbprint([1; 32]);
    Unkept { key, file, place: "/srv/my shop/key-a.pem".to_owned(), user: 997 }
}

fn told(state: State, next_step: &str) -> Told {
    Told { state, summary: "So it is.".to_owned(), next_step: next_step.to_owned() }
}

#[test]
fn the_owner_reads_what_mends_it_now_and_what_else_there_is_to_do() {
    let waits =
        |asking| Some(NextKey { thumbprint: Thumbprint([2; 32]), since: UnixTime(1), asking });
    let (exposed, gone) = (KeyFile::Exposed, KeyFile::Gone);
    for (file, state, next, besides, expected) in [
        (
            gone,
            State::Connected,
            None,
            NOTHING_TO_DO,
            "Put the file back: '/srv/my shop/key-a.pem'; if it is lost, have another key put in force while the daemon \
             has this one: counterfoild key rotate",
        ),
        (
            gone,
            State::Connected,
            waits(false),
            "Wait.",
            "Put the file back: '/srv/my shop/key-a.pem'; if it is lost, press Connect: the approval puts the next key in \
             force. Then: Wait.",
        ),
        (
            KeyFile::Damaged,
            State::Connected,
            waits(true),
            NOTHING_TO_DO,
            "Put the right file back from a backup: '/srv/my shop/key-a.pem'; if it is lost, wait: the payment platform is \
             being asked to take the next key (counterfoild key show says how far it is)",
        ),
        (
            KeyFile::Other,
            State::Disconnected,
            None,
            "Press Connect.",
            "Put the right file back from a backup: '/srv/my shop/key-a.pem'; if it is lost, have another key made while \
             the daemon has this one, and then press Connect: counterfoild key rotate",
        ),
        (
            exposed,
            State::Connected,
            None,
            NOTHING_TO_DO,
            "Run: chmod 600 '/srv/my shop/key-a.pem'; if others may have read it, then also: counterfoild key rotate",
        ),
        (
            KeyFile::Unreadable,
            State::AwaitingApproval,
            None,
            "Finish.",
            "Run: chown 997 '/srv/my shop/key-a.pem' && chmod 600 '/srv/my shop/key-a.pem'. Then: Finish.",
        ),
        (
            gone,
            State::AwaitingApproval,
            None,
            NOTHING_TO_DO,
            "Put the file back: '/srv/my shop/key-a.pem'; if it is lost, finish the approval and then have another key put \
             in force: counterfoild key rotate",
        ),
        (
            gone,
            State::SafeMode,
            None,
            "Decide.",
            "Put the file back: '/srv/my shop/key-a.pem'. Then: Decide.",
        ),
        (
            KeyFile::DirectoryGone,
            State::Connected,
            None,
            NOTHING_TO_DO,
            "Put the whole state directory back where it was; without it, restart and press Connect",
        ),
    ] {
        let said = unkept(file).told_to_owner(&told(state, besides), next);
        assert_eq!(said.next_step, format!("Do not restart the daemon yet. {expected}"));
        assert!(said.summary.starts_with("So it is. The "), "{}", said.summary);
        assert_eq!(said.state, state);
    }
}

#[test]
fn a_plugin_reads_no_place_and_no_command_but_whom_to_ask() {
    let ask = "Ask whoever runs the store's machine to run counterfoild status there before the daemon is restarted: it \
               says what to do.";
    for (next_step, expected) in [
        (NOTHING_TO_DO, ask.to_owned()),
        ("Wait.", format!("Wait. {ask}")),
        ("Run: x", format!("Run: x. {ask}")),
    ] {
        let said = unkept(KeyFile::Gone).told_to_guest(&told(State::Connected, next_step));
        assert_eq!(said.next_step, expected);
        assert_eq!(
            said.summary,
            "So it is. The file of this store's key is gone: the daemon works with the key in its memory, and after its \
             next start nothing would work."
        );
    }
}
