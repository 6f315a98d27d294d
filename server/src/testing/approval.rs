//! A merchant who approves whatever a client asks for.

use counterfoil_protocol::{encoding::sha256, jwk::Thumbprint, pkce::Challenge, scope::ScopeSet};

use super::TestServer;
use crate::{
    oauth::{installation::Slot, request::AuthorizationRequest},
    people::role::Role,
    store::{Approval, ApproveOutcome, Company, Consent, NewCode, User},
};

/// Who approves.
pub const MERCHANT: &str = "ann";

/// The verifier of every code that is approved here.
pub const VERIFIER: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";

/// What a client asks for.
pub struct Asked<'a> {
    /// The client.
    pub client_id: &'a str,
    /// Where its code goes.
    pub callback: &'a str,
    /// What it may do.
    pub scope: &'a ScopeSet,
    /// An installation's current key.
    pub key: Option<Thumbprint>,
}

/// What the merchant's approval gave.
pub struct Approved {
    /// The code.
    pub code: String,
    /// The grant.
    pub grant_id: String,
}

impl TestServer {
    /// Makes sure of a company, and of a merchant who may approve for it.
    pub async fn merchant(&self, id: &str, name: &str) {
        let (store, now) = (&self.app.store, self.app.now());
        let company = Company { id: id.to_owned(), name: name.to_owned() };
        store.add_company(company, now).await.expect("adds");
        let user = User {
            id: MERCHANT.to_owned(),
            email: "ann@shop.example".to_owned(),
            password_hash: String::new(),
            disabled_at: None,
        };
        store.add_user(user, now).await.expect("adds");
        store.add_membership(MERCHANT, id, Role::Admin).await.expect("adds");
    }

    /// Has the merchant approve what a client asks for, for this company.
    pub async fn approve(&self, company_id: &str, asked: &Asked<'_>) -> Approved {
        let (app, now) = (&self.app, self.app.now());
        let Asked { client_id, callback, scope, key } = *asked;
        let (code, consent) = (app.entropy.id("code_"), app.entropy.bytes());
        let challenge = Challenge::of(VERIFIER).expect("a verifier");
        let resource = app.uris.resource.clone();
        let shown = Consent {
            hash: consent,
            session_hash: [0; 32],
            user_id: MERCHANT.to_owned(),
            request: AuthorizationRequest {
                client_id: client_id.to_owned(),
                redirect_uri: callback.to_owned(),
                scope: scope.clone(),
                state: None,
                challenge: challenge.as_str().to_owned(),
                key,
                resource: resource.clone(),
            },
            pushed: None,
            expires_at: now + 600,
        };
        app.store.show_consent(shown).await.expect("shows");
        let approval = Approval {
            consent,
            pushed: None,
            client_id: client_id.to_owned(),
            slot: key.map(|key| (Slot::Current, key)),
            company_id: company_id.to_owned(),
            user_id: MERCHANT.to_owned(),
            new_grant_id: app.entropy.id("grant_"),
            code: NewCode {
                hash: sha256(code.as_bytes()),
                redirect_uri: callback.to_owned(),
                challenge,
                scope: scope.clone(),
                resource,
                key,
                expires_at: now + 60,
            },
            now,
        };
        match app.store.approve(approval).await.expect("decides") {
            ApproveOutcome::Approved { grant_id } => Approved { code, grant_id },
            refused => panic!("{client_id}: {refused:?}"),
        }
    }
}
