//! Codes and refresh tokens: redeemed once each, retried only as the very same request.

use counterfoil_protocol::{encoding::hex, secret::Secret};

use super::{
    Action, Connected, Connection, Context, Done, Exchange, Failure, Grant, MAX_FORCED_PER_MINUTE,
    Receipt, RefreshIntent, RefreshOrder, Running, Session, Tokens, Waiting, backoff::Backoff,
};
use crate::trouble::{Code, Happened, Trouble};

/// How long a code exchange without an answer is tried again, in seconds: as long as servers keep receipts.
const EXCHANGE_LIFETIME: i64 = 24 * 3_600;

/// A new key by which the server will know a retry.
pub(super) fn idempotency_key(cx: &Context<'_>) -> String {
    format!("{}-token-{}", cx.config.platform_name, cx.entropy.base64url::<32>())
}

impl Session {
    /// The tokens that may be used now.
    pub(crate) fn valid_tokens(&self, cx: &Context<'_>) -> Option<&Tokens> {
        let connection =
            self.facts.connection.as_ref().filter(|_| !self.is_in_safe_mode(cx.config))?;
        let usable = self.facts.disconnect.is_none() && connection.tokens.are_valid(cx.now);
        usable.then_some(&connection.tokens)
    }

    /// Redeems the code that is waiting, unless that is already under way.
    pub(super) fn redeem_now(&mut self) -> Vec<Action> {
        match &self.facts.exchange {
            Some(exchange) if !self.running.redeeming => {
                self.running.redeeming = true;
                vec![Action::Redeem(exchange.clone())]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn redeem_if_due(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let Some(exchange) = &self.facts.exchange else { return Vec::new() };
        if self.running.redeeming || !self.running.redeem_backoff.is_over(cx.now) {
            return Vec::new();
        }
        if cx.now.since(exchange.since) > EXCHANGE_LIFETIME {
            let (key, trouble) =
                (exchange.idempotency_key.clone(), Trouble::of(Code::ExchangeFailed));
            return self.redeemed(&key, Err(Failure::Final(trouble)), cx);
        }
        self.redeem_now()
    }

    pub(super) fn redeemed(
        &mut self,
        idempotency_key: &str,
        outcome: Result<Grant, Failure>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        let exchange = self.facts.exchange.clone();
        let Some(exchange) = exchange.filter(|it| it.idempotency_key == idempotency_key) else {
            return Vec::new();
        };
        self.running.redeeming = false;
        match outcome {
            Ok(grant) => self.connected(&exchange, grant, cx),
            Err(Failure::Passing(trouble)) => {
                self.note(&trouble, cx);
                self.running.redeem_backoff.fail(trouble.retry_after, cx);
                Vec::new()
            }
            Err(Failure::Final(trouble)) => {
                self.note(&trouble, cx);
                self.running.redeem_backoff = Backoff::default();
                self.facts.exchange = None;
                let answer = Err(trouble.clone());
                self.facts.receipt = Some(Receipt { query_hash: exchange.query_hash, answer });
                vec![Action::Settle(Waiting::Callback, Err(trouble))]
            }
        }
    }

    fn connected(&mut self, exchange: &Exchange, grant: Grant, cx: &Context<'_>) -> Vec<Action> {
        if self.facts.keys.current == exchange.key {
            self.confirm_key();
        } else if self.facts.keys.staged.as_ref().is_some_and(|it| it.key == exchange.key) {
            self.promote(cx);
        }
        self.facts.families += 1;
        let answer = Connected {
            company: grant.company.clone(),
            scopes: exchange.scopes.iter().map(str::to_owned).collect(),
            connected_at: cx.now,
        };
        self.facts.connection = Some(Connection {
            family: self.facts.families,
            client_id: exchange.client_id.clone(),
            company: grant.company.clone(),
            grant_id: grant.grant_id.clone(),
            scopes: exchange.scopes.clone(),
            audience: exchange.audience.clone(),
            connected_at: cx.now,
            tokens: tokens(grant, cx),
            lost: None,
        });
        // Whatever was going on with an older family is over.
        self.facts.exchange = None;
        self.facts.refresh = None;
        self.facts.recovery = None;
        self.facts.rotation = None;
        self.facts.disconnect = None;
        self.facts.disconnected_at = None;
        self.facts.moved_from = None;
        if exchange.site.is_some() {
            self.facts.site.clone_from(&exchange.site);
        }
        self.facts.receipt =
            Some(Receipt { query_hash: exchange.query_hash.clone(), answer: Ok(answer.clone()) });
        let heard = self.proof_ended();
        self.running = Running { connecting: self.running.connecting.take(), ..Running::default() };
        self.webhook_connected(cx);
        let renewed = self.renewed(cx);
        let mut work = self.refresh_if_due(cx);
        work.extend(self.subscribe_if_due(cx));
        let mut actions = vec![Action::Settle(Waiting::Callback, Ok(Done::Connected(answer)))];
        actions.extend(heard);
        actions.extend(self.settle_token(renewed, cx));
        actions.extend(work);
        actions
    }

    /// Answers at once with a valid token; begins one refresh, or joins it, when there is none.
    pub(super) fn token_demanded(
        &mut self,
        rejected: Option<&Secret>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        if let Err(trouble) = self.may_use_token() {
            return vec![Action::Reply(Err(trouble))];
        }
        let current = self.valid_tokens(cx).map(|tokens| tokens.access.clone());
        if let Some(other) = current.as_ref().filter(|access| rejected != Some(access)) {
            return vec![Action::Reply(Ok(Done::Token(other.clone())))];
        }
        let Running { refreshing, recovering, rotating, .. } = self.running;
        if refreshing || recovering || rotating {
            return Vec::new();
        }
        if self.facts.recovery.is_some() || self.rotation_is_open() {
            let mut resumed = self.recover_if_due(cx);
            resumed.extend(self.rotate_if_due(cx));
            let waits = || vec![Action::Reply(Err(self.why_waiting(cx)))];
            return if resumed.is_empty() { waits() } else { resumed };
        }
        if !self.running.refresh_backoff.is_over(cx.now) {
            return vec![Action::Reply(Err(self.why_waiting(cx)))];
        }
        if let Some(rejected) = current
            && !self.may_force(cx)
        {
            // The server rejects every token we get: let the caller see that.
            return vec![Action::Reply(Ok(Done::Token(rejected)))];
        }
        self.refresh_now(cx)
    }

    pub(super) fn refresh_if_due(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let Some(connection) = &self.facts.connection else { return Vec::new() };
        let ending = self.facts.disconnect.is_some();
        let due = if ending {
            self.running.reset_needs_token
        } else {
            self.facts.refresh.is_some()
                || connection.tokens.are_due(cx.now)
                || self.key_is_unproven()
        };
        let free = !self.is_asking() && self.facts.recovery.is_none() && !self.rotation_is_open();
        if due && free && connection.is_alive() && self.running.refresh_backoff.is_over(cx.now) {
            self.refresh_now(cx)
        } else {
            Vec::new()
        }
    }

    /// Begins a refresh: the intent goes to the disk with these facts, then the order goes out.
    fn refresh_now(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let Some(connection) = &self.facts.connection else { return Vec::new() };
        let token_hash = hex(&connection.tokens.refresh.sha256());
        let begun =
            self.facts.refresh.take().filter(|intent| {
                intent.family == connection.family && intent.token_hash == token_hash
            });
        let intent = begun.unwrap_or_else(|| RefreshIntent {
            family: connection.family,
            token_hash,
            idempotency_key: idempotency_key(cx),
            since: cx.now,
        });
        let order = RefreshOrder {
            family: connection.family,
            key: self.facts.keys.current,
            approved: connection.approved(),
            idempotency_key: intent.idempotency_key.clone(),
            since: intent.since,
        };
        self.facts.refresh = Some(intent);
        self.running.refreshing = true;
        vec![Action::Refresh(order)]
    }

    pub(super) fn refreshed(
        &mut self,
        family: u64,
        outcome: Result<Grant, Failure>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        // An older family's end means nothing to its successor.
        let Some(connection) = self.facts.connection.as_mut().filter(|it| it.family == family)
        else {
            return Vec::new();
        };
        self.running.refreshing = false;
        let failure = outcome.as_ref().err().map(|failure| failure.trouble().code);
        self.running.renewal_ended(cx.now, failure);
        let renewed = match outcome {
            Ok(grant) => {
                connection.company = grant.company.clone();
                connection.tokens = tokens(grant, cx);
                self.facts.refresh = None;
                if let Some(former) = &mut self.facts.keys.former {
                    former.surpassed = true;
                }
                self.renewed(cx)
            }
            Err(Failure::Passing(trouble)) => {
                self.running.stale = false;
                Err(self.refresh_later(trouble, cx))
            }
            Err(Failure::Final(trouble)) => {
                let mut actions = self.proof_ended();
                actions.extend(self.family_lost(trouble, cx));
                return actions;
            }
        };
        let work = self.due_work(cx);
        let mut actions = Vec::from_iter(self.settle_token(renewed, cx));
        actions.extend(work);
        // Where the key before is being removed, its end is waited for.
        if !self.running.destroying {
            actions.extend(self.proof_ended());
        }
        actions
    }

    /// Takes the first tokens of a new family of the same connection.
    pub(super) fn begin_family(&mut self, grant: Grant, cx: &Context<'_>) -> Result<(), Trouble> {
        self.facts.families += 1;
        if let Some(connection) = &mut self.facts.connection {
            connection.family = self.facts.families;
            connection.company = grant.company.clone();
            connection.tokens = tokens(grant, cx);
            connection.lost = None;
        }
        self.running.reset_hopeless = false;
        self.renewed(cx)
    }

    /// Takes note that there are new tokens. One that ended on its way is renewed at once, a second in a row later.
    pub(super) fn renewed(&mut self, cx: &Context<'_>) -> Result<(), Trouble> {
        let connection = self.facts.connection.as_ref();
        if connection.is_some_and(|it| it.tokens.are_valid(cx.now)) {
            self.running.stale = false;
            self.running.refresh_backoff = Backoff::default();
            self.running.reset_needs_token = false;
        } else if std::mem::replace(&mut self.running.stale, true) {
            return Err(self.refresh_later(Trouble::of(Code::TokenExpired), cx));
        }
        self.running.last_error = None;
        Ok(())
    }

    fn refresh_later(&mut self, trouble: Trouble, cx: &Context<'_>) -> Trouble {
        self.running.refresh_backoff.fail(trouble.retry_after, cx);
        self.note(&trouble, cx);
        trouble.retry_after(self.running.refresh_backoff.remaining(cx.now))
    }

    /// Answers those who wait for a token, unless the new one had ended and its successor is on its way.
    pub(super) fn settle_token(
        &self,
        renewed: Result<(), Trouble>,
        cx: &Context<'_>,
    ) -> Option<Action> {
        let reply = match (renewed.and_then(|()| self.may_use_token()), self.valid_tokens(cx)) {
            (Err(trouble), _) => Err(trouble),
            (Ok(()), Some(tokens)) => Ok(Done::Token(tokens.access.clone())),
            (Ok(()), None) if self.is_asking() => return None,
            (Ok(()), None) => Err(self.why_waiting(cx)),
        };
        Some(Action::Settle(Waiting::Token, reply))
    }

    pub(super) fn may_use_token(&self) -> Result<(), Trouble> {
        let Some(connection) = &self.facts.connection else {
            return Err(Trouble::of(Code::NotConnected));
        };
        if self.facts.disconnect.is_some() {
            return Err(Trouble::of(Code::DisconnectPending));
        }
        // One code for programs, whatever the reason; the sentence says which.
        let ended = |lost: &Happened| Trouble::new(Code::ReconnectRequired, &*lost.trouble.message);
        connection.lost.as_ref().map_or(Ok(()), |lost| Err(ended(lost)))
    }

    fn may_force(&mut self, cx: &Context<'_>) -> bool {
        self.running.forced.retain(|at| (0..60).contains(&cx.now.since(*at)));
        let may = self.running.forced.len() < MAX_FORCED_PER_MINUTE;
        if may {
            self.running.forced.push(cx.now);
        }
        may
    }

    pub(super) fn why_waiting(&self, cx: &Context<'_>) -> Trouble {
        let last = self.running.last_error.as_ref().map(|happened| happened.trouble.clone());
        let trouble = last.unwrap_or_else(|| Trouble::of(Code::ServerUnreachable));
        let Running { refresh_backoff, recovery_backoff, rotation_backoff, .. } = self.running;
        let waits = [refresh_backoff, recovery_backoff, rotation_backoff];
        trouble.retry_after(waits.iter().map(|it| it.remaining(cx.now)).max().unwrap_or(0))
    }
}

/// Renewal is due at half life, give or take a tenth.
pub(super) fn tokens(grant: Grant, cx: &Context<'_>) -> Tokens {
    let half = grant.expires_at.since(grant.issued_at).max(0) / 2;
    Tokens {
        access: grant.access,
        refresh: grant.refresh,
        issued_at: grant.issued_at,
        expires_at: grant.expires_at,
        renews_at: grant.issued_at + half + cx.entropy.jitter(half, 1),
    }
}
