//! A lost token family: the registered key asks for another, so that the merchant need not.
//!
//! Asked for once and retried only as the very same request; bounded, because a copy of this store has the key too.

use counterfoil_protocol::UnixTime;

use super::{
    Action, Context, Grant, RecoverOrder, RecoveryIntent, Session, Unrecovered, Waiting,
    backoff::Backoff, token,
};
use crate::trouble::{Code, Happened, Trouble};

/// The period over which recoveries are counted, in seconds.
const PERIOD: i64 = 24 * 3_600;

/// Recoveries in one period. Whoever needs more has another trouble than a lost family.
const LIMIT: usize = 3;

/// The shortest wait after the server said that there were too many, in seconds. Its operator may raise the limit.
const CAPPED_WAIT: i64 = 3_600;

impl Session {
    /// The family can never be renewed again. Whoever waits for a token goes on waiting while the key asks.
    pub(super) fn family_lost(&mut self, trouble: Trouble, cx: &Context<'_>) -> Vec<Action> {
        self.facts.refresh = None;
        self.running.refresh_backoff = Backoff::default();
        self.running.stale = false;
        self.running.recovery_refused = false;
        self.intend_recovery(Happened { trouble, at: cx.now }, cx);
        let mut actions = self.due_work(cx);
        if !self.running.recovering {
            actions.insert(0, self.settle_without_token(cx));
        }
        actions
    }

    pub(super) fn recover_if_due(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let needed = self.facts.disconnect.is_none()
            || self.running.reset_needs_token
            || self.running.reset_hopeless;
        // An approval that is on its way brings a family of its own.
        let free = !self.is_asking() && self.facts.exchange.is_none();
        if !needed || !free {
            return Vec::new();
        }
        self.revive(cx);
        let (Some(intent), Some(connection)) = (&mut self.facts.recovery, &self.facts.connection)
        else {
            return Vec::new();
        };
        let held = intent.not_before.is_some_and(|at| is_ahead(at, cx.now));
        if held || !self.running.recovery_backoff.is_over(cx.now) {
            return Vec::new();
        }
        intent.sends = intent.sends.saturating_add(1);
        self.running.recovering = true;
        vec![Action::Recover(RecoverOrder {
            key: intent.key,
            approved: connection.approved(),
            idempotency_key: intent.idempotency_key.clone(),
            since: intent.cause.at,
        })]
    }

    /// When a recovery is due that is not under way.
    pub(super) fn recovery_due(&self) -> Option<UnixTime> {
        let waits = !self.running.recovering && self.facts.exchange.is_none();
        let intent = self.facts.recovery.as_ref().filter(|_| waits)?;
        Some(self.running.recovery_backoff.due(intent.not_before.unwrap_or(intent.cause.at)))
    }

    pub(super) fn recovered(
        &mut self,
        idempotency_key: &str,
        outcome: Result<Grant, Unrecovered>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        // Forgotten, or approved anew, while the server was asked.
        let intent = self.facts.recovery.as_ref();
        let Some(intent) = intent.filter(|it| it.idempotency_key == idempotency_key).cloned()
        else {
            return Vec::new();
        };
        self.running.recovering = false;
        match outcome {
            Ok(grant) => return self.connection_recovered(&intent, grant, cx),
            Err(Unrecovered::Passing(trouble)) => {
                if trouble.code == Code::ProofRefused {
                    self.ask_with_the_other_key();
                }
                self.running.recovery_backoff.fail(trouble.retry_after, cx);
                self.note(&trouble, cx);
            }
            Err(Unrecovered::Capped(trouble)) => {
                let wait = trouble.retry_after.unwrap_or(0).clamp(CAPPED_WAIT, PERIOD);
                let not_before = Some(cx.now + wait);
                self.running.recovery_backoff = Backoff::default();
                self.facts.recovery = Some(RecoveryIntent { sends: 0, not_before, ..intent });
                self.lose(trouble, cx);
            }
            Err(Unrecovered::Final(_)) if intent.sends > 1 => {
                // It may have been answered before, and the answer be past keeping: asked anew, the server must say.
                self.intend_recovery(intent.cause, cx);
            }
            Err(Unrecovered::Final(trouble)) => return self.recovery_ended(trouble, cx),
            Err(Unrecovered::NotOffered) => return self.recovery_ended(intent.cause.trouble, cx),
        }
        let mut actions = self.due_work(cx);
        if !self.running.recovering {
            actions.insert(0, self.settle_without_token(cx));
        }
        actions
    }

    fn connection_recovered(
        &mut self,
        intent: &RecoveryIntent,
        grant: Grant,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        if intent.key == self.facts.keys.current {
            self.confirm_key();
        } else {
            self.promote(cx);
        }
        self.facts.recovery = None;
        let recoveries = &mut self.facts.recoveries;
        recoveries.count += 1;
        recoveries.times.retain(|at| counts(*at, cx.now));
        recoveries.times.push(cx.now);
        self.running.recovery_backoff = Backoff::default();
        let renewed = self.begin_family(grant, cx);
        let work = self.due_work(cx);
        let mut actions = Vec::from_iter(self.settle_token(renewed, cx));
        actions.extend(work);
        actions
    }

    /// Of two keys the server may hold either one in force. It consumes nothing for the wrong one.
    fn ask_with_the_other_key(&mut self) {
        let keys = &self.facts.keys;
        let staged = keys.staged.as_ref().filter(|staged| staged.told);
        if let (Some(intent), Some(staged)) = (&mut self.facts.recovery, staged) {
            intent.key = if intent.key == staged.key { keys.current } else { staged.key };
        }
    }

    /// The server will not give a family to this key. Only a person can go on.
    fn recovery_ended(&mut self, trouble: Trouble, cx: &Context<'_>) -> Vec<Action> {
        let withdrawn = trouble.code == Code::ApprovalWithdrawn;
        self.facts.recovery = None;
        self.running.recovery_backoff = Backoff::default();
        self.running.recovery_refused = true;
        self.lose(trouble, cx);
        let mut actions = vec![self.settle_without_token(cx)];
        if withdrawn && self.facts.disconnect.is_some() {
            // What was to be ended at the server has ended there.
            actions.extend(self.disconnected(cx));
        } else {
            actions.extend(self.reset_without_token(cx));
            actions.extend(self.due_work(cx));
        }
        actions
    }

    /// A connection that was lost by something that the key can mend, found at the start or at a disconnect.
    fn revive(&mut self, cx: &Context<'_>) {
        let lost = self.facts.connection.as_ref().and_then(|connection| connection.lost.clone());
        let untried = self.facts.recovery.is_none() && !self.running.recovery_refused;
        let mendable = |it: &Happened| {
            matches!(it.trouble.code, Code::ReconnectRequired | Code::TokenUnacceptable)
        };
        if let Some(lost) = lost.filter(|it| untried && mendable(it)) {
            self.intend_recovery(lost, cx);
        }
    }

    fn intend_recovery(&mut self, cause: Happened, cx: &Context<'_>) {
        let Some(connection) = &self.facts.connection else { return };
        let not_before = self.own_limit(cx);
        self.facts.recovery = Some(RecoveryIntent {
            family: connection.family,
            key: self.facts.keys.in_force_perhaps(),
            idempotency_key: token::idempotency_key(cx),
            sends: 0,
            cause,
            not_before,
        });
        self.running.recovery_backoff = Backoff::default();
        match not_before {
            Some(at) => {
                let trouble = Trouble::of(Code::RecoveryCapped).retry_after(at.since(cx.now));
                self.lose(trouble, cx);
            }
            None => self.note(&Trouble::of(Code::Recovering), cx),
        }
    }

    /// When the next recovery may be, where too many were of late.
    fn own_limit(&self, cx: &Context<'_>) -> Option<UnixTime> {
        let times = &self.facts.recoveries.times;
        let counted: Vec<_> = times.iter().filter(|at| counts(**at, cx.now)).collect();
        let oldest = counted.len().checked_sub(LIMIT)?;
        Some(*counted[oldest] + PERIOD)
    }

    fn lose(&mut self, trouble: Trouble, cx: &Context<'_>) {
        self.note(&trouble, cx);
        if let Some(connection) = &mut self.facts.connection {
            connection.lost = Some(Happened { trouble, at: cx.now });
        }
    }

    pub(super) fn settle_without_token(&self, cx: &Context<'_>) -> Action {
        let why = self.may_use_token().err().unwrap_or_else(|| self.why_waiting(cx));
        Action::Settle(Waiting::Token, Err(why))
    }
}

/// Whether a recovery at `at` counts. A clock that was set back must not forget one.
fn counts(at: UnixTime, now: UnixTime) -> bool {
    at.since(now).abs() < PERIOD
}

/// Whether a time is still to come. Farther ahead than any wait, it was set by a clock that has been mended since.
fn is_ahead(at: UnixTime, now: UnixTime) -> bool {
    (1..=PERIOD).contains(&at.since(now))
}
