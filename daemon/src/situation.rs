//! What the daemon is at the moment: the store's file it goes by, whom it lets in, and whether there is an
//! installation to speak for. Replaced whole by the supervisor, never changed.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    actor::Handle,
    clock::{Clock, Entropy},
    config::Config,
    keeping::{Keeping, Unkept},
    local::Guests,
    reload::FileReport,
    session::{Context, NextKey, Session, State},
    trouble::{Code, Trouble, Words},
    upstream::Upstream,
};

/// How others see the situation, and every change of it.
pub(crate) type Situations = watch::Receiver<Arc<Situation>>;

/// One situation.
pub(crate) struct Situation {
    /// The store, as its file describes it.
    pub(crate) config: Arc<Config>,
    /// Who may use the socket for plugins.
    pub(crate) guests: Arc<Guests>,
    /// Where the store's file is, and whether all that stands in it is gone by.
    pub(crate) file: FileReport,
    /// The installation, if its state can be used.
    pub(crate) life: Life,
}

/// Whether there is an installation to speak for.
#[derive(Clone)]
pub(crate) enum Life {
    /// All is well.
    Working(Working),
    /// There is none.
    Degraded {
        /// What is wrong, without a full stop.
        why: String,
        /// What to do about it.
        next_step: &'static str,
    },
}

/// A working installation.
#[derive(Clone)]
pub(crate) struct Working {
    /// The session's owner.
    pub(crate) actor: Handle,
    /// The way to the server.
    pub(crate) upstream: Arc<Upstream>,
    /// Whether the key is still where the next start looks for it.
    pub(crate) keeping: Arc<Keeping>,
}

impl Situation {
    /// The installation, or why there is none.
    pub(crate) fn working(&self) -> Result<&Working, Trouble> {
        match &self.life {
            Life::Working(working) => Ok(working),
            Life::Degraded { why, .. } => {
                Err(Trouble::new(Code::Degraded, format!("The daemon cannot work: {why}.")))
            }
        }
    }

    /// What the session's rules are asked with.
    pub(crate) fn context<'a>(
        &'a self,
        clock: &dyn Clock,
        entropy: &'a dyn Entropy,
    ) -> Context<'a> {
        Context { config: &self.config, now: clock.now(), entropy }
    }
}

/// How it is, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Told {
    /// One word.
    pub(crate) state: State,
    /// One sentence.
    pub(crate) summary: String,
    /// What to do, in one sentence.
    pub(crate) next_step: String,
}

impl Told {
    /// The same for plugins: what may name files of this machine is in the owner's status alone.
    pub(crate) fn for_guests(self) -> Self {
        let code = match self.state {
            State::Degraded => Code::Degraded,
            State::SafeMode => Code::SafeMode,
            _ => return self,
        };
        let Words { message, next_step, .. } = code.words();
        Self { summary: message.to_owned(), next_step: next_step.to_owned(), ..self }
    }
}

/// Follows the situation and the session in it, whichever it is.
pub(crate) struct Follower {
    situations: Situations,
    session: Option<watch::Receiver<Arc<Session>>>,
    keeping: Option<watch::Receiver<Option<Unkept>>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Follower {
    /// Begins with how it is now.
    pub(crate) fn new(
        situations: Situations,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { situations, session: None, keeping: None, clock, entropy }
    }

    /// How it is, for the owner.
    pub(crate) fn describe(&mut self) -> Told {
        let (told, unkept, next_key) = self.look();
        match unkept {
            Some(unkept) => unkept.told_to_owner(&told, next_key),
            None => told,
        }
    }

    /// How it is, for plugins.
    pub(crate) fn describe_for_guests(&mut self) -> Told {
        let (told, unkept, _) = self.look();
        let told = told.for_guests();
        match unkept {
            Some(unkept) => unkept.told_to_guest(&told),
            None => told,
        }
    }

    fn look(&mut self) -> (Told, Option<Unkept>, Option<NextKey>) {
        let situation = Arc::clone(&self.situations.borrow_and_update());
        match &situation.life {
            Life::Working(working) => {
                let session = self.session.insert(working.actor.watch());
                let session = Arc::clone(&session.borrow_and_update());
                self.keeping.insert(working.keeping.watch()).mark_unchanged();
                let cx = situation.context(&*self.clock, &*self.entropy);
                let state = session.state(&cx);
                let health = working.upstream.health();
                let (summary, next_step) = session.words_with(state, &health, &cx);
                let told = Told { state, summary, next_step };
                (told, working.keeping.unkept(), session.next_key())
            }
            Life::Degraded { why, next_step } => {
                (self.session, self.keeping) = (None, None);
                let summary = format!("The daemon cannot work: {why}.");
                let next_step = (*next_step).to_owned();
                (Told { state: State::Degraded, summary, next_step }, None, None)
            }
        }
    }

    /// Waits for anything new since [`Self::describe`]; `false` when the daemon ends.
    pub(crate) async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.situations.changed() => changed.is_ok(),
            () = changed(self.session.as_mut()) => true,
            () = changed(self.keeping.as_mut()) => true,
        }
    }
}

/// Waits for a change. Where none can come, because the actor has ended, the next situation says what follows.
async fn changed<T>(watched: Option<&mut watch::Receiver<T>>) {
    let changed = match watched {
        Some(watched) => watched.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending::<()>().await;
    }
}
