//! A store of its own: who may become one, and what of the old one is left.

use counterfoil_protocol::jwk::Thumbprint;

use super::*;
use crate::{key::StoreKind, session::State};

fn thumbprint(world: &World) -> Thumbprint {
    world.app.situation().working().expect("works").actor.session().facts.keys.current
}

fn state(world: &World) -> State {
    let situation = world.app.situation();
    let session = situation.working().expect("works").actor.session();
    session.state(&situation.context(&*world.app.clock, &*world.app.entropy))
}

/// A daemon whose state directory is a copy; the original stays where it was.
async fn copy_of(original: &World, silent: &TcpListener) -> World {
    let dir = tempfile::tempdir().expect("a directory");
    write_store(dir.path(), silent.local_addr().expect("an address"), "");
    crate::files::create_private_dir(&dir.path().join("state")).expect("made");
    for file in ["key-a.pem", "journal.db"] {
        let source = original.dir.path().join("state").join(file);
        fs::copy(source, dir.path().join("state").join(file)).expect("copied");
    }
    let file = world::store_file(dir.path());
    World::start_with(dir, file).await
}

#[tokio::test]
async fn a_copy_becomes_a_store_of_its_own() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let original = World::start(silent.local_addr().expect("an address")).await;
    let copy = copy_of(&original, &silent).await;
    assert_eq!(state(&copy), State::SafeMode);
    assert_eq!(thumbprint(&copy), thumbprint(&original));
    let refused = timeout(LONG, connect(&copy.app)).await.expect("in time").expect("an answer");
    assert_eq!(refused, Some(Code::SafeMode));

    assert_eq!(copy.supervisor.separate(false).await, Ok(None), "nothing to revoke: it was a copy");
    assert_eq!(state(&copy), State::Unregistered);
    assert_ne!(thumbprint(&copy), thumbprint(&original));
    assert_eq!(state(&original), State::Unregistered, "and the original is what it was");
    let again = copy.supervisor.separate(false).await.expect_err("no copy any more");
    assert_eq!(again.code, Code::NotInSafeMode);
    drop(silent);
    copy.end().await;
    original.end().await;
}

#[tokio::test]
async fn an_original_is_given_up_only_when_that_is_said() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let world = World::start(silent.local_addr().expect("an address")).await;
    let before = thumbprint(&world);
    let refused = world.supervisor.separate(false).await.expect_err("no copy");
    assert_eq!((refused.code, thumbprint(&world)), (Code::NotInSafeMode, before));

    // A step is under way, and whoever waits for it asks the new installation.
    let caller = connect(&world.app);
    let (open, _) = timeout(LONG, silent.accept()).await.expect("in time").expect("a connection");
    assert_eq!(world.supervisor.separate(true).await, Ok(None));
    assert_ne!(thumbprint(&world), before);
    drop((open, silent));
    let answer = timeout(LONG, caller).await.expect("in time").expect("an answer");
    assert_eq!(answer, Some(Code::ServerConnectionRefused));
    world.end().await;
}

#[tokio::test]
async fn a_disk_that_takes_nothing_leaves_the_copy_as_it_was() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let original = World::start(silent.local_addr().expect("an address")).await;
    let copy = copy_of(&original, &silent).await;
    let in_the_way = copy.dir.path().join("state/birth.new");
    fs::create_dir(&in_the_way).expect("made");
    let refused = copy.supervisor.separate(false).await.expect_err("it cannot be written");
    assert_eq!((refused.code, state(&copy)), (Code::StorageFailed, State::SafeMode));
    assert_eq!(thumbprint(&copy), thumbprint(&original));
    fs::remove_dir(in_the_way).expect("removed");
    assert_eq!(copy.supervisor.separate(false).await, Ok(None));
    assert_ne!(thumbprint(&copy), thumbprint(&original));
    copy.end().await;
    original.end().await;
}

#[test]
fn a_key_in_a_shared_token_is_never_replaced() {
    assert!(super::super::separate::may_be_the_originals(StoreKind::Pkcs11));
    for own in [StoreKind::File, StoreKind::Tpm] {
        assert!(!super::super::separate::may_be_the_originals(own));
    }
}
