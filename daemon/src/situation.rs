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
    session::Context,
    trouble::{Code, Trouble},
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
