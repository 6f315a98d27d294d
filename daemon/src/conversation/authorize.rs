//! The authorization request: pushed where the server takes that (RFC 9126), in the URL where not.

use counterfoil_protocol::{UnixTime, callback::with_parameters, pkce::Challenge};
use serde_json::Value;

use super::{Conversation, refused, unanswered};
use crate::{
    session::{Attempt, Authorization, PushOrder},
    trouble::{Code, Trouble},
};

impl Conversation {
    /// Makes the URL that the merchant's browser opens.
    pub(crate) async fn push(&self, order: &PushOrder) -> Result<Authorization, Trouble> {
        let attempt = &order.attempt;
        let endpoints = self.endpoints().await?;
        let parameters = self.parameters(attempt)?;
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, &**value)).collect();
        let Some(url) = &endpoints.pushed_request else {
            return Ok(Authorization {
                authorization_url: with_parameters(&endpoints.authorization, &parameters),
                expires_at: attempt.expires_at,
            });
        };
        let answer = self.send_form(url, &parameters, &attempt.key, None).await;
        let answer = answer.map_err(|reason| unanswered(&reason))?;
        if !answer.status.is_success() {
            return Err(refused(&answer, Code::AuthorizationRefused));
        }
        let pushed = answer.json();
        let member = |name: &str| pushed.as_ref().and_then(|body| body.get(name));
        let request_uri = member("request_uri").and_then(Value::as_str);
        let request_uri = request_uri.ok_or_else(|| Trouble::of(Code::AuthorizationRefused))?;
        let lifetime = member("expires_in").and_then(Value::as_i64).filter(|seconds| *seconds > 0);
        let parameters = [("client_id", &*attempt.client_id), ("request_uri", request_uri)];
        Ok(Authorization {
            authorization_url: with_parameters(&endpoints.authorization, &parameters),
            expires_at: lifetime.map_or(attempt.expires_at, |seconds| {
                UnixTime(self.upstream.now().0.saturating_add(seconds))
            }),
        })
    }

    fn parameters(&self, attempt: &Attempt) -> Result<[(&'static str, String); 9], Trouble> {
        let challenge =
            Challenge::of(attempt.verifier.expose()).map_err(|_| Trouble::of(Code::Internal))?;
        Ok([
            ("response_type", "code".to_owned()),
            ("client_id", attempt.client_id.clone()),
            ("redirect_uri", attempt.redirect_uri.clone()),
            ("scope", attempt.scopes.to_string()),
            ("state", attempt.state.expose().to_owned()),
            ("code_challenge", challenge.as_str().to_owned()),
            ("code_challenge_method", "S256".to_owned()),
            ("dpop_jkt", attempt.key.to_string()),
            ("resource", self.config.audience.clone()),
        ])
    }
}
