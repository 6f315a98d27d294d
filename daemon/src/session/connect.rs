//! From "Connect" to the callback.

use counterfoil_protocol::{
    encoding::{hex, sha256},
    secret::Secret,
};

use super::{
    ATTEMPT_LIFETIME, Action, Ask, Attempt, Authorization, Binding, Connecting, Context, Done,
    Exchange, PushOrder, Receipt, RegisterOrder, Registration, Session, Waiting,
    callback::Callback,
};
use crate::trouble::{Code, Trouble};

impl Session {
    pub(super) fn connect_asked(&mut self, ask: Ask, cx: &Context<'_>) -> Vec<Action> {
        if let Some(connecting) = &self.running.connecting {
            // A double click gets the same answer; another wish has to wait.
            let same = connecting.ask == ask;
            return if same { Vec::new() } else { refuse(Code::ConnectInProgress) };
        }
        let binding = Binding::of(cx.config);
        if self.facts.binding.as_ref() != Some(&binding) {
            // Another server has never heard of us.
            let server = self.facts.binding.replace(binding).map(|before| before.issuer);
            if server.is_some_and(|issuer| issuer != cx.config.issuer) {
                self.facts.registration = None;
                self.facts.registration_sent = false;
            }
        }
        let known = std::mem::replace(&mut self.facts.registration_sent, true);
        self.connects += 1;
        let connect = self.connects;
        // From here on the server may make the staged key the one in force, and the answer be lost.
        self.doubt_key(true);
        let current = self.facts.keys.current;
        let key = self.facts.keys.staged.as_ref().map_or(current, |staged| staged.key);
        self.running.connecting = Some(Connecting { connect, ask, key, attempt: None });
        vec![Action::Register(RegisterOrder { connect, known, key, current })]
    }

    pub(super) fn registered(
        &mut self,
        connect: u64,
        outcome: Result<Registration, Trouble>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        // A disconnect in between ended this connect.
        let Some(connecting) = self.running.connecting.as_mut().filter(|it| it.connect == connect)
        else {
            return Vec::new();
        };
        let registration = match outcome {
            Ok(registration) => registration,
            Err(trouble) => return self.connect_failed(trouble, cx),
        };
        self.facts.registration = Some(registration.clone());
        let scopes = connecting.ask.scopes.clone().unwrap_or(registration.scopes.clone());
        if scopes.is_empty() || !registration.scopes.contains_all(&scopes) {
            return self.connect_failed(Trouble::of(Code::ScopesRefused), cx);
        }
        let attempt = Attempt {
            state: Secret::new(cx.entropy.base64url::<32>()),
            verifier: Secret::new(cx.entropy.base64url::<64>()),
            bind: connecting.ask.bind.clone(),
            client_id: registration.client_id,
            key: connecting.key,
            redirect_uri: cx.config.redirect_uri.clone(),
            scopes,
            site: connecting.ask.site.clone(),
            since: cx.now,
            expires_at: cx.now + ATTEMPT_LIFETIME,
        };
        connecting.attempt = Some(attempt.clone());
        vec![Action::Push(PushOrder { connect, attempt })]
    }

    pub(super) fn pushed(
        &mut self,
        connect: u64,
        outcome: Result<Authorization, Trouble>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        let current = self.running.connecting.as_ref().filter(|it| it.connect == connect);
        let Some(attempt) = current.and_then(|it| it.attempt.clone()) else { return Vec::new() };
        let mut authorization = match outcome {
            Ok(authorization) => authorization,
            Err(trouble) => return self.connect_failed(trouble, cx),
        };
        self.running.connecting = None;
        authorization.expires_at = authorization.expires_at.min(attempt.expires_at);
        self.facts.pending = Some(attempt);
        self.running.last_error = None;
        vec![Action::Settle(Waiting::Connect, Ok(Done::Authorization(authorization)))]
    }

    /// Judges a callback: the same one again, then state, person, time, issuer, and only then its content.
    pub(super) fn callback_received(
        &mut self,
        query: &Secret,
        bind: Option<&str>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        let query = query.expose().strip_prefix('?').unwrap_or(query.expose());
        let Some(callback) = Callback::parse(query) else {
            return refuse(Code::CallbackMalformed);
        };
        let query_hash = hex(&sha256(query.as_bytes()));
        if self.facts.exchange.as_ref().is_some_and(|it| it.query_hash == query_hash) {
            return self.redeem_now();
        }
        if let Some(receipt) = self.facts.receipt.as_ref().filter(|it| it.query_hash == query_hash)
        {
            return vec![Action::Reply(receipt.answer.clone().map(Done::Connected))];
        }
        let Some(attempt) =
            self.facts.pending.clone().filter(|attempt| attempt.has_state(&callback.state))
        else {
            return refuse(Code::CallbackStateUnknown);
        };
        if !attempt.is_bound_to(bind) {
            return refuse(Code::BindMismatch);
        }
        let code = match judge(callback, &attempt, cx) {
            Ok(code) => code,
            Err(Code::CallbackMalformed) => return refuse(Code::CallbackMalformed),
            Err(ended) => return self.attempt_ended(query_hash, Trouble::of(ended), cx),
        };
        self.facts.pending = None;
        self.facts.exchange = Some(Exchange {
            query_hash,
            code,
            verifier: attempt.verifier,
            redirect_uri: attempt.redirect_uri,
            client_id: attempt.client_id,
            key: attempt.key,
            scopes: attempt.scopes,
            audience: cx.config.audience.clone(),
            site: attempt.site,
            idempotency_key: super::token::idempotency_key(cx),
            since: cx.now,
        });
        self.redeem_now()
    }

    fn attempt_ended(
        &mut self,
        query_hash: String,
        trouble: Trouble,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        self.facts.pending = None;
        self.facts.receipt = Some(Receipt { query_hash, answer: Err(trouble.clone()) });
        self.note(&trouble, cx);
        vec![Action::Reply(Err(trouble))]
    }

    fn connect_failed(&mut self, trouble: Trouble, cx: &Context<'_>) -> Vec<Action> {
        self.running.connecting = None;
        self.note(&trouble, cx);
        vec![Action::Settle(Waiting::Connect, Err(trouble))]
    }
}

/// The code of a callback that has the right state; otherwise why the attempt ends, or is left alone if malformed.
fn judge(callback: Callback, attempt: &Attempt, cx: &Context<'_>) -> Result<Secret, Code> {
    if cx.now >= attempt.expires_at {
        return Err(Code::CallbackExpired);
    }
    if callback.iss.as_deref() != Some(cx.config.issuer.as_str()) {
        return Err(Code::CallbackIssuerMismatch);
    }
    match (callback.error.as_deref(), callback.code) {
        (Some("access_denied"), _) => Err(Code::CallbackDenied),
        (Some(_), _) => Err(Code::CallbackRefused),
        (None, Some(code)) => Ok(code),
        (None, None) => Err(Code::CallbackMalformed),
    }
}

fn refuse(code: Code) -> Vec<Action> {
    vec![Action::Reply(Err(Trouble::of(code)))]
}
