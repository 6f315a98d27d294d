use std::{fs, net::SocketAddr, path::Path};

use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::{
    local::App,
    session::{Ask, Event},
    trouble::Code,
};

/// Longer than anything here takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(30);

/// A daemon without doors.
struct World {
    dir: tempfile::TempDir,
    app: Arc<App>,
    supervisor: Handle,
    end: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

fn store_file(dir: &Path) -> PathBuf {
    dir.join("store.toml")
}

fn write_store(dir: &Path, issuer: SocketAddr, more: &str) {
    let text = format!(
        r#"
        platform = "wordpress"
        site_url = "http://127.0.0.1:8088"
        redirect_uri = "http://127.0.0.1:8088/callback"
        issuer = "http://{issuer}"
        {more}
        "#
    );
    fs::write(store_file(dir), text).expect("written");
}

impl World {
    async fn start(issuer: SocketAddr) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        write_store(dir.path(), issuer, "");
        let config = Arc::new(Config::read(&store_file(dir.path())).expect("a store"));
        let custody = Custody::take(&dir.path().join("state")).expect("taken");
        let system = Arc::new(System);
        let (supervisor, handle, situations) = Supervisor::start(
            custody,
            store_file(dir.path()),
            config,
            Guests::default(),
            Arc::clone(&system),
        )
        .await;
        let (_, stopping) = watch::channel(false);
        let (clock, entropy) = (Arc::clone(&system) as _, system as _);
        let app = Arc::new(App { situations, clock, entropy, stopping });
        let (end, may_end) = oneshot::channel::<()>();
        let running = tokio::spawn(supervisor.run(async { drop(may_end.await) }));
        Self { dir, app, supervisor: handle, end, running }
    }

    /// Tells the supervisor to reload, and waits for the situation after it.
    async fn reload(&self) -> Arc<Situation> {
        let mut situations = self.app.situations.clone();
        situations.mark_unchanged();
        self.supervisor.tell(Command::Reload).await;
        timeout(LONG, situations.changed()).await.expect("in time").expect("a new situation");
        self.app.situation()
    }

    async fn end(self) {
        drop(self.end);
        timeout(LONG, self.running).await.expect("in time").expect("ended");
    }
}

/// Connects a store; the answer is the trouble that it ends with.
fn connect(app: &Arc<App>) -> JoinHandle<Option<Code>> {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let event = Event::ConnectAsked(Ask { bind: None, scopes: None });
        app.ask(event, LONG).await.err().map(|trouble| trouble.code)
    })
}

#[tokio::test]
async fn a_caller_never_sees_the_inside_swapped() {
    let (silent, gone) = (
        TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        TcpListener::bind("127.0.0.1:0").await.expect("a port"),
    );
    let world = World::start(silent.local_addr().expect("an address")).await;
    let before = world.app.situation();
    let caller = connect(&world.app);
    // The first server is asked and stays silent; then the store's file names another, which hangs up.
    let (_open, _) = timeout(LONG, silent.accept()).await.expect("in time").expect("a connection");
    write_store(world.dir.path(), gone.local_addr().expect("an address"), "");
    drop(gone);
    let after = world.reload().await;
    let answer = timeout(LONG, caller).await.expect("in time").expect("an answer");
    assert_eq!(answer, Some(Code::ServerUnreachable));
    let thumbprint = |situation: &Situation| situation.working().expect("works").thumbprint;
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
    let (key, aside) = (world.dir.path().join("state/key-a.pem"), world.dir.path().join("aside"));
    fs::rename(&key, &aside).expect("moved");
    // A plugin's version is told to the server, so the inside is built anew.
    let issuer = silent.local_addr().expect("an address");
    write_store(world.dir.path(), issuer, "plugin_version = \"2\"");
    let without = world.reload().await;
    assert!(matches!(without.life, Life::Degraded { .. }));
    assert_eq!(connect(&world.app).await.expect("an answer"), Some(Code::Degraded));
    fs::rename(&aside, &key).expect("moved back");
    assert!(matches!(world.reload().await.life, Life::Working(_)));
    world.end().await;
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
