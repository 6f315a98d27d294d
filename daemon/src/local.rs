//! The local interface: two sockets, perhaps a loopback port, one gate and one table of routes.

mod admin;
mod bearers;
mod control;
#[cfg(test)]
mod described;
mod door;
mod events;
mod gate;
mod hall;
mod keys;
mod ownership;
mod paths;
mod peer;
mod problem;
mod proofs;
mod proxy;
mod rates;
mod report;
mod rights;
mod routes;
mod site;
mod turns;
mod webhooks;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use counterfoil_protocol::secret::Secret;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::watch;

pub(crate) use self::{
    door::{Doors, keep_group},
    gate::Guests,
    hall::{serve, stopped},
    report::{Residence, metrics_text},
    site::{Stranger, Strangers},
};
use crate::{
    actor::Silence,
    clock::{Clock, Entropy},
    deliveries::Deliveries,
    session::{Context, Done, Event},
    situation::{Situation, Situations},
    supervisor,
    trouble::{Code, Trouble},
};

/// The body of an answer: whole, or streamed through.
type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
type Response = hyper::Response<Body>;

/// How long a caller waits for a token that has to be fetched.
const TOKEN_PATIENCE: Duration = Duration::from_secs(25);

/// What every request finds.
pub(crate) struct App {
    /// The store, its guests and its installation, as they are at the moment.
    pub(crate) situations: Situations,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Randomness.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Who builds the inside anew.
    pub(crate) supervisor: supervisor::Handle,
    /// Where the daemon lives.
    pub(crate) residence: Residence,
    /// Which webhook deliveries were taken.
    pub(crate) deliveries: Arc<Deliveries>,
    /// Sites that called and are not the one that the connection is for.
    pub(crate) strangers: Strangers,
    /// Turns true when the daemon is told to end.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// One request that was let in: what it finds, and whose it is.
struct Visit<'a> {
    app: &'a App,
    who: &'a rates::Who,
    turns: &'a Arc<turns::Turns>,
}

/// What an actor has done, and the situation that it belongs to.
pub(crate) struct Answered {
    situation: Arc<Situation>,
    done: Done,
}

/// A token, and the situation that it belongs to.
struct Pass {
    situation: Arc<Situation>,
    token: Secret,
}

impl App {
    /// How things are now.
    pub(crate) fn situation(&self) -> Arc<Situation> {
        Arc::clone(&self.situations.borrow())
    }

    fn context<'a>(&'a self, situation: &'a Situation) -> Context<'a> {
        situation.context(&*self.clock, &*self.entropy)
    }

    /// Asks the actor; if it goes away, the one after it. `None` when there is no reply within `patience`.
    pub(crate) async fn ask(
        &self,
        event: Event,
        patience: Duration,
    ) -> Result<Option<Answered>, Trouble> {
        let mut situations = self.situations.clone();
        let asking = async {
            loop {
                let situation = Arc::clone(&situations.borrow_and_update());
                match situation.working()?.actor.ask(event.clone(), patience).await {
                    Ok(reply) => return Ok(Some(Answered { situation, done: reply? })),
                    Err(Silence::Late) => return Ok(None),
                    // Without a supervisor there will be no other.
                    Err(Silence::Gone) if situations.changed().await.is_err() => return Ok(None),
                    Err(Silence::Gone) => {}
                }
            }
        };
        tokio::time::timeout(patience, asking).await.unwrap_or(Ok(None))
    }

    /// An access token to use now. `rejected` is the one that the server has just refused.
    async fn token(&self, rejected: Option<&Secret>) -> Result<Pass, Trouble> {
        let situation = self.situation();
        let session = situation.working()?.actor.session();
        if rejected.is_none()
            && let Some(tokens) = session.valid_tokens(&self.context(&situation))
        {
            let token = tokens.access.clone();
            return Ok(Pass { situation, token });
        }
        let demand = Event::TokenDemanded { rejected: rejected.cloned() };
        match self.ask(demand, TOKEN_PATIENCE).await? {
            Some(Answered { situation, done: Done::Token(token) }) => Ok(Pass { situation, token }),
            Some(_) => Err(Trouble::of(Code::Internal)),
            None => Err(self.no_reply(Code::ServerAnswerTimeout)),
        }
    }

    /// Why the actor has not replied in time: its disk, else what it does meanwhile.
    fn no_reply(&self, otherwise: Code) -> Trouble {
        let situation = self.situation();
        let waits_for_disk = situation.working().is_ok_and(|it| it.actor.is_saving());
        let code = if waits_for_disk { Code::StorageStuck } else { otherwise };
        Trouble::of(code).retry_after(5)
    }
}
