//! The inside of the daemon: journal, key, the way to the server, and the actor that works with them.

use std::sync::Arc;

use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    actor::{Actor, Leftovers, Means},
    clock::System,
    config::Config,
    conversation::Conversation,
    custody::{Custody, Damage, Estate},
    events,
    keeping::Keeping,
    situation::{Life, Working},
    systemd::Manager,
    upstream::Upstream,
};

/// What is wrong, and what to do, where the system has no certificates to know servers by.
const NO_CERTIFICATES: (&str, &str) = (
    "this machine has no usable CA certificates, so no server can be trusted",
    "Install the system's CA certificates (on Debian: apt install ca-certificates) and restart the daemon.",
);

/// An actor at work.
pub(super) struct Inside {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Leftovers>,
}

impl Inside {
    /// Stops the actor and its steps, and waits until the journal is closed.
    pub(super) async fn end(self) -> Leftovers {
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }

    /// Ends when the inside has ended by itself.
    pub(super) async fn ended(inside: Option<&mut Self>) {
        match inside {
            Some(inside) if !inside.task.is_finished() => drop((&mut inside.task).await),
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// What was built.
pub(super) struct Built {
    /// How it looks from outside.
    pub(super) life: Life,
    /// The actor, if there is one.
    pub(super) inside: Option<Inside>,
    /// The state cannot be used.
    pub(super) damaged: bool,
    /// It could be, if the device with the key were there.
    pub(super) absent: bool,
}

/// Opens the state and puts an actor to work on it; without a usable state, says what is wrong, unless that is `known`.
pub(super) async fn build(
    custody: &Arc<Custody>,
    config: &Arc<Config>,
    system: &Arc<System>,
    manager: &Manager,
    leftovers: Leftovers,
    known: Option<&str>,
) -> Built {
    let opened = {
        let (custody, system) = (Arc::clone(custody), Arc::clone(system));
        let (settings, held) = (config.key.clone(), leftovers.key.clone());
        // The disk may hang; the doors must not.
        tokio::task::spawn_blocking(move || custody.open(&settings, held, &*system, &*system)).await
    };
    let estate = match opened {
        Ok(Ok(estate)) => estate,
        Ok(Err(damage)) => return degraded(&damage, known),
        Err(error) => {
            let damage =
                Damage::from(crate::journal::JournalError::from(std::io::Error::other(error)));
            return degraded(&damage, known);
        }
    };
    match employ(config, estate, system, manager, leftovers) {
        Ok((working, inside)) => Built {
            life: Life::Working(working),
            inside: Some(inside),
            damaged: false,
            absent: false,
        },
        Err(error) => {
            tracing::error!(%error, "cannot make an HTTPS client");
            let (why, next_step) = NO_CERTIFICATES;
            let life = Life::Degraded { why: why.to_owned(), next_step };
            Built { life, inside: None, damaged: false, absent: false }
        }
    }
}

fn employ(
    config: &Arc<Config>,
    estate: Estate,
    system: &Arc<System>,
    manager: &Manager,
    leftovers: Leftovers,
) -> reqwest::Result<(Working, Inside)> {
    let Estate { identity, keys, journal, facts, standing } = estate;
    tracing::info!(thumbprint = %facts.keys.current, place = keys.place(), "the installation's key is in place");
    let upstream =
        Upstream::new(config, Arc::clone(&keys), Arc::clone(system) as _, Arc::clone(system) as _)?;
    let upstream = Arc::new(upstream);
    let keeping = Keeping::of(Arc::clone(&keys));
    let conversation = Conversation::new(Arc::clone(config), identity, Arc::clone(&upstream));
    let (actor, handle) = Actor::new(
        facts,
        Means {
            config: Arc::clone(config),
            clock: Arc::clone(system) as _,
            entropy: Arc::clone(system) as _,
            conversation: Arc::new(conversation),
            journal,
            keys,
            standing,
            leftovers,
            pulse: manager.pulse(),
        },
    );
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(actor.run(async { drop(stopped.await) }));
    Ok((Working { actor: handle, upstream, keeping }, Inside { stop, task }))
}

fn degraded(damage: &Damage, known: Option<&str>) -> Built {
    let why = damage.to_string();
    if known != Some(&why) {
        events::degraded(&why);
    }
    let absent = damage.is_absence();
    let life = Life::Degraded { why, next_step: damage.next_step() };
    Built { life, inside: None, damaged: true, absent }
}
