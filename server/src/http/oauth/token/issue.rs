//! Making tokens: the claims, the signature, the answer, and the receipt of it.

use counterfoil_protocol::{
    access_token::{Claims, Confirmation},
    encoding::base64url,
    jwk::Thumbprint,
    scope::ScopeSet,
    secret::Secret,
    token::TokenResponse,
};

use super::TokenRequest;
use crate::{
    http::error::Refusal,
    oauth::{
        grant::{Grant, Receipt},
        profile::Algorithm,
        refresh_token::RefreshToken,
    },
    vault::{self, Purpose},
};

/// What an access token is made for.
pub(in crate::http::oauth) struct Subject<'a> {
    /// The grant it rests on.
    pub grant: &'a Grant,
    /// The family it comes from; none for client credentials.
    pub family: Option<&'a [u8; 16]>,
    /// What it may do.
    pub scope: &'a ScopeSet,
    /// The key it is bound to.
    pub key: Option<&'a Thumbprint>,
}

/// An answer with tokens, as bytes, and the `kid` that signed.
pub(in crate::http::oauth) struct Issued {
    /// The body.
    pub body: Vec<u8>,
    /// The signing key.
    pub kid: String,
    /// SHA-256 of the refresh token in it.
    pub refresh_hash: Option<[u8; 32]>,
}

impl TokenRequest<'_> {
    /// Makes an access token and, for a family, the refresh token of `generation`. The connection was used: that is noted.
    pub(in crate::http::oauth) fn issue(
        &self,
        subject: &Subject<'_>,
        generation: Option<u32>,
    ) -> Result<Issued, Refusal> {
        let app = self.app;
        app.last_access.note(&subject.grant.id, app.now());
        let refresh_token = subject.family.zip(generation).map(|(family, generation)| {
            let token = RefreshToken { family: *family, generation };
            token.mint(app.entropy.bytes(), app.vault.refresh_token_key())
        });
        let keys = app.keys.current();
        let algorithm = self.profile.map_or(Algorithm::Es256, |profile| profile.token_algorithm);
        let (access_token, kid) = keys.sign(algorithm, &self.claims(subject), app.now())?;
        let refresh_hash = refresh_token.as_ref().map(Secret::sha256);
        let answer = TokenResponse {
            access_token: Secret::new(access_token),
            token_type: if subject.key.is_some() { "DPoP" } else { "Bearer" }.to_owned(),
            expires_in: Some(app.config.lifetimes.access_token),
            refresh_token,
            scope: Some(subject.scope.clone()),
        };
        let body = serde_json::to_vec(&answer).map_err(Refusal::server_error)?;
        Ok(Issued { body, kid: kid.to_owned(), refresh_hash })
    }

    fn claims(&self, subject: &Subject<'_>) -> Claims {
        let app = self.app;
        let now = app.now();
        // Approval is the company's; an application that acts for itself is its own subject (RFC 9068 §2.2).
        let sub =
            if subject.family.is_some() { &subject.grant.company_id } else { &self.client.id };
        Claims {
            iss: app.config.issuer.clone(),
            aud: vec![app.uris.resource.clone()],
            sub: Some(sub.clone()),
            client_id: self.client.id.clone(),
            scope: subject.scope.clone(),
            iat: now,
            exp: now + app.config.lifetimes.access_token,
            nbf: None,
            jti: Some(base64url(&app.entropy.bytes::<16>())),
            cnf: subject.key.map(|key| Confirmation { jkt: *key }),
            company_id: Some(subject.grant.company_id.clone()),
            company_name: Some(subject.grant.company_name.clone()),
            grant_id: Some(subject.grant.id.clone()),
            installation_id: self.is_native().then(|| self.client.id.clone()),
            family_id: subject.family.map(|family| base64url(family)),
        }
    }

    /// The receipt of an answer, sealed with the credential that earned it.
    pub(in crate::http::oauth) fn receipt(
        &self,
        issued: &Issued,
        credential: &str,
        purpose: Purpose,
    ) -> Receipt {
        Receipt {
            idempotency: self.idempotency(),
            sealed: vault::seal_with(
                credential.as_bytes(),
                purpose,
                &issued.body,
                &*self.app.entropy,
            ),
            kid: issued.kid.clone(),
            given_at: self.app.now(),
        }
    }

    /// Opens a receipt. One whose signing key is no longer published cannot be given again.
    pub(in crate::http::oauth) fn open_receipt(
        &self,
        receipt: &Receipt,
        credential: &str,
        purpose: Purpose,
    ) -> Result<Vec<u8>, Refusal> {
        if !self.app.keys.current().is_published(&receipt.kid, self.app.now()) {
            return Err(self.answer_gone("the receipt's signing key was retired"));
        }
        let body = vault::open_with(credential.as_bytes(), purpose, &receipt.sealed);
        body.map(|body| body.to_vec())
            .map_err(|_| self.answer_gone("the receipt is of another credential"))
    }
}
