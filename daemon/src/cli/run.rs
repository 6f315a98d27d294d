//! `counterfoild run`.

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;
use clap::Args;
use rustix::{
    fs::Mode,
    process::{
        DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::{EnvFilter, fmt};

use super::{LogFormat, Where};
use crate::{
    actor::{Actor, Means},
    clock::System,
    config::Config,
    conversation::Conversation,
    custody::{Custody, Damage, Estate},
    local::{self, App, Doors, Life, Working},
    places::{Places, Service},
    upstream::Upstream,
};

/// What is wrong, and what to do, where the system has no certificates to know servers by.
const NO_CERTIFICATES: (&str, &str) = (
    "this machine has no usable CA certificates, so no server can be trusted",
    "Install the system's CA certificates (on Debian: apt install ca-certificates) and restart the daemon.",
);

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    place: Where,
    /// How the log is written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: tracing::Level,
}

impl Run {
    pub(super) fn main(self) -> Result<ExitCode> {
        self.start_log();
        harden()?;
        let config = Config::read(&self.place.config_file())?;
        let places =
            Places::decide(&self.place.wishes(), &Service::from_environment(), Some(&config))?;
        // One thread: a proof costs microseconds, handing a connection to another thread costs more. What may
        // block, the disk and name resolution, has threads of its own.
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(run(Arc::new(config), places))?;
        Ok(ExitCode::SUCCESS)
    }

    fn start_log(&self) {
        // Our own lines only: what libraries say at their lower levels is not vetted for secrets.
        let filter = EnvFilter::new(format!("counterfoild={}", self.log));
        let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => log.with_ansi(false).init(),
            LogFormat::Json => log.json().init(),
        }
    }
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

async fn run(config: Arc<Config>, places: Places) -> Result<()> {
    let system = Arc::new(System::warmed());
    let custody = Custody::take(&places.state_dir)?;
    let doors = Doors::open(&places, &config.local, custody.owner, &*system).await?;
    if let Err(error) = places.record() {
        tracing::warn!(%error, "cannot note the sockets in the state directory");
    }
    let (stop, stopped) = watch::channel(false);
    let (life, actor) = match custody.open(&*system, &*system) {
        Ok(estate) => match employ(&config, estate, &system) {
            Ok((working, actor)) => (Life::Working(working), Some(actor)),
            Err(error) => {
                tracing::error!(%error, "cannot make an HTTPS client");
                let (why, next_step) = NO_CERTIFICATES;
                (Life::Degraded { why: why.to_owned(), next_step }, None)
            }
        },
        Err(damage) => (degraded(&damage), None),
    };
    let (clock, entropy) = (Arc::clone(&system) as _, system as _);
    let app = Arc::new(App { config, clock, entropy, life });
    let actor_stop = local::stopped(stopped.clone());
    let actor = tokio::spawn(async move {
        if let Some(actor) = actor {
            actor.run(actor_stop).await;
        }
    });
    let serving = tokio::spawn(local::serve(doors, app, stopped));
    tracing::info!(
        version = crate::VERSION, socket = %places.api_socket.display(),
        state = %places.state_dir.display(), "ready"
    );
    wait_for_the_end().await?;
    stop.send_replace(true);
    serving.await?;
    actor.await?;
    for socket in [&places.api_socket, &places.admin_socket] {
        let _ = std::fs::remove_file(socket);
    }
    tracing::info!("stopped");
    Ok(())
}

fn employ(
    config: &Arc<Config>,
    estate: Estate,
    system: &Arc<System>,
) -> reqwest::Result<(Working, Actor)> {
    let Estate { identity, key, slot, keys, journal, facts } = estate;
    let thumbprint = identity.thumbprint;
    let upstream = Upstream::new(config, key, Arc::clone(system) as _, Arc::clone(system) as _)?;
    let upstream = Arc::new(upstream);
    let conversation = Conversation::new(Arc::clone(config), identity, Arc::clone(&upstream));
    let (actor, handle) = Actor::new(
        facts,
        Means {
            config: Arc::clone(config),
            clock: Arc::clone(system) as _,
            entropy: Arc::clone(system) as _,
            conversation: Arc::new(conversation),
            journal,
        },
    );
    tracing::info!(%thumbprint, place = keys.place(slot), "the installation's key is in place");
    Ok((Working { actor: handle, upstream, thumbprint }, actor))
}

fn degraded(damage: &Damage) -> Life {
    tracing::error!(%damage, "the state cannot be used; nothing is changed and no new key is made");
    Life::Degraded { why: damage.to_string(), next_step: damage.next_step() }
}

async fn wait_for_the_end() -> Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
