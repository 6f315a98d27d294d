//! The next key: made in the free slot, vouched for by the one in force, and in force itself only when the server has
//! taken it.
//!
//! While nobody knows whether the server has, neither key is given up: the same request is sent again, and where its
//! answer is gone, recovery asks with the one and the other.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint};

use super::{
    Action, Context, Done, FormerKey, Grant, RotateOrder, RotationIntent, Session, StagedKey,
    Unrotated, Waiting, backoff::Backoff, token,
};
use crate::trouble::{Code, Trouble};

/// How long the key before this one is kept when nothing has proved this one, in seconds.
const FORMER_LIFETIME: i64 = 24 * 3_600;

impl Session {
    /// Somebody wants another key. A key that waits already is used.
    pub(super) fn rotation_asked(&mut self, cx: &Context<'_>) -> Vec<Action> {
        if self.running.proving {
            // The change before is in force and about to be done: it is what both asked for.
            return Vec::new();
        }
        if let Err(trouble) = self.may_rotate(cx) {
            return vec![Action::Reply(Err(trouble))];
        }
        if self.running.staging {
            return Vec::new();
        }
        if self.facts.rotation.is_some() {
            self.running.rotation_backoff = Backoff::default();
            return self.due_work(cx);
        }
        if self.facts.keys.staged.is_some() {
            return self.rotate_staged(cx);
        }
        self.running.staging = true;
        vec![Action::StageKey]
    }

    fn may_rotate(&self, cx: &Context<'_>) -> Result<(), Trouble> {
        let preparing = self.running.connecting.is_some();
        let approving =
            self.facts.pending.as_ref().is_some_and(|attempt| cx.now < attempt.expires_at);
        let lost = self.facts.connection.as_ref().is_some_and(|it| !it.is_alive());
        let unproven = self.facts.keys.former.is_some();
        for (hinders, code) in [
            (self.facts.exchange.is_some(), Code::CallbackPending),
            (preparing, Code::ConnectInProgress),
            (approving, Code::ApprovalPending),
            (self.facts.disconnect.is_some(), Code::DisconnectPending),
            (self.facts.recovery.is_some(), Code::Recovering),
            // Without tokens there is no renewal that could prove the key.
            (unproven && lost, Code::ReconnectRequired),
            (unproven, Code::KeyUnproven),
        ] {
            if hinders {
                return Err(Trouble::of(code));
            }
        }
        Ok(())
    }

    pub(super) fn key_staged(
        &mut self,
        outcome: Result<Thumbprint, Trouble>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        self.running.staging = false;
        match outcome {
            Ok(key) => {
                self.facts.keys.staged = Some(StagedKey { key, since: cx.now, told: false });
                self.rotate_staged(cx)
            }
            Err(trouble) => {
                self.note(&trouble, cx);
                vec![settle(Err(trouble))]
            }
        }
    }

    /// Has the server take the staged key, where there is a connection to prove it with.
    fn rotate_staged(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let Some(next) = self.facts.keys.staged.as_ref().map(|staged| staged.key) else {
            return Vec::new();
        };
        let living = self.facts.connection.as_ref().filter(|connection| connection.is_alive());
        let Some(connection) = living.filter(|_| self.may_rotate(cx).is_ok()) else {
            return vec![settle(Ok(Done::KeyStaged(next)))];
        };
        self.facts.rotation = Some(RotationIntent {
            family: connection.family,
            next,
            idempotency_key: token::idempotency_key(cx),
            sends: 0,
            since: cx.now,
        });
        self.running.rotation_backoff = Backoff::default();
        self.due_work(cx)
    }

    pub(super) fn rotate_if_due(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let needed = self.facts.disconnect.is_none() || self.running.reset_needs_token;
        // A refresh on its way may change the token that is to be sent: its end is waited for, or asked for again.
        let free =
            !self.is_asking() && self.facts.refresh.is_none() && self.facts.exchange.is_none();
        let (Some(intent), Some(connection)) = (&mut self.facts.rotation, &self.facts.connection)
        else {
            return Vec::new();
        };
        if !needed || !free || !self.running.rotation_backoff.is_over(cx.now) {
            return Vec::new();
        }
        intent.sends = intent.sends.saturating_add(1);
        self.running.rotating = true;
        vec![Action::Rotate(RotateOrder {
            current: self.facts.keys.current,
            next: intent.next,
            approved: connection.approved(),
            idempotency_key: intent.idempotency_key.clone(),
            since: intent.since,
        })]
    }

    pub(super) fn rotated(
        &mut self,
        idempotency_key: &str,
        outcome: Result<Grant, Unrotated>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        // Approved anew, or forgotten, while the server was asked.
        let intent = self.facts.rotation.as_ref();
        let Some(intent) = intent.filter(|it| it.idempotency_key == idempotency_key).cloned()
        else {
            return Vec::new();
        };
        self.running.rotating = false;
        let unrotated = match outcome {
            Ok(grant) => return self.key_changed(grant, cx),
            Err(Unrotated::Passing(trouble)) => {
                self.running.rotation_backoff.fail(trouble.retry_after, cx);
                self.note(&trouble, cx);
                return vec![settle(Err(self.why_waiting(cx))), self.settle_without_token(cx)];
            }
            Err(unrotated) => unrotated,
        };
        self.facts.rotation = None;
        self.running.rotation_backoff = Backoff::default();
        match unrotated {
            Unrotated::Ended { trouble, accepted } => {
                self.doubt_key(accepted || intent.sends > 1);
                let mut actions = vec![settle(Err(Trouble::of(Code::Recovering)))];
                actions.extend(self.family_lost(trouble, cx));
                actions
            }
            Unrotated::NotOffered => {
                self.doubt_key(intent.sends > 1);
                let mut actions = vec![settle(Ok(Done::KeyStaged(intent.next)))];
                actions.extend(self.due_work(cx));
                actions
            }
            Unrotated::Refused(trouble) | Unrotated::Passing(trouble) => {
                self.note(&trouble, cx);
                let mut actions = vec![settle(Err(trouble))];
                actions.extend(self.due_work(cx));
                actions
            }
        }
    }

    /// New tokens and the key that they are bound to, in one step. A renewal at once then proves the key; who asked
    /// for it hears of it when that is done, so that another one may be asked for.
    fn key_changed(&mut self, grant: Grant, cx: &Context<'_>) -> Vec<Action> {
        self.promote(cx);
        let renewed = self.begin_family(grant, cx);
        let work = self.due_work(cx);
        self.running.proving = true;
        let mut actions = if self.running.refreshing { Vec::new() } else { self.proof_ended() };
        actions.extend(self.settle_token(renewed, cx));
        actions.extend(work);
        actions
    }

    /// Whether the key in force has taken the place of another and has not renewed any tokens yet.
    pub(super) fn key_is_unproven(&self) -> bool {
        self.facts.keys.former.as_ref().is_some_and(|former| !former.surpassed)
    }

    /// Answers who asked for the key in force, if they were to hear when it is proved: it is, or cannot be for now.
    pub(super) fn proof_ended(&mut self) -> Vec<Action> {
        let proving = std::mem::take(&mut self.running.proving);
        let rotated = Done::KeyRotated(self.facts.keys.current);
        if proving { vec![settle(Ok(rotated))] } else { Vec::new() }
    }

    /// The staged key is in force. The one before stays on the disk until this one has renewed tokens.
    pub(super) fn promote(&mut self, cx: &Context<'_>) {
        let keys = &mut self.facts.keys;
        if let Some(staged) = keys.staged.take() {
            let key = std::mem::replace(&mut keys.current, staged.key);
            keys.since = Some(cx.now);
            keys.former = Some(FormerKey { key, replaced_at: cx.now, surpassed: false });
        }
        self.facts.rotation = None;
        self.running.rotation_backoff = Backoff::default();
    }

    /// Whether the server may hold the staged key in force already.
    pub(super) fn doubt_key(&mut self, doubt: bool) {
        if let Some(staged) = &mut self.facts.keys.staged {
            staged.told |= doubt;
        }
    }

    /// The server showed that the key in force is in force.
    ///
    /// The one before is then of no use any more.
    pub(super) fn confirm_key(&mut self) {
        if let Some(former) = &mut self.facts.keys.former {
            former.surpassed = true;
        }
        if let Some(staged) = &mut self.facts.keys.staged {
            staged.told = false;
        }
    }

    /// Whether nobody knows which key a rotation under way has left in force.
    pub(super) fn rotation_is_open(&self) -> bool {
        self.facts.rotation.as_ref().is_some_and(|intent| intent.sends > 0)
    }

    /// When a rotation is due that is not under way, and when the key before this one goes.
    pub(super) fn rotation_due(&self) -> Option<UnixTime> {
        let free =
            !self.is_asking() && self.facts.refresh.is_none() && self.facts.exchange.is_none();
        let intent = self.facts.rotation.as_ref().filter(|_| free);
        let former = self.facts.keys.former.as_ref().filter(|_| !self.running.destroying);
        let end = former.map(|it| {
            let after = if it.surpassed { 0 } else { FORMER_LIFETIME };
            self.running.destroy_backoff.due(it.replaced_at + after)
        });
        let rotation = intent.map(|it| self.running.rotation_backoff.due(it.since));
        rotation.into_iter().chain(end).min()
    }

    /// Removes the key before this one when this one has proved itself, or has had time enough.
    pub(super) fn destroy_if_due(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let Some(former) = &self.facts.keys.former else { return Vec::new() };
        let over = former.surpassed || cx.now.since(former.replaced_at) >= FORMER_LIFETIME;
        if !over || self.running.destroying || !self.running.destroy_backoff.is_over(cx.now) {
            return Vec::new();
        }
        self.running.destroying = true;
        vec![Action::DestroyKey(former.key)]
    }

    pub(super) fn key_destroyed(
        &mut self,
        key: &Thumbprint,
        outcome: Result<(), Trouble>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        self.running.destroying = false;
        match outcome {
            Ok(()) => {
                self.running.destroy_backoff = Backoff::default();
                self.facts.keys.former.take_if(|former| former.key == *key);
            }
            Err(trouble) => self.running.destroy_backoff.fail(trouble.retry_after, cx),
        }
        self.proof_ended()
    }
}

fn settle(reply: super::Reply) -> Action {
    Action::Settle(Waiting::Rotation, reply)
}
