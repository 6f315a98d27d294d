//! What the daemon is at the moment: the store's file it goes by, whom it lets in, and whether there is an
//! installation to speak for. Replaced whole by the supervisor, never changed.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    actor::Handle,
    clock::{Clock, Entropy},
    config::Config,
    local::Guests,
    reload::FileReport,
    session::{Context, Session, State},
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
        Self { situations, session: None, clock, entropy }
    }

    /// How it is.
    pub(crate) fn describe(&mut self) -> Told {
        let situation = Arc::clone(&self.situations.borrow_and_update());
        match &situation.life {
            Life::Working(working) => {
                let session = self.session.insert(working.actor.watch());
                let session = Arc::clone(&session.borrow_and_update());
                let cx = situation.context(&*self.clock, &*self.entropy);
                let state = session.state(&cx);
                let health = working.upstream.health();
                let (summary, next_step) = session.words_with(state, &health, &cx);
                Told { state, summary, next_step }
            }
            Life::Degraded { why, next_step } => {
                self.session = None;
                let summary = format!("The daemon cannot work: {why}.");
                Told { state: State::Degraded, summary, next_step: (*next_step).to_owned() }
            }
        }
    }

    /// Waits for anything new since [`Self::describe`]; `false` when the daemon ends.
    pub(crate) async fn changed(&mut self) -> bool {
        let session = async {
            let changed = match &mut self.session {
                Some(session) => session.changed().await.is_ok(),
                None => false,
            };
            // Where the actor has ended, the next situation says what follows.
            if !changed {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            changed = self.situations.changed() => changed.is_ok(),
            () = session => true,
        }
    }
}
