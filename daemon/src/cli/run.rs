//! `counterfoild run`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Error, Result, anyhow};
use clap::Args;
use rustix::{
    fs::Mode,
    process::{
        DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
    },
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
};

use super::Where;
use crate::{
    clock::{Clock as _, System},
    config::{Config, ConfigError, MetricsListen},
    custody::Custody,
    deliveries::Deliveries,
    events,
    history::History,
    local::{self, App, Doors, Guests, Residence, Strangers},
    log, metrics,
    places::{Places, Service},
    reload::watcher,
    supervisor::{self, Supervisor},
    systemd::{self, Inherited, Manager},
};

/// How long the end waits for the history to be written.
const HISTORY_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    place: Where,
    /// How the log is written
    #[arg(long, value_enum, default_value_t)]
    log_format: log::Format,
    /// What is logged
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    log: log::Level,
}

impl Run {
    pub(super) fn main(self) -> Result<ExitCode> {
        log::start(self.log, self.log_format);
        harden()?;
        let (manager, inherited) = systemd::take()?;
        let config_file = std::path::absolute(self.place.config_file())?;
        let config = Config::read(&config_file).map_err(|error| unusable(&config_file, &error))?;
        let mut wishes = self.place.wishes();
        let socket = wishes.socket.as_deref().or(config.local.socket.as_deref());
        inherited.check(socket, config.local.tcp).map_err(anyhow::Error::msg)?;
        if let Some(api) = &inherited.api {
            wishes.socket = Some(api.path.clone());
        }
        let service = Service::from_environment();
        let places = Places::decide(&wishes, &service, config.local.socket.as_deref())?;
        let flags = self.place.flags_to(&places, &config);
        // One thread: a proof costs microseconds, handing a connection to another thread costs more. What may
        // block, the disk and name resolution, has threads of its own.
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(
            config_file,
            Arc::new(config),
            places,
            flags,
            manager,
            inherited,
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Why there is nothing to go by, in which file, and what to do.
fn unusable(file: &Path, error: &ConfigError) -> Error {
    let place = file.display();
    let (why, what) = match error {
        ConfigError::Unreadable { why, .. } => (
            format!("cannot read the store's file {place}: {why}"),
            "Write the store's file, or name the one that there is: --config FILE; docs/settings.md has every setting",
        ),
        ConfigError::Distrusted(why) => (
            format!("the store's file cannot be trusted: {why}"),
            "Set its owner and mode as said, and start the daemon again",
        ),
        error => (
            format!("{place}: {error}"),
            "Correct it there and start the daemon again; docs/settings.md has every setting",
        ),
    };
    anyhow!("{why}\nWhat to do: {what}")
}

/// No dumps with the key in them, no files that others can read, and descriptors for everybody who calls.
fn harden() -> Result<()> {
    umask(Mode::RWXG | Mode::RWXO);
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })?;
    Ok(())
}

/// The daemon, from its start to its end. `flags` lead commands to it.
pub(crate) async fn run(
    config_file: PathBuf,
    config: Arc<Config>,
    places: Places,
    flags: String,
    manager: Manager,
    inherited: Inherited,
) -> Result<()> {
    // Before anybody can know of this process: an early SIGHUP must not end it.
    let signals = Signals::take()?;
    let system = Arc::new(System);
    // The generator takes long to be seeded: meanwhile files are read and doors opened.
    let warming = tokio::task::spawn_blocking(System::warm);
    let guests = Guests::resolve(&config.local, places.socket_dir(), &*system).map_err(|why| {
        anyhow!(
            "{}: {why}\nWhat to do: Correct it there and start the daemon again",
            config_file.display()
        )
    })?;
    let mut custody = Custody::take(&places.state_dir)?;
    custody.flags = Some(flags);
    match History::start(&places.state_dir, Arc::clone(&system) as _) {
        Ok(history) => events::keep_in(history),
        Err(error) => tracing::warn!(%error, "no history is kept"),
    }
    let metrics = match config.local.metrics_listen.map(MetricsListen::address) {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .with_context(|| format!("local.metrics_listen: cannot listen on {address}"))?,
        ),
        None => None,
    };
    let owner = custody.owner;
    let doors = Doors::open(&places, &config.local, &guests, owner, inherited).await?;
    let own_sockets = doors.own().to_vec();
    if let Err(error) = places.record() {
        tracing::warn!(%error, "cannot note the sockets in the state directory");
    }
    let residence = Residence {
        started_at: system.now(),
        config_file: std::path::absolute(&config_file).unwrap_or_else(|_| config_file.clone()),
        state_dir: places.state_dir.clone(),
        api_socket: places.api_socket.clone(),
        admin_socket: places.admin_socket.clone(),
        metrics_listen: metrics.as_ref().and_then(|listener| listener.local_addr().ok()),
    };
    let deliveries = Deliveries::within(&places.state_dir, system.now());
    let (stop, stopping) = watch::channel(false);
    let (supervisor, commands, situations) = Supervisor::start(
        custody,
        config_file.clone(),
        config,
        guests,
        Arc::clone(&system),
        manager.clone(),
    )
    .await;
    let (status_clock, status_entropy) = (Arc::clone(&system) as _, Arc::clone(&system) as _);
    let (clock, entropy) = (Arc::clone(&system) as _, system as _);
    let app = Arc::new(App {
        situations: situations.clone(),
        clock,
        entropy,
        deliveries,
        supervisor: commands.clone(),
        residence,
        strangers: Strangers::default(),
        stopping: stopping.clone(),
    });
    let (end_inside, inside_may_end) = oneshot::channel::<()>();
    let supervising = tokio::spawn(supervisor.run(async { drop(inside_may_end.await) }));
    if let Some(listener) = metrics {
        let app = Arc::clone(&app);
        let end = local::stopped(stopping.clone());
        tokio::spawn(metrics::serve(listener, move || local::metrics_text(&app), end));
    }
    let serving = tokio::spawn(local::serve(doors, app, stopping));
    warming.await?;
    System::warm();
    manager.notifier.ready();
    events::started(&places.api_socket);
    tokio::spawn(manager.clone().tell_status(situations.clone(), status_clock, status_entropy));
    if own_sockets.contains(&places.api_socket) {
        tokio::spawn(local::keep_group(places.api_socket.clone(), situations.clone()));
    }
    tokio::spawn(watcher::watch(config_file, situations, commands.clone()));
    signals.obey(&commands).await;
    manager.notifier.stopping();
    // Callers who are inside are still served; what they wait for is the actor's work.
    stop.send_replace(true);
    serving.await?;
    drop(end_inside);
    supervising.await?;
    for socket in &own_sockets {
        let _ = std::fs::remove_file(socket);
    }
    events::stopped();
    // A disk that hangs must not keep the daemon from ending.
    let _ = tokio::time::timeout(HISTORY_PATIENCE, events::close()).await;
    Ok(())
}

/// What the system tells the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn take() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Does what signals say, until one says to end.
    async fn obey(mut self, supervisor: &supervisor::Handle) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // How it went is told in the log and in status.
                _ = self.hangup.recv() => drop(supervisor.reload().await),
            }
        }
    }
}
