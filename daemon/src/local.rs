//! The local interface: two sockets, perhaps a loopback port, one gate and one table of routes.

mod control;
#[cfg(test)]
mod described;
mod door;
mod gate;
mod hall;
mod paths;
mod peer;
mod problem;
mod proofs;
mod proxy;
mod rights;
mod routes;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use counterfoil_protocol::{jwk::Thumbprint, secret::Secret};
use http_body_util::combinators::UnsyncBoxBody;

pub(crate) use self::{
    door::Doors,
    gate::Guests,
    hall::{serve, stopped},
};
use crate::{
    actor::Handle,
    clock::{Clock, Entropy},
    config::Config,
    session::{Context, Done, Event},
    trouble::{Code, Trouble},
    upstream::Upstream,
};

/// The body of an answer: whole, or streamed through.
type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
type Response = hyper::Response<Body>;

/// How long a caller waits for a token that has to be fetched.
const TOKEN_PATIENCE: Duration = Duration::from_secs(25);

/// What every request finds.
pub(crate) struct App {
    /// The store.
    pub(crate) config: Arc<Config>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Randomness.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The installation, if its state can be used.
    pub(crate) life: Life,
}

/// Whether there is an installation to speak for.
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
pub(crate) struct Working {
    /// The session's owner.
    pub(crate) actor: Handle,
    /// The way to the server.
    pub(crate) upstream: Arc<Upstream>,
    /// The installation's key.
    pub(crate) thumbprint: Thumbprint,
}

impl App {
    fn working(&self) -> Result<&Working, Trouble> {
        match &self.life {
            Life::Working(working) => Ok(working),
            Life::Degraded { why, .. } => {
                Err(Trouble::new(Code::Degraded, format!("The daemon cannot work: {why}.")))
            }
        }
    }

    fn context(&self) -> Context<'_> {
        Context { config: &self.config, now: self.clock.now(), entropy: &*self.entropy }
    }

    /// An access token to use now. `rejected` is the one that the server has just refused.
    async fn token(&self, rejected: Option<&Secret>) -> Result<Secret, Trouble> {
        let working = self.working()?;
        if rejected.is_none()
            && let Some(tokens) = working.actor.session().valid_tokens(&self.context())
        {
            return Ok(tokens.access.clone());
        }
        let demand = Event::TokenDemanded { rejected: rejected.cloned() };
        match working.actor.ask(demand, TOKEN_PATIENCE).await {
            Some(Ok(Done::Token(token))) => Ok(token),
            Some(Ok(_)) => Err(Trouble::of(Code::Internal)),
            Some(Err(trouble)) => Err(trouble),
            None => Err(Trouble::of(Code::ServerUnreachable).retry_after(5)),
        }
    }
}
