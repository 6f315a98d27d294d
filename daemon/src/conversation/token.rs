//! The token endpoint: what is sent, and what must be true before an answer is believed.

use bytes::Bytes;
use counterfoil_protocol::{
    UnixTime,
    access_token::{ClaimRefusal, Claims, ClientExpectation, KeySet, TokenRefusal},
    jwk::Thumbprint,
    scope::ScopeSet,
    secret::Secret,
    token::{AUTHORIZATION_CODE, RECOVERY_HEADER, REFRESH_TOKEN, REPLAYED_HEADER, TokenResponse},
};
use hyper::Method;
use serde_json::Value;

use super::{Conversation, Endpoints, accept_json, passing, refused, unanswered};
use crate::{
    session::{Approved, Company, Exchange, Failure, Grant, RefreshOrder},
    trouble::{Code, Trouble},
    upstream::{Answer, again::is_about_the_proof},
};

/// How long a token whose signing key is not published yet is asked for again, in seconds.
const KEY_PATIENCE: i64 = 600;

/// How far clocks must differ before the server's is believed in judging a token's times, in seconds.
const NOTICEABLE: i64 = 30;

/// The largest difference of clocks that is believed, in seconds.
const FARTHEST: i64 = 24 * 3_600;

/// What one token call is about.
pub(super) struct Asked<'a> {
    /// The key that the tokens must be bound to.
    pub(super) key: &'a Thumbprint,
    pub(super) client_id: &'a str,
    pub(super) audience: &'a str,
    pub(super) scopes: &'a ScopeSet,
    pub(super) since: UnixTime,
    /// What must stay as it is, where tokens only change.
    pub(super) before: Option<&'a Approved>,
    /// What is said when the server refuses for good.
    pub(super) refusal: Code,
}

impl<'a> Asked<'a> {
    /// Other tokens for what was approved before, bound to `key`.
    pub(super) fn again(
        approved: &'a Approved,
        key: &'a Thumbprint,
        since: UnixTime,
        refusal: Code,
    ) -> Self {
        Self {
            key,
            client_id: &approved.client_id,
            audience: &approved.audience,
            scopes: &approved.scopes,
            since,
            before: Some(approved),
            refusal,
        }
    }
}

impl Conversation {
    /// Redeems a code.
    pub(crate) async fn redeem(&self, exchange: &Exchange) -> Result<Grant, Failure> {
        let form = [
            ("grant_type", AUTHORIZATION_CODE),
            ("client_id", &exchange.client_id),
            ("code", exchange.code.expose()),
            ("redirect_uri", &exchange.redirect_uri),
            ("code_verifier", exchange.verifier.expose()),
            ("resource", &exchange.audience),
        ];
        let asked = Asked {
            key: &exchange.key,
            client_id: &exchange.client_id,
            audience: &exchange.audience,
            scopes: &exchange.scopes,
            since: exchange.since,
            before: None,
            refusal: Code::ExchangeFailed,
        };
        self.ask_for_token(&form, &exchange.idempotency_key, &asked).await
    }

    /// Redeems a refresh token.
    pub(crate) async fn refresh(&self, order: &RefreshOrder) -> Result<Grant, Failure> {
        let form = [
            ("grant_type", REFRESH_TOKEN),
            ("client_id", &order.approved.client_id),
            ("refresh_token", order.approved.refresh.expose()),
            ("resource", &order.approved.audience),
        ];
        let asked = Asked::again(&order.approved, &order.key, order.since, Code::ReconnectRequired);
        self.ask_for_token(&form, &order.idempotency_key, &asked).await
    }

    async fn ask_for_token(
        &self,
        form: &[(&str, &str)],
        idempotency_key: &str,
        asked: &Asked<'_>,
    ) -> Result<Grant, Failure> {
        let outcome = self.try_for_token(form, idempotency_key, asked).await;
        if outcome.is_err() {
            // Where the server takes what may be what changed.
            self.forget_endpoints();
        }
        outcome
    }

    async fn try_for_token(
        &self,
        form: &[(&str, &str)],
        idempotency_key: &str,
        asked: &Asked<'_>,
    ) -> Result<Grant, Failure> {
        let endpoints = self.endpoints().await.map_err(Failure::Passing)?;
        let sent_at = self.upstream.now();
        let answer = self.send_form(&endpoints.token, form, asked.key, Some(idempotency_key)).await;
        let answer = answer.map_err(|reason| Failure::Passing(unanswered(&reason)))?;
        self.take(&answer, &endpoints, asked, sent_at).await
    }

    /// Reads an answer of the token endpoint and verifies what it gives.
    pub(super) async fn take(
        &self,
        answer: &Answer,
        endpoints: &Endpoints,
        asked: &Asked<'_>,
        sent_at: UnixTime,
    ) -> Result<Grant, Failure> {
        let response = read(answer, asked.refusal)?;
        let jwks = self.upstream.send(Method::GET, &endpoints.jwks, accept_json(), Bytes::new());
        let jwks = jwks.await.map_err(|reason| Failure::Passing(unanswered(&reason)))?;
        let keys = jwks.json().filter(|_| jwks.status.is_success());
        let keys = keys.ok_or_else(|| Failure::Passing(passing(&jwks)))?;
        self.believe(answer, response, &KeySet::from_jwks(&keys), asked, sent_at)
    }

    fn believe(
        &self,
        answer: &Answer,
        response: TokenResponse,
        keys: &KeySet,
        asked: &Asked<'_>,
        sent_at: UnixTime,
    ) -> Result<Grant, Failure> {
        let now = self.upstream.now();
        let claims = match Claims::verify(response.access_token.expose(), keys) {
            Ok(claims) => claims,
            Err(TokenRefusal::UnknownKey) if now.since(asked.since) < KEY_PATIENCE => {
                tracing::warn!("the key of the server's token is not published");
                return Err(Failure::Passing(Trouble::of(Code::TokenUnacceptable)));
            }
            Err(refusal) => return Err(unbelievable(&refusal)),
        };
        let expected = ClientExpectation {
            issuer: &self.config.issuer,
            audience: asked.audience,
            client_id: asked.client_id,
            thumbprint: asked.key,
            scopes: asked.scopes,
            now: self.upstream.server_time(),
            replayed: answer.headers.get(REPLAYED_HEADER).is_some_and(|value| value == "true"),
        };
        let date = answer.date().filter(|date| date.since(now).abs() <= FARTHEST);
        let date = judge(&claims, expected, date, now.since(sent_at))
            .map_err(|refusal| unbelievable(&refusal))?;
        if let Some(date) = date {
            self.upstream.learn_clock(date.since(now));
        }
        grant(response, claims, asked, now, self.upstream.server_time())
    }
}

/// Judges a token, and answers the server's time where that differs from ours.
///
/// A token whose times do not fit may be good and our clock wrong: the answer's own `Date` decides, unless the `took`
/// seconds of the exchange explain it. A token that has merely expired is taken, for the refresh token beside it is
/// good: the answer was slow, or this machine asleep.
fn judge(
    claims: &Claims,
    expected: ClientExpectation<'_>,
    date: Option<UnixTime>,
    took: i64,
) -> Result<Option<UnixTime>, ClaimRefusal> {
    match claims.judge(&expected) {
        Err(ClaimRefusal::Time) => {}
        judged => return judged.map(|()| None),
    }
    let slow = -NOTICEABLE..=took.max(0).saturating_add(NOTICEABLE);
    let date = date.filter(|date| !slow.contains(&expected.now.since(*date)));
    let fits_at = |now| claims.judge(&ClientExpectation { now, replayed: true, ..expected });
    match date.filter(|date| fits_at(*date).is_ok()) {
        None => fits_at(expected.now).map(|()| None),
        date => Ok(date),
    }
}

/// Reads an answer of the token endpoint: a complete response, or whether to send the same again.
fn read(answer: &Answer, refusal: Code) -> Result<TokenResponse, Failure> {
    let error = answer.error();
    if answer.may_pass() {
        return Err(Failure::Passing(passing(answer)));
    }
    let Some(error) = error else {
        // No error and no tokens is no answer of the token endpoint: something stands in between.
        let body = answer.json().filter(|_| answer.status.is_success());
        let response = body.and_then(|body| serde_json::from_value(Value::Object(body)).ok());
        return response.filter(is_complete).ok_or_else(|| Failure::Passing(passing(answer)));
    };
    if is_about_the_proof(&error) || error == "use_dpop_nonce" {
        // The server consumed nothing, so nothing is lost while a person mends the clock.
        return Err(Failure::Passing(refused(answer, refusal)));
    }
    let trouble = refused(answer, refusal);
    let expired = answer.headers.get(RECOVERY_HEADER).is_some_and(|value| value == "expired");
    if expired {
        tracing::error!("the server can no longer give the answer again");
    }
    Err(Failure::Final(trouble))
}

fn is_complete(response: &TokenResponse) -> bool {
    let given = |secret: &Secret| !secret.expose().is_empty();
    given(&response.access_token)
        && response.refresh_token.as_ref().is_some_and(given)
        && response.expires_in.is_some()
        && !response.token_type.is_empty()
}

/// Checks what stands beside the access token, and what a refresh must not change.
fn grant(
    response: TokenResponse,
    claims: Claims,
    asked: &Asked<'_>,
    now: UnixTime,
    server_time: UnixTime,
) -> Result<Grant, Failure> {
    let (Some(refresh), Some(lifetime)) = (response.refresh_token, response.expires_in) else {
        return Err(unbelievable(&"the answer is incomplete"));
    };
    let (company_id, grant_id) =
        (claims.company_id.unwrap_or_default(), claims.grant_id.unwrap_or_default());
    let same = asked
        .before
        .is_none_or(|before| before.company_id == company_id && before.grant_id == grant_id);
    let rotated = asked.before.is_none_or(|before| before.refresh != refresh);
    for (holds, refusal) in [
        (response.token_type.eq_ignore_ascii_case("dpop"), "the token is not bound to a key"),
        (lifetime > 0, "the token has no lifetime"),
        (response.scope.is_none_or(|scope| scope == *asked.scopes), "the scopes are others"),
        (same, "the answer is for another company or grant"),
        (rotated, "the refresh token was not rotated"),
    ] {
        if !holds {
            return Err(unbelievable(&refusal));
        }
    }
    let left = claims.exp.since(server_time).clamp(0, lifetime);
    Ok(Grant {
        access: response.access_token,
        refresh,
        issued_at: now,
        expires_at: now + left,
        company: Company { id: company_id, name: claims.company_name },
        grant_id,
    })
}

fn unbelievable(why: &dyn std::fmt::Display) -> Failure {
    tracing::error!(%why, "the server's token is refused");
    Failure::Final(Trouble::of(Code::TokenUnacceptable))
}

#[cfg(test)]
mod tests;
