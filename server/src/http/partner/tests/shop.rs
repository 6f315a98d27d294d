//! A store that was registered, approved and given a token, and the requests that it makes.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use counterfoil_protocol::{
    access_token::{Claims, Confirmation},
    encoding::{base64url, sha256},
    proof::Draft,
    scope::ScopeSet,
    uri::HttpUri,
};
use serde_json::Value;

use crate::{
    oauth::{
        installation::{Address, Change},
        profile::Algorithm,
    },
    store::{NewFamily, NewInstallation, Redemption, Registration, Written},
    testing::{
        Answer, TestServer,
        approval::{Approved, Asked},
    },
};

pub(super) use crate::testing::Key;

pub(super) const ISSUER: &str = "https://pay.example";
pub(super) const API: &str = "/api/partner/v1/makepay";
const CALLBACK: &str = "https://shop.example/callback";

/// A connected store.
pub(super) struct Shop<'a> {
    pub(super) server: &'a TestServer,
    pub(super) key: Key,
    pub(super) claims: Claims,
    pub(super) algorithm: Algorithm,
    pub(super) token: String,
    jti: AtomicU32,
}

/// What is different about one request.
#[derive(Default)]
pub(super) struct Knobs<'a> {
    /// The proof says so.
    pub(super) method: Option<&'a str>,
    /// The proof says so.
    pub(super) uri: Option<&'a str>,
    /// The proof's clock.
    pub(super) seconds_ahead: i64,
    /// The proof carries it.
    pub(super) nonce: Option<&'a str>,
    /// Who signs the proof.
    pub(super) signer: Option<&'a Key>,
    /// The token that the proof is for.
    pub(super) ath: Ath<'a>,
}

/// The token that a proof names.
#[derive(Clone, Copy, Default)]
pub(super) enum Ath<'a> {
    /// The store's own.
    #[default]
    Own,
    /// None.
    Absent,
    /// Another.
    Of(&'a str),
}

impl<'a> Shop<'a> {
    /// Registers a store of a platform, approves it for a company and redeems the code.
    pub(super) async fn connect(server: &'a TestServer, platform: &str, company: &str) -> Self {
        let (app, now) = (&server.app, server.app.now());
        let key = Key::new();
        let profile = app.profiles.get(platform).expect("a profile");
        let client_id = app.entropy.id("mco_app_");
        let installation = NewInstallation {
            client_id: client_id.clone(),
            name: profile.name.clone(),
            scopes: profile.scope_set().to_string(),
            require_nonce: profile.require_nonce,
            platform: platform.to_owned(),
            address: Address {
                site_url: "https://shop.example".to_owned(),
                redirect_uri: CALLBACK.to_owned(),
            },
            key: key.thumbprint(),
            plugin_version: "1".to_owned(),
            platform_version: None,
        };
        let registration = Registration {
            identity: sha256(client_id.as_bytes()),
            change: Change::Create,
            known: None,
            installation,
            now,
        };
        app.store.register(registration).await.expect("registers");
        let mut shop = Self {
            server,
            claims: Claims {
                iss: ISSUER.to_owned(),
                aud: vec![app.uris.resource.clone()],
                sub: None,
                client_id: client_id.clone(),
                scope: profile.scope_set(),
                iat: now,
                exp: now + 3600,
                nbf: None,
                jti: None,
                cnf: Some(Confirmation { jkt: key.thumbprint() }),
                company_id: None,
                company_name: None,
                grant_id: None,
                installation_id: Some(client_id),
                family_id: None,
            },
            key,
            algorithm: profile.token_algorithm,
            token: String::new(),
            jti: AtomicU32::new(0),
        };
        shop.approve(company).await;
        shop
    }

    /// Approves the store for a company and redeems the code: a new token.
    pub(super) async fn approve(&mut self, company: &str) {
        let (app, now) = (&self.server.app, self.server.app.now());
        let (key, scope) = (Some(self.key.thumbprint()), self.claims.scope.clone());
        let company_id = format!("co_{company}");
        self.server.merchant(&company_id, company).await;
        let asked =
            Asked { client_id: &self.claims.client_id, callback: CALLBACK, scope: &scope, key };
        let Approved { code, grant_id } = self.server.approve(&company_id, &asked).await;
        let family: [u8; 16] = app.entropy.bytes();
        let new = NewFamily {
            id: family,
            grant_id: grant_id.clone(),
            scope,
            resource: app.uris.resource.clone(),
            key,
            token_hash: app.entropy.bytes(),
            expires_at: None,
        };
        let code = sha256(code.as_bytes());
        let redemption = Redemption { code, family: new, receipt: None, sole: true, now };
        assert_eq!(app.store.redeem_code(redemption).await.expect("redeems"), Written::Done);
        self.claims.jti = Some(app.entropy.id("jti_"));
        self.claims.company_id = Some(company_id);
        self.claims.grant_id = Some(grant_id);
        self.claims.family_id = Some(base64url(&family));
        self.token = self.sign(&self.claims);
    }

    pub(super) fn grant_id(&self) -> &str {
        self.claims.grant_id.as_deref().expect("a grant")
    }

    /// Signs claims as the server would.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        let keys = self.server.app.keys.current();
        keys.sign(self.algorithm, claims, self.server.app.now()).expect("signs").0
    }

    /// The token with other claims.
    pub(super) fn token_with(&self, change: impl FnOnce(&mut Claims)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.sign(&claims)
    }

    /// A proof for a request.
    pub(super) fn proof(&self, method: &str, path: &str, knobs: &Knobs<'_>) -> String {
        let uri = knobs.uri.map_or_else(|| format!("{ISSUER}{path}"), str::to_owned);
        let draft = Draft {
            method: knobs.method.unwrap_or(method),
            uri: &HttpUri::parse(&uri).expect("a URI"),
            iat: self.server.app.now() + knobs.seconds_ahead,
            jti: &format!("jti-{}", self.jti.fetch_add(1, Ordering::SeqCst)),
            access_token: match knobs.ath {
                Ath::Own => Some(&self.token),
                Ath::Absent => None,
                Ath::Of(token) => Some(token),
            },
            nonce: knobs.nonce,
            successor: None,
        };
        draft.sign(knobs.signer.unwrap_or(&self.key)).expect("signs")
    }

    /// A request with the store's own token and proof, to be changed or sent.
    pub(super) fn request(&self, method: &str, path: &str, body: &str) -> Request<Body> {
        let path = format!("{API}/{path}");
        let proof = self.proof(method, &path, &Knobs::default());
        self.request_with(method, &path, body, &proof)
    }

    pub(super) fn request_with(
        &self,
        method: &str,
        path: &str,
        body: &str,
        proof: &str,
    ) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("DPoP {}", self.token))
            .header("dpop", proof)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .expect("a request")
    }

    /// One call below the API.
    pub(super) async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.server.send(self.request(method, path, body)).await
    }

    /// One call with an `Idempotency-Key`.
    pub(super) async fn call_once(
        &self,
        method: &str,
        path: &str,
        body: &str,
        idempotency: &str,
    ) -> Answer {
        let mut request = self.request(method, path, body);
        let value = idempotency.parse().expect("a header");
        request.headers_mut().insert("idempotency-key", value);
        self.server.send(request).await
    }

    /// Asserts that the store's own request is still good: what was refused before has changed nothing.
    #[track_caller]
    pub(super) fn assert_good(answer: &Answer) {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }

    /// Takes a scope away.
    pub(super) fn without(&self, scope: &str) -> String {
        let rest = ScopeSet::from_names(self.claims.scope.iter().filter(|name| *name != scope));
        self.token_with(|claims| claims.scope = rest.expect("scopes"))
    }
}

/// An answer's JSON.
pub(super) fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Asserts an answer's status and gives its JSON.
#[track_caller]
pub(super) fn ok(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    json(answer)
}

/// Asserts that an answer is this refusal, in the one shape.
#[track_caller]
pub(super) fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = json(answer);
    assert_eq!(body["error"], code, "{}", answer.body);
    assert!(body["error_description"].is_string(), "{}", answer.body);
}
