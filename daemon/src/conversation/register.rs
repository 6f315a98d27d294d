//! Registration of this store (contract: `POST /oauth/native/installations`).

use bytes::Bytes;
use counterfoil_protocol::{
    registration::{RegistrationRequest, RegistrationResponse},
    scope::ScopeSet,
};
use hyper::{Method, header::CONTENT_TYPE};
use serde_json::Value;

use super::{Conversation, JSON, accept_json, refused, unanswered};
use crate::{
    session::{RegisterOrder, Registration},
    trouble::{Code, Trouble},
    upstream::{Answer, Previous, Signed},
};

/// The refusal of a registration id that belongs to another address: the sign of a copied store.
const MISMATCH: &str = "registration_identity_mismatch";

impl Conversation {
    /// Discovers the server afresh and registers the store, or proves that it is the same one as before.
    pub(crate) async fn register(&self, order: RegisterOrder) -> Result<Registration, Trouble> {
        let endpoints = self.discover().await?;
        let mut answer =
            self.send_registration(&endpoints.installations, order, order.known).await?;
        // The server may know us when we think not, after a lost answer; or not, after its restore.
        let doubts_key = matches!(answer.status.as_u16(), 401 | 403 | 409)
            && answer.error().as_deref() != Some(MISMATCH);
        if doubts_key {
            answer = self.send_registration(&endpoints.installations, order, !order.known).await?;
        }
        self.judge_registration(&answer)
    }

    async fn send_registration(
        &self,
        url: &str,
        order: RegisterOrder,
        previous: bool,
    ) -> Result<Answer, Trouble> {
        let config = &self.config;
        let id = &self.identity.registration_id;
        let request = RegistrationRequest {
            platform: config.platform_name.clone(),
            registration_id: config.platform.sends_registration_id.then(|| id.expose().to_owned()),
            site_url: config.site_url.clone(),
            redirect_uri: config.redirect_uri.clone(),
            dpop_jkt: order.key,
            plugin_version: config.plugin_version.clone(),
            platform_version: Some(config.platform_version.clone()),
        };
        let mut headers = accept_json();
        headers.insert(CONTENT_TYPE, JSON);
        let request = Signed {
            method: Method::POST,
            url,
            headers,
            body: Bytes::from(request.to_json().to_string()),
            token: None,
            key: &order.key,
            previous: previous.then_some(Previous { key: &order.current, names_successor: false }),
        };
        self.upstream.send_signed(&request).await.map_err(|reason| unanswered(&reason))
    }

    fn judge_registration(&self, answer: &Answer) -> Result<Registration, Trouble> {
        if !answer.status.is_success() {
            return Err(match answer.error().as_deref() {
                Some(MISMATCH) => Trouble::of(Code::RegistrationIdentityMismatch),
                _ => refused(answer, Code::RegistrationRefused),
            });
        }
        let unreadable = || {
            Trouble::new(
                Code::RegistrationRefused,
                "The payment platform's answer to the registration cannot be understood.",
            )
        };
        let body = answer.json().ok_or_else(unreadable)?;
        let response: RegistrationResponse =
            serde_json::from_value(Value::Object(body)).map_err(|_| unreadable())?;
        let sends_id = self.config.platform.sends_registration_id;
        let own_id = self.identity.registration_id.expose();
        let echoes = response.registration_id.is_none_or(|id| !sends_id || id == own_id);
        if response.client_id.is_empty() || !echoes {
            return Err(unreadable());
        }
        let names: Vec<_> = if response.scopes.is_empty() {
            self.config.platform.usual_scopes.to_vec()
        } else {
            response.scopes.iter().map(String::as_str).collect()
        };
        let scopes = ScopeSet::from_names(names).map_err(|_| unreadable())?;
        tracing::debug!(client_id = response.client_id, %scopes, "the server gave these permissions");
        Ok(Registration { client_id: response.client_id, scopes })
    }
}
