mod separate;
mod watched;
mod world;

use std::fs;

use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
    time::timeout,
};

use self::world::{LONG, World, write_store};
use super::*;
use crate::{
    local::App,
    session::{Ask, Event},
    trouble::Code,
};

/// Connects a store; the answer is the trouble that it ends with.
fn connect(app: &Arc<App>) -> JoinHandle<Option<Code>> {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let event = Event::ConnectAsked(Ask::default());
        app.ask(event, LONG).await.err().map(|trouble| trouble.code)
    })
}

/// A port that refuses: it is taken, so that nobody else is given it, and nobody listens.
fn refusing() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    socket
}

#[tokio::test]
async fn a_caller_never_sees_the_inside_swapped() {
    let (silent, gone) = (TcpListener::bind("127.0.0.1:0").await.expect("a port"), refusing());
    let world = World::start(silent.local_addr().expect("an address")).await;
    let before = world.app.situation();
    let caller = connect(&world.app);
    // The first server is asked and stays silent; then the store's file names another, which refuses.
    let (_open, _) = timeout(LONG, silent.accept()).await.expect("in time").expect("a connection");
    write_store(world.dir.path(), gone.local_addr().expect("an address"), "");
    let after = world.reload().await;
    let answer = timeout(LONG, caller).await.expect("in time").expect("an answer");
    assert_eq!(answer, Some(Code::ServerConnectionRefused));
    let thumbprint = |situation: &Situation| {
        situation.working().expect("works").actor.session().facts.keys.current
    };
    assert_eq!(thumbprint(&before), thumbprint(&after));
    assert_ne!(before.config.issuer, after.config.issuer);
    world.end().await;
}

#[tokio::test]
async fn whom_the_file_lets_in_changes_without_the_inside() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = silent.local_addr().expect("an address");
    let world = World::start(issuer).await;
    let before = world.app.situation();
    let caller = connect(&world.app);
    let (open, _) = timeout(LONG, silent.accept()).await.expect("in time").expect("a connection");
    write_store(world.dir.path(), issuer, "local.allow_users = [4242]");
    let after = world.reload().await;
    assert_eq!(after.guests.users, [4242]);
    let way = |situation: &Situation| Arc::clone(&situation.working().expect("works").upstream);
    assert!(Arc::ptr_eq(&way(&before), &way(&after)));
    drop((open, silent));
    let answer = timeout(LONG, caller).await.expect("in time").expect("an answer");
    assert_eq!(answer, Some(Code::ServerUnreachable));
    world.end().await;
}

#[tokio::test]
async fn a_degraded_daemon_tries_again_on_reload() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let world = World::start(silent.local_addr().expect("an address")).await;
    let journal = world.dir.path().join("state").join(crate::journal::FILE);
    let aside = world.dir.path().join("aside");
    fs::rename(&journal, &aside).expect("moved");
    // A plugin's version is told to the server, so the inside is built anew.
    let issuer = silent.local_addr().expect("an address");
    write_store(world.dir.path(), issuer, "plugin_version = \"2\"");
    let without = world.reload().await;
    assert!(matches!(without.life, Life::Degraded { .. }));
    assert_eq!(connect(&world.app).await.expect("an answer"), Some(Code::Degraded));
    fs::rename(&aside, &journal).expect("moved back");
    assert!(matches!(world.reload().await.life, Life::Working(_)));
    world.end().await;
}

#[tokio::test]
async fn a_key_in_memory_outlasts_a_rebuild_without_its_file() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = silent.local_addr().expect("an address");
    let key = |situation: &Situation| {
        situation.working().expect("works").actor.session().facts.keys.current
    };
    for (file, contents) in [("key-a.pem", None), ("key-a.pem", Some("torn"))] {
        let world = World::start(issuer).await;
        let before = key(&world.app.situation());
        let path = world.dir.path().join("state").join(file);
        match contents {
            None => fs::remove_file(&path).expect("removed"),
            Some(text) => fs::write(&path, text).expect("written"),
        }
        write_store(world.dir.path(), issuer, "plugin_version = \"2\"");
        let after = world.reload().await;
        assert_eq!(key(&after), before, "{contents:?}");
        assert_eq!(after.config.plugin_version, "2");
        world.end().await;
    }
}

#[tokio::test]
async fn at_the_end_nobody_waits_for_another_actor() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let world = World::start(silent.local_addr().expect("an address")).await;
    let app = Arc::clone(&world.app);
    let caller = connect(&app);
    let (_open, _) = timeout(LONG, silent.accept()).await.expect("in time").expect("a connection");
    world.end().await;
    let answer = timeout(LONG / 2, caller).await.expect("in time").expect("an answer");
    assert_eq!(answer, None);
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_is_told_until_it_is_mended() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = silent.local_addr().expect("an address");
    let world = World::start(issuer).await;
    let before = world.app.situation();
    write_store(world.dir.path(), issuer, "local.tcp = \"192.0.2.1:80\"");
    let error = world.supervisor.reload().await.expect_err("not on this machine");
    let now = world.app.situation();
    assert_eq!(now.file.error, Some(error.to_string()));
    assert!(Arc::ptr_eq(&now.config, &before.config));
    // An empty file is told to a person, too.
    fs::write(world::store_file(world.dir.path()), "").expect("written");
    assert!(matches!(
        world.supervisor.reload().await,
        Err(ReloadError::Config(ConfigError::Empty))
    ));

    write_store(world.dir.path(), issuer, "local.tcp = \"127.0.0.1:8787\"");
    let reloaded = world.supervisor.reload().await.expect("good");
    let names = vec!["local.tcp"];
    let expected = Reloaded {
        changed: names.clone(),
        needs_restart: names.clone(),
        rebuilt: false,
        loaded_before: before.file.loaded_at,
    };
    assert_eq!(reloaded, expected);
    let now = world.app.situation();
    assert_eq!((&now.file.error, &now.file.needs_restart), (&None, &names));
    // It waits for the restart, though nothing has changed since.
    let again = world.supervisor.reload().await.expect("good");
    let loaded_before = now.file.loaded_at;
    assert_eq!(again, Reloaded { changed: vec![], loaded_before, ..expected });
    world.end().await;
}

#[tokio::test]
async fn what_is_known_of_the_server_outlasts_a_rebuild_but_not_another_server() {
    let socket = refusing();
    let gone = socket.local_addr().expect("an address");
    let world = World::start(gone).await;
    let health = |situation: &Arc<Situation>| situation.working().expect("works").upstream.health();
    let answer = timeout(LONG, connect(&world.app)).await.expect("in time").expect("an answer");
    assert_eq!(answer, Some(Code::ServerConnectionRefused));
    let before = health(&world.app.situation());
    assert_eq!(before.reachable, Some(false));

    write_store(world.dir.path(), gone, "webhook_url = \"http://127.0.0.1:8088/hook\"");
    let after = world.reload().await;
    assert!(after.config.webhook_url.is_some());
    assert_eq!(health(&after), before);

    let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    write_store(world.dir.path(), other.local_addr().expect("an address"), "");
    assert_eq!(health(&world.reload().await).reachable, None);
    world.end().await;
}
