//! Owns the state directory and everything between the doors and the server: builds the inside of the daemon, takes
//! it down and builds it anew while the doors stay open.
//!
//! Whoever was waiting for the old actor asks the new one. A step that was under way is taken up by its intent, with
//! the same idempotency key.

mod inside;
mod separate;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};

use self::inside::{Built, Inside};
use crate::{
    actor::Leftovers,
    clock::{Clock as _, System, monotonic_micros},
    config::{Config, ConfigError},
    custody::Custody,
    events,
    local::Guests,
    reload::{self, Effect, FileReport, ReloadError, Reloaded, compare},
    session::Leftover,
    situation::{Life, Situation, Situations},
    systemd::{Manager, Pulse},
    trouble::{Code, Trouble},
};

/// Commands that may wait for the supervisor before senders have to.
const MAILBOX: usize = 16;

/// How long an inside that ended by itself stays down.
const PAUSE: Duration = Duration::from_secs(5);

/// How soon a device that holds the key is looked for again, and how seldom at last.
const FIRST_LOOK: Duration = Duration::from_secs(5);
const LAST_LOOK: Duration = Duration::from_mins(5);

/// What the supervisor can be told.
pub(crate) enum Command {
    /// Read the store's file again and go by it; a degraded daemon tries its state again.
    Reload(oneshot::Sender<Result<Reloaded, ReloadError>>),
    /// Give up the installation and make another.
    Separate {
        /// Also where nothing says that it is a copy.
        abandon: bool,
        /// Hears what stands at the server of an installation that was no copy.
        asker: oneshot::Sender<Result<Option<Leftover>, Trouble>>,
    },
    /// The store's file may have changed.
    FileChanged,
    /// Changes of the store's file are noticed from now on.
    FileIsWatched,
}

/// How others reach the supervisor.
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
}

/// Who wants the store's file to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    /// A person: is answered, and has a degraded daemon try again.
    Asked,
    /// The watch: what is the same, or not yet written, is passed over in silence.
    Noticed,
}

/// The supervisor.
pub(crate) struct Supervisor {
    custody: Arc<Custody>,
    config_file: PathBuf,
    /// The store's file as it was when the doors were opened.
    first: Arc<Config>,
    system: Arc<System>,
    manager: Manager,
    /// The sign of life while there is no actor to give it.
    pulse: Pulse,
    inside: Option<Inside>,
    /// The state was found unusable. Only a person has it looked at again: he may be in the midst of mending it.
    damaged: bool,
    /// The device with the key is not there: how long until it is looked for again.
    absence: Option<Duration>,
    commands: mpsc::Receiver<Command>,
    situations: watch::Sender<Arc<Situation>>,
}

impl Handle {
    /// Sends a command; the supervisor takes one at a time.
    pub(crate) async fn tell(&self, command: Command) {
        // Without a supervisor the daemon is about to end, and commands mean nothing.
        let _ = self.commands.send(command).await;
    }

    /// Has the store's file read again.
    pub(crate) async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let (asker, answer) = oneshot::channel();
        self.tell(Command::Reload(asker)).await;
        answer.await.unwrap_or(Err(ReloadError::Ending))
    }
}

impl Handle {
    /// Has the installation given up and another made.
    pub(crate) async fn separate(&self, abandon: bool) -> Result<Option<Leftover>, Trouble> {
        let (asker, answer) = oneshot::channel();
        self.tell(Command::Separate { abandon, asker }).await;
        answer.await.unwrap_or(Err(Trouble::of(Code::Internal)))
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
        manager: Manager,
    ) -> (Self, Handle, Situations) {
        let (sender, commands) = mpsc::channel(MAILBOX);
        let custody = Arc::new(custody);
        let Built { life, inside, damaged, absent } =
            inside::build(&custody, &config, &system, &manager, Leftovers::default(), None).await;
        let absence = absent.then_some(FIRST_LOOK);
        let file = FileReport {
            file: config_file.display().to_string(),
            loaded_at: system.now(),
            ..FileReport::default()
        };
        let first = Arc::clone(&config);
        let situation = Situation { config, guests: Arc::new(guests), file, life };
        let (situations, seen) = watch::channel(Arc::new(situation));
        let supervisor = Self {
            custody,
            config_file,
            first,
            system,
            pulse: manager.pulse(),
            manager,
            inside,
            damaged,
            absence,
            commands,
            situations,
        };
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
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                () = self.pulse.keep(), if self.inside.is_none() => {}
                () = Inside::ended(self.inside.as_mut()) => self.rise_again(&mut stop).await,
                () = after(self.absence) => self.look_again().await,
            }
        }
        if let Some(inside) = self.inside.take() {
            inside.end().await;
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Reload(asker) => {
                // Who asked may have gone; the file is gone by all the same.
                let _ = asker.send(self.reload(Cause::Asked).await);
            }
            Command::Separate { abandon, asker } => {
                let _ = asker.send(self.separate(abandon).await);
            }
            Command::FileChanged => {
                // Told in status and in the log.
                let _ = self.reload(Cause::Noticed).await;
            }
            Command::FileIsWatched => {
                self.publish(|now| FileReport { watched: true, ..now.file.clone() });
            }
        }
    }

    /// Publishes the situation with another report about the file.
    fn publish(&self, report: impl FnOnce(&Situation) -> FileReport) {
        let now = Arc::clone(&self.situations.borrow());
        let file = report(&now);
        self.situations.send_replace(Arc::new(Situation {
            config: Arc::clone(&now.config),
            guests: Arc::clone(&now.guests),
            file,
            life: now.life.clone(),
        }));
    }

    async fn reload(&mut self, cause: Cause) -> Result<Reloaded, ReloadError> {
        let (file, system) = (self.config_file.clone(), Arc::clone(&self.system));
        let dir = self.situations.borrow().guests.dir.clone();
        let read = tokio::task::spawn_blocking(move || reload::read(&file, &dir, &*system)).await;
        match read.unwrap_or(Err(ReloadError::Broken)) {
            Ok((config, guests)) => Ok(self.go_by(config, guests, cause).await),
            Err(error @ ReloadError::Config(ConfigError::Empty)) if cause == Cause::Noticed => {
                Err(error)
            }
            Err(error) => {
                let words = error.to_string();
                let known = self.situations.borrow().file.error.as_ref() == Some(&words);
                if cause == Cause::Asked || !known {
                    events::reload_failed(&error, error.kind());
                    self.publish(|now| FileReport { error: Some(words), ..now.file.clone() });
                }
                Err(error)
            }
        }
    }

    async fn go_by(&mut self, config: Config, guests: Guests, cause: Cause) -> Reloaded {
        let before = Arc::clone(&self.situations.borrow());
        let changed: Vec<_> = named(compare(&before.config, &config).filter(|it| it.differs));
        let needs_restart = named(
            compare(&self.first, &config).filter(|it| it.differs && it.effect == Effect::Restart),
        );
        let again = cause == Cause::Asked && matches!(before.life, Life::Degraded { .. });
        let rebuilt = again || (!self.damaged && !same_inside(&before.config, &config));
        let same = changed.is_empty() && guests == *before.guests && before.file.error.is_none();
        if same && !rebuilt && cause == Cause::Noticed {
            return Reloaded::default();
        }
        self.manager.notifier.reloading(monotonic_micros());
        let (config, guests) = (Arc::new(config), Arc::new(guests));
        let life = if rebuilt { self.rebuild(&config).await } else { before.life.clone() };
        let file = FileReport {
            loaded_at: self.system.now(),
            error: None,
            needs_restart: needs_restart.clone(),
            ..before.file.clone()
        };
        self.situations.send_replace(Arc::new(Situation { config, guests, file, life }));
        self.manager.notifier.ready();
        events::reloaded(&changed, &needs_restart, rebuilt);
        Reloaded { changed, needs_restart, rebuilt, loaded_before: before.file.loaded_at }
    }

    /// Takes the inside down and builds it anew.
    async fn rebuild(&mut self, config: &Arc<Config>) -> Life {
        let leftovers = match self.inside.take() {
            Some(inside) => inside.end().await,
            None => Leftovers::default(),
        };
        self.build(config, leftovers).await
    }

    async fn build(&mut self, config: &Arc<Config>, leftovers: Leftovers) -> Life {
        let before = Arc::clone(&self.situations.borrow());
        let known = match &before.life {
            Life::Degraded { why, .. } => Some(why.as_str()),
            Life::Working(_) => None,
        };
        let Built { life, inside, damaged, absent } =
            inside::build(&self.custody, config, &self.system, &self.manager, leftovers, known)
                .await;
        if let (Life::Working(former), Life::Working(working)) = (&before.life, &life)
            && same_way(&before.config, config)
        {
            working.upstream.remember(former.upstream.health());
        }
        (self.inside, self.damaged) = (inside, damaged);
        self.absence = absent.then_some(FIRST_LOOK);
        life
    }

    /// Looks whether the device with the key is back. A device is there or not; nobody is in the midst of mending it.
    async fn look_again(&mut self) {
        let waited = self.absence;
        self.build_anew().await;
        self.absence = self.absence.and(waited).map(|waited| (2 * waited).min(LAST_LOOK));
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
        self.build_anew().await;
    }

    async fn build_anew(&mut self) {
        let before = Arc::clone(&self.situations.borrow());
        let (config, guests) = (Arc::clone(&before.config), Arc::clone(&before.guests));
        let (file, life) = (before.file.clone(), self.rebuild(&config).await);
        self.situations.send_replace(Arc::new(Situation { config, guests, file, life }));
    }
}

/// Ends after a while; never, where there is nothing to wait for.
async fn after(while_: Option<Duration>) {
    match while_ {
        Some(while_) => tokio::time::sleep(while_).await,
        None => std::future::pending().await,
    }
}

fn named(settings: impl Iterator<Item = reload::Setting>) -> Vec<&'static str> {
    settings.map(|setting| setting.name).collect()
}

/// Whether two files differ in nothing that the inside goes by.
fn same_inside(one: &Config, other: &Config) -> bool {
    let other = Config { local: one.local.clone(), ..other.clone() };
    *one == other
}

/// Whether two files lead to the same server on the same way.
fn same_way(one: &Config, other: &Config) -> bool {
    one.issuer == other.issuer && one.api_base == other.api_base && one.network == other.network
}

#[cfg(test)]
mod tests;
