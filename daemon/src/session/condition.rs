//! How it is in one word that a script can act on, and what the last renewals came to: derived whenever somebody asks.

use std::collections::VecDeque;

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Serialize};

use super::{Connection, Context, Running, ServerHealth, Session, State};
use crate::trouble::{Code, Happened, Trouble};

/// Outcomes of renewals that are remembered.
const RENEWALS: usize = 5;

/// Whether it works, and if not, who has to act.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    /// Calls work and go on working.
    Working,
    /// Calls work for the moment, or will again by themselves; something is in the way.
    Impaired,
    /// There is no connection, and that may be as it should.
    NotConnected,
    /// Nothing will mend it but a person.
    NeedsPerson,
}

/// How one renewal ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Renewal {
    /// When.
    pub(crate) at: UnixTime,
    /// Why not, where it failed.
    pub(crate) code: Option<Code>,
}

impl Session {
    /// The condition that belongs to this state.
    pub(super) fn condition(
        &self,
        state: State,
        server: &ServerHealth,
        cx: &Context<'_>,
    ) -> Condition {
        match state {
            State::Connected if server.silence().is_some() || self.is_troubled(cx) => {
                Condition::Impaired
            }
            State::Connected => Condition::Working,
            State::DisconnectPending if self.running.reset_hopeless => Condition::NeedsPerson,
            State::AwaitingApproval
            | State::DisconnectPending
            | State::Disconnected
            | State::Unregistered => Condition::NotConnected,
            State::Degraded | State::ReconnectRequired | State::SafeMode => Condition::NeedsPerson,
        }
    }

    /// Whether there is a trouble that stops a connection, or will.
    fn is_troubled(&self, cx: &Context<'_>) -> bool {
        self.last_error()
            .is_some_and(|error| self.valid_tokens(cx).is_none() || self.endangers(&error))
    }

    /// What went wrong last, forwarded calls included.
    ///
    /// That the server does not answer now comes before what was told earlier, but for a trouble that is worse.
    pub(super) fn last_trouble(&self, server: &ServerHealth) -> Option<Happened> {
        let lost = self.facts.connection.as_ref().is_some_and(|it| !it.is_alive());
        let known = self.last_error().filter(|known| lost || !self.is_over(known, server));
        let silence = server.silence();
        let outweighs = |known: &Happened| {
            let code = known.trouble.code;
            let same = silence.as_ref().is_some_and(|silence| silence.trouble.code == code);
            silence.is_none() || lost || same || code == Code::StorageFailed
        };
        known.filter(outweighs).or(silence)
    }

    /// When the daemon tries again what failed; `None` while nothing waits for that.
    pub(super) fn next_try_at(&self) -> Option<UnixTime> {
        let (facts, running) = (&self.facts, &self.running);
        let alive = facts.connection.as_ref().is_some_and(Connection::is_alive);
        let waits = [
            (alive, running.refresh_backoff),
            (facts.recovery.is_some(), running.recovery_backoff),
            (facts.exchange.is_some(), running.redeem_backoff),
            (facts.disconnect.is_some(), running.reset_backoff),
        ];
        waits.iter().filter(|(waits, _)| *waits).filter_map(|(_, wait)| wait.retry_at()).min()
    }

    /// How the last renewals since the start ended, the newest first.
    pub(super) fn renewals(&self) -> Vec<Renewal> {
        self.running.renewals.iter().copied().collect()
    }
}

impl ServerHealth {
    /// That the server does not answer, as a trouble; `None` while it does, and before it was asked.
    pub(super) fn silence(&self) -> Option<Happened> {
        let code = self.silence.filter(|_| self.reachable == Some(false))?;
        Some(Happened { trouble: Trouble::of(code), at: self.checked_at? })
    }
}

impl Running {
    /// Remembers how a renewal ended.
    pub(super) fn renewal_ended(&mut self, at: UnixTime, code: Option<Code>) {
        self.renewals.push_front(Renewal { at, code });
        self.renewals.truncate(RENEWALS);
    }
}

/// What is remembered of renewals.
pub(super) type Renewals = VecDeque<Renewal>;
