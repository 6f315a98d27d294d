//! `grant_type=client_credentials` (RFC 6749 §4.4): an application acts for the company it belongs to.

use axum::response::Response;
use counterfoil_protocol::scope::ScopeSet;

use super::{TokenRequest, answer, issue::Subject};
use crate::http::error::Refusal;

impl TokenRequest<'_> {
    pub(super) async fn client_credentials(&self) -> Result<Response, Refusal> {
        let sentence = "Only an application with a client secret may act for itself.";
        let app = self.client.app().filter(|app| app.secret_hash.is_some());
        let app = app.ok_or_else(|| Refusal::bad_request("unauthorized_client", sentence))?;
        let scope = match self.form.get("scope") {
            None => self.client.scopes.clone(),
            Some(text) => ScopeSet::parse(text)
                .ok()
                .filter(|asked| self.client.scopes.contains_all(asked))
                .ok_or_else(|| {
                    Refusal::bad_request(
                        "invalid_scope",
                        "scope names something that this client may not ask for.",
                    )
                })?,
        };
        self.spend_proof()?;
        let new_id = self.app.entropy.id("mco_grant_");
        let now = self.app.now();
        let grant = self
            .app
            .store
            .own_grant(&self.client.id, &app.company_id, &new_id, &self.client.scopes, now)
            .await?;
        let subject = Subject { grant: &grant, family: None, scope: &scope, key: self.key() };
        Ok(answer(self.issue(&subject, None)?.body, false))
    }
}
