//! A daemon without doors, and its store's file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use counterfoil_protocol::UnixTime;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    clock::System,
    config::Config,
    custody::Custody,
    deliveries::Deliveries,
    local::{App, Guests, Residence, Strangers},
    situation::Situation,
    supervisor::{Handle, Supervisor},
    systemd::Manager,
};

/// Longer than anything here takes; a test that waits so long has failed.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// A daemon without doors.
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) app: Arc<App>,
    pub(super) supervisor: Handle,
    end: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

pub(super) fn store_file(dir: &Path) -> PathBuf {
    dir.join("store.toml")
}

pub(super) fn write_store(dir: &Path, issuer: SocketAddr, more: &str) {
    fs::write(store_file(dir), store(issuer, more)).expect("written");
}

/// The text of a store's file.
pub(super) fn store(issuer: SocketAddr, more: &str) -> String {
    format!(
        r#"
        platform = "wordpress"
        site_url = "http://127.0.0.1:8088"
        redirect_uri = "http://127.0.0.1:8088/callback"
        issuer = "http://{issuer}"
        {more}
        "#
    )
}

impl World {
    pub(super) async fn start(issuer: SocketAddr) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        write_store(dir.path(), issuer, "");
        let file = store_file(dir.path());
        Self::start_with(dir, file).await
    }

    /// Starts with a file that is there already.
    pub(super) async fn start_with(dir: tempfile::TempDir, file: PathBuf) -> Self {
        let config = Arc::new(Config::read(&file).expect("a store"));
        let custody = Custody::take(&dir.path().join("state")).expect("taken");
        let system = Arc::new(System);
        let (supervisor, handle, situations) = Supervisor::start(
            custody,
            file.clone(),
            config,
            Guests { dir: dir.path().to_owned(), ..Guests::default() },
            Arc::clone(&system),
            Manager::default(),
        )
        .await;
        let (_, stopping) = watch::channel(false);
        let (clock, entropy) = (Arc::clone(&system) as _, system as _);
        let residence = Residence {
            started_at: UnixTime(0),
            config_file: file,
            state_dir: dir.path().join("state"),
            api_socket: dir.path().join("api.sock"),
            admin_socket: dir.path().join("admin.sock"),
            metrics_listen: None,
        };
        let deliveries = Deliveries::within(dir.path(), UnixTime(0));
        let app = Arc::new(App {
            situations,
            clock,
            entropy,
            deliveries,
            supervisor: handle.clone(),
            residence,
            strangers: Strangers::default(),
            stopping,
        });
        let (end, may_end) = oneshot::channel::<()>();
        let running = tokio::spawn(supervisor.run(async { drop(may_end.await) }));
        Self { dir, app, supervisor: handle, end, running }
    }

    /// Has the file read again.
    pub(super) async fn reload(&self) -> Arc<Situation> {
        timeout(LONG, self.supervisor.reload()).await.expect("in time").expect("a good file");
        self.app.situation()
    }

    /// Waits for a situation of this kind.
    pub(super) async fn until(&self, good: impl Fn(&Situation) -> bool) -> Arc<Situation> {
        let mut situations = self.app.situations.clone();
        let found = timeout(LONG, situations.wait_for(|situation| good(situation))).await;
        Arc::clone(&found.expect("in time").expect("a supervisor"))
    }

    pub(super) async fn end(self) {
        drop(self.end);
        timeout(LONG, self.running).await.expect("in time").expect("ended");
    }
}
