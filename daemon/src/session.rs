//! The connection as a pure state machine: facts and an event make new facts and actions.
//!
//! [`Facts`] are durable: whoever runs this saves them whenever an event changed them, and only then carries out
//! the actions. An intent is therefore on the disk before anything is sent, and a result before anybody is told.
//! [`Running`] is what may be forgotten in a crash. Nothing here touches network, disk, clock or generator.

mod backoff;
mod callback;
mod condition;
mod connect;
mod disconnect;
mod event;
mod facts;
mod ownership;
mod recovery;
mod rotation;
mod safe_mode;
mod site;
mod token;
mod view;
mod webhook;
mod words;

use counterfoil_protocol::{UnixTime, jwk::Thumbprint};

use self::{backoff::Backoff, condition::Renewals};
pub(crate) use self::{
    condition::{Condition, Renewal},
    event::{
        Action, Approved, Ask, Authorization, Connected, Disconnecting, Done, Event, Failure,
        Grant, Leftover, PushOrder, RecoverOrder, RefreshOrder, RegisterOrder, Reply, ResetOrder,
        ResetOutcome, RotateOrder, Unrecovered, Unrotated, Waiting,
    },
    facts::{
        Attempt, Binding, Company, Connection, Disconnect, Exchange, Facts, FormerKey, Keys,
        Receipt, RecoveryIntent, RefreshIntent, Registration, RotationIntent, StagedKey, Tokens,
    },
    safe_mode::{Choice, SafeMode},
    view::{NextKey, ServerHealth, State, Status},
    webhook::{Delivery, Genuine, SubscribeOrder, Subscribed, Unsubscribed, Webhook},
    words::NOTHING_TO_DO,
};
use crate::{
    clock::Entropy,
    config::Config,
    surroundings::Standing,
    trouble::{Code, Happened, Trouble},
};

/// How long an attempt to connect may take, in seconds.
pub(crate) const ATTEMPT_LIFETIME: i64 = 600;

/// Forced refreshes that an API's 401 may cause within a minute. More means that refreshing does not help.
const MAX_FORCED_PER_MINUTE: usize = 6;

/// The connection: what is known, and what is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// What survives a crash.
    pub(crate) facts: Facts,
    /// Where the state was found.
    standing: Standing,
    running: Running,
    /// How many connects there were since the start; each has its number.
    connects: u64,
}

/// What is under way. A crash forgets it; the intents among the facts bring it back.
#[derive(Clone, Debug, Default)]
struct Running {
    connecting: Option<Connecting>,
    redeeming: bool,
    refreshing: bool,
    recovering: bool,
    /// The next key is being made.
    staging: bool,
    rotating: bool,
    /// The key was changed, and a renewal is to prove it.
    proving: bool,
    /// The key before this one is being removed.
    destroying: bool,
    /// A recovery was refused since the start, so it is not begun again.
    recovery_refused: bool,
    /// The newest token had ended when it came.
    stale: bool,
    resetting: bool,
    /// The server wants a fresh token before it resets.
    reset_needs_token: bool,
    /// A fresh token was fetched for the reset that is under way.
    reset_renewed: bool,
    /// No token will ever do for the reset; only a person can go on.
    reset_hopeless: bool,
    redeem_backoff: Backoff,
    refresh_backoff: Backoff,
    recovery_backoff: Backoff,
    rotation_backoff: Backoff,
    destroy_backoff: Backoff,
    reset_backoff: Backoff,
    webhook: webhook::Asking,
    /// When refreshes were forced lately.
    forced: Vec<UnixTime>,
    last_error: Option<Happened>,
    renewals: Renewals,
}

#[derive(Clone, Debug)]
struct Connecting {
    connect: u64,
    ask: Ask,
    key: Thumbprint,
    attempt: Option<Attempt>,
}

/// What the rules need to know besides facts and event.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The store.
    pub(crate) config: &'a Config,
    /// The time now, on this machine's clock.
    pub(crate) now: UnixTime,
    /// Where new secrets and jitter come from.
    pub(crate) entropy: &'a dyn Entropy,
}

impl Session {
    /// The session as it was saved last.
    pub(crate) fn resume(facts: Facts) -> Self {
        Self { facts, ..Self::default() }
    }

    /// The same, found where `standing` says.
    pub(crate) fn found(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// The same, on a disk that took nothing when it was tried last.
    pub(crate) fn on_refusing_disk(mut self, refusal: Option<Happened>) -> Self {
        self.running.last_error = refusal.or(self.running.last_error);
        self
    }

    /// That the disk took nothing when it was tried last.
    pub(crate) fn disk_refusal(&self) -> Option<Happened> {
        let storage = |it: &Happened| it.trouble.code == Code::StorageFailed;
        self.running.last_error.clone().filter(storage)
    }

    /// Takes one event. Save [`Session::facts`] if they changed, then carry out the actions.
    pub(crate) fn apply(&mut self, event: Event, cx: &Context<'_>) -> Vec<Action> {
        if self.is_in_safe_mode(cx.config) {
            return self.apply_in_safe_mode(&event, cx);
        }
        match event {
            Event::SiteAdopted(site) => self.site_adopted(site),
            Event::SiteSeen(site) => self.site_seen(site, cx),
            Event::AdoptAsked => vec![Action::Reply(Err(Trouble::of(Code::NotInSafeMode)))],
            Event::Tick => self.due_work(cx),
            Event::ConnectAsked(ask) => self.connect_asked(ask, cx),
            Event::Registered { connect, outcome } => self.registered(connect, outcome, cx),
            Event::Pushed { connect, outcome } => self.pushed(connect, outcome, cx),
            Event::CallbackReceived { query, bind } => {
                self.callback_received(&query, bind.as_deref(), cx)
            }
            Event::Redeemed { idempotency_key, outcome } => {
                self.redeemed(&idempotency_key, outcome, cx)
            }
            Event::TokenDemanded { rejected } => self.token_demanded(rejected.as_ref(), cx),
            Event::Refreshed { family, outcome } => self.refreshed(family, outcome, cx),
            Event::Recovered { idempotency_key, outcome } => {
                self.recovered(&idempotency_key, outcome, cx)
            }
            Event::RotationAsked => self.rotation_asked(cx),
            Event::KeyStaged { outcome } => self.key_staged(outcome, cx),
            Event::Rotated { idempotency_key, outcome } => {
                self.rotated(&idempotency_key, outcome, cx)
            }
            Event::KeyDestroyed { key, outcome } => self.key_destroyed(&key, outcome, cx),
            Event::DisconnectAsked { forget } => self.disconnect_asked(forget, cx),
            Event::ResetFinished { reset_key, outcome } => {
                self.reset_finished(&reset_key, outcome, cx)
            }
            Event::Subscribed { idempotency_key, outcome } => {
                self.subscribed(&idempotency_key, outcome, cx)
            }
            Event::WebhookInactive => self.webhook_inactive(cx),
            Event::WebhookRotationAsked => self.webhook_rotation_asked(cx),
        }
    }

    /// The next time at which there will be something to do; `None` while everything waits for an event.
    pub(crate) fn next_due(&self) -> Option<UnixTime> {
        let facts = &self.facts;
        let renewal = facts.connection.as_ref().filter(|connection| connection.is_alive());
        let renewal = renewal.filter(|_| facts.recovery.is_none() && !self.rotation_is_open());
        let dues = [
            renewal.map(|connection| {
                let unproven = self.facts.keys.former.as_ref().filter(|it| !it.surpassed);
                let renews_at = connection.tokens.renews_at;
                let at = unproven.map_or(renews_at, |former| former.replaced_at.min(renews_at));
                self.running.refresh_backoff.due(at)
            }),
            self.recovery_due(),
            self.rotation_due(),
            facts.exchange.as_ref().map(|it| self.running.redeem_backoff.due(it.since)),
            facts.disconnect.as_ref().map(|it| self.running.reset_backoff.due(it.since)),
            self.webhook_due(),
        ];
        dues.into_iter().flatten().min()
    }

    /// Starts whatever is due and not yet under way.
    fn due_work(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let mut actions = self.redeem_if_due(cx);
        actions.extend(self.reset_if_due(cx));
        actions.extend(self.recover_if_due(cx));
        actions.extend(self.rotate_if_due(cx));
        actions.extend(self.refresh_if_due(cx));
        actions.extend(self.subscribe_if_due(cx));
        actions.extend(self.destroy_if_due(cx));
        actions
    }

    /// Whether the server is being asked something about the token family: never two things at a time.
    fn is_asking(&self) -> bool {
        let Running { refreshing, recovering, rotating, resetting, .. } = self.running;
        refreshing || recovering || rotating || resetting
    }

    /// The disk took the facts.
    pub(crate) fn saved(&mut self) {
        let storage = |happened: &Happened| happened.trouble.code == Code::StorageFailed;
        self.running.last_error = self.running.last_error.take().filter(|it| !storage(it));
    }

    /// The disk did not take the facts, so the event did not happen. A key in force stays so, proved or not.
    pub(crate) fn could_not_save(&mut self, trouble: &Trouble, at: UnixTime) -> Vec<Action> {
        self.running.last_error = Some(Happened { trouble: trouble.clone(), at });
        self.proof_ended()
    }

    fn note(&mut self, trouble: &Trouble, cx: &Context<'_>) {
        self.running.last_error = Some(Happened { trouble: trouble.clone(), at: cx.now });
    }
}

#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, expect(dead_code, reason = "fuzzers begin with one of the samples"))]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
