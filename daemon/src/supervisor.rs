//! Owns the state directory and everything between the doors and the server: builds the inside of the daemon, takes
//! it down and builds it anew while the doors stay open.
//!
//! Whoever was waiting for the old actor asks the new one. A step that was under way is taken up by its intent, with
//! the same idempotency key.

mod inside;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use self::inside::Inside;
use crate::{
    actor::Leftovers,
    clock::System,
    config::{Config, ConfigError},
    custody::Custody,
    events,
    local::Guests,
    situation::{Life, Situation, Situations},
};

/// Commands that may wait for the supervisor before senders have to.
const MAILBOX: usize = 16;

/// How long an inside that ended by itself stays down.
const PAUSE: Duration = Duration::from_secs(5);

/// What the supervisor can be told.
pub(crate) enum Command {
    /// Read the store's file again and go by it.
    Reload,
}

/// How others reach the supervisor.
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
}

/// The supervisor.
pub(crate) struct Supervisor {
    custody: Arc<Custody>,
    config_file: PathBuf,
    system: Arc<System>,
    inside: Option<Inside>,
    commands: mpsc::Receiver<Command>,
    situations: watch::Sender<Arc<Situation>>,
}

/// Why the store's file is not gone by.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Guests(String),
    #[error("reading the store's file failed")]
    Broken,
}

impl ReloadError {
    /// The setting, or the kind of error: what may be kept, where the file's own text may not.
    fn kind(&self) -> &'static str {
        match self {
            Self::Config(ConfigError::Setting { name, .. }) => name,
            Self::Config(ConfigError::Distrusted(_)) => "others can change it",
            Self::Config(ConfigError::Syntax(_)) => "it cannot be understood",
            Self::Config(ConfigError::Unreadable { .. }) | Self::Broken => "it cannot be read",
            Self::Guests(_) => "a user or group does not exist",
        }
    }
}

impl Handle {
    /// Sends a command; the supervisor takes one at a time.
    pub(crate) async fn tell(&self, command: Command) {
        // Without a supervisor the daemon is about to end, and commands mean nothing.
        let _ = self.commands.send(command).await;
    }
}

impl Supervisor {
    /// Builds the first inside.
    pub(crate) async fn start(
        custody: Custody,
        config_file: PathBuf,
        config: Arc<Config>,
        guests: Guests,
        system: Arc<System>,
    ) -> (Self, Handle, Situations) {
        let (sender, commands) = mpsc::channel(MAILBOX);
        let custody = Arc::new(custody);
        let (life, inside) = inside::build(&custody, &config, &system, Leftovers::default()).await;
        let (situations, seen) =
            watch::channel(Arc::new(Situation { config, guests: Arc::new(guests), life }));
        let supervisor = Self { custody, config_file, system, inside, commands, situations };
        (supervisor, Handle { commands: sender }, seen)
    }

    /// Works until `stop` comes, then ends the inside.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                command = self.commands.recv() => match command {
                    Some(Command::Reload) => self.reload().await,
                    None => break,
                },
                () = Inside::ended(self.inside.as_mut()) => self.rise_again(&mut stop).await,
            }
        }
        if let Some(inside) = self.inside.take() {
            inside.end().await;
        }
    }

    async fn reload(&mut self) {
        let file = self.config_file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let config = Config::read(&file)?;
            let guests = Guests::resolve(&config.local).map_err(ReloadError::Guests)?;
            Ok((config, guests))
        });
        match read.await.unwrap_or(Err(ReloadError::Broken)) {
            Ok((config, guests)) => self.go_by(config, guests).await,
            Err(error) => events::reload_failed(&error, error.kind()),
        }
    }

    async fn go_by(&mut self, config: Config, guests: Guests) {
        let before = Arc::clone(&self.situations.borrow());
        let stays = matches!(before.life, Life::Working(_)) && same_inside(&before.config, &config);
        let (config, guests) = (Arc::new(config), Arc::new(guests));
        let life = if stays { before.life.clone() } else { self.rebuild(&config).await };
        self.situations.send_replace(Arc::new(Situation { config, guests, life }));
        events::reloaded(!stays);
    }

    /// Takes the inside down and builds it anew.
    async fn rebuild(&mut self, config: &Arc<Config>) -> Life {
        let leftovers = match self.inside.take() {
            Some(inside) => inside.end().await,
            None => Leftovers::default(),
        };
        let (life, inside) = inside::build(&self.custody, config, &self.system, leftovers).await;
        self.inside = inside;
        life
    }

    /// After an inside that ended by itself: a defect, which must not end the daemon.
    async fn rise_again(&mut self, stop: impl Future<Output = ()>) {
        tracing::error!(
            pause_s = PAUSE.as_secs(),
            "the inside of the daemon failed; it is built anew"
        );
        tokio::select! {
            () = stop => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        self.inside = None;
        let before = Arc::clone(&self.situations.borrow());
        let (config, guests) = (Arc::clone(&before.config), Arc::clone(&before.guests));
        let life = self.rebuild(&config).await;
        self.situations.send_replace(Arc::new(Situation { config, guests, life }));
    }
}

/// Whether two files differ in nothing that the inside goes by.
fn same_inside(one: &Config, other: &Config) -> bool {
    let other = Config { local: one.local.clone(), ..other.clone() };
    *one == other
}

#[cfg(test)]
mod tests;
