//! An application's codes and tokens in the course of time: what ends, when, and what introspection says of each.

use axum::{body::Body, http::Request};
use counterfoil_protocol::{
    access_token::Claims,
    callback::RedirectUri,
    encoding::{base64url, from_base64url, sha256},
    proof::Draft,
    scope::ScopeSet,
    uri::HttpUri,
};
use form_urlencoded::Serializer;
use serde_json::{Value, json};

use crate::{
    audit::Actor,
    oauth::{
        client::{App, Client, ClientKind},
        profile::Algorithm,
    },
    testing::{
        Answer, Key, TestServer,
        approval::{Asked, MERCHANT, VERIFIER},
    },
};

const TOKEN: &str = "/oauth/token";
const INTROSPECT: &str = "/oauth/introspect";
const CALLBACK: &str = "https://app.example/cb";
const SECRET: &str = "a secret";

/// Whoever asks: a client, by its secret or without one.
#[derive(Clone, Copy)]
struct Asker<'a> {
    server: &'a TestServer,
    id: &'a str,
    confidential: bool,
}

/// A server with a company, and ann who may approve for it.
async fn world() -> TestServer {
    let server = TestServer::start();
    server.merchant("co", "Anvils").await;
    server
}

impl<'a> Asker<'a> {
    async fn new(server: &'a TestServer, id: &'a str, confidential: bool) -> Self {
        Self::registered(server, id, confidential, false).await
    }

    async fn resource_server(server: &'a TestServer, id: &'a str) -> Self {
        Self::registered(server, id, true, true).await
    }

    async fn registered(
        server: &'a TestServer,
        id: &'a str,
        confidential: bool,
        resource_server: bool,
    ) -> Self {
        let app = App {
            company_id: "co".to_owned(),
            secret_hash: confidential.then(|| sha256(SECRET.as_bytes())),
            redirect_uris: vec![RedirectUri::parse(CALLBACK).expect("a callback")],
            resource_server,
            version: 1,
            ..App::default()
        };
        let client = Client {
            id: id.to_owned(),
            name: id.to_owned(),
            kind: ClientKind::App(app),
            scopes: scope(),
            require_nonce: false,
            created_at: server.app.now(),
        };
        server.app.store.add_app(client, &Actor::System, 100).await.expect("adds");
        Self { server, id, confidential }
    }

    /// Has ann approve; answers the code.
    async fn approved(&self) -> String {
        let asked = Asked { client_id: self.id, callback: CALLBACK, scope: &scope(), key: None };
        self.server.approve("co", &asked).await.code
    }

    async fn redeem(&self, code: &str, key: Option<&Key>) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.post(TOKEN, &form, key).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post(TOKEN, &form, None).await
    }

    /// Approved and redeemed: the tokens.
    async fn connected(&self, key: Option<&Key>) -> Value {
        granted(&self.redeem(&self.approved().await, key).await)
    }

    async fn introspect(&self, token: &str, key: Option<&Key>) -> Value {
        granted(&self.post(INTROSPECT, &[("token", token)], key).await)
    }

    async fn post(&self, path: &str, form: &[(&str, &str)], key: Option<&Key>) -> Answer {
        let mut body = Serializer::new(String::new());
        body.extend_pairs(form).append_pair("client_id", self.id);
        if self.confidential {
            body.append_pair("client_secret", SECRET);
        }
        let mut request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if let Some(key) = key {
            request = request.header("dpop", proof(self.server, path, key));
        }
        let body = Body::from(body.finish());
        self.server.send(request.body(body).expect("a request")).await
    }
}

fn scope() -> ScopeSet {
    ScopeSet::parse("company:read").expect("a scope")
}

fn proof(server: &TestServer, path: &str, key: &Key) -> String {
    let draft = Draft {
        method: "POST",
        uri: &HttpUri::parse(&format!("https://pay.example{path}")).expect("a URI"),
        iat: server.app.now(),
        jti: &server.app.entropy.id("jti_"),
        access_token: None,
        nonce: None,
        successor: None,
    };
    draft.sign(key).expect("signs")
}

#[track_caller]
fn granted(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status.as_u16(), body["error"].as_str()), (status, Some(code)));
}

fn member<'v>(tokens: &'v Value, name: &str) -> &'v str {
    tokens[name].as_str().expect("text")
}

fn inactive() -> Value {
    json!({ "active": false })
}

#[tokio::test]
async fn a_refresh_token_ends_when_it_was_not_used_for_its_lifetime_and_at_no_other_time() {
    let server = world().await;
    let app = Asker::new(&server, "mco_app_a", true).await;
    let lifetime = server.app.config.lifetimes.refresh_token;
    let mut tokens = app.connected(None).await;
    // Used in time it goes on for ever: three lifetimes, all but three seconds.
    for _ in 0..3 {
        server.clock.advance(lifetime - 1);
        let active = app.introspect(member(&tokens, "refresh_token"), None).await;
        assert_eq!(
            (&active["active"], &active["exp"]),
            (&true.into(), &(server.app.now() + 1).0.into())
        );
        tokens = granted(&app.refresh(member(&tokens, "refresh_token")).await);
    }
    server.clock.advance(lifetime);
    let last = member(&tokens, "refresh_token");
    refused(&app.refresh(last).await, 400, "invalid_grant");
    assert_eq!(app.introspect(last, None).await, inactive());
    // What was approved stays approved: the merchant is asked again, and nothing has to be cleared away.
    granted(&app.refresh(member(&app.connected(None).await, "refresh_token")).await);
}

#[tokio::test]
async fn a_code_is_worth_nothing_when_what_it_rests_on_has_gone() {
    let server = world().await;
    let (store, by, now) = (&server.app.store, &Actor::System, server.app.now());
    let app = Asker::new(&server, "mco_app_a", true).await;
    let before = app.connected(None).await;

    let code = app.approved().await;
    store.shut_out(MERCHANT, by, now).await.expect("writes").expect("was let in");
    refused(&app.redeem(&code, None).await, 400, "invalid_grant");
    assert!(store.let_in(MERCHANT, by, now).await.expect("writes"));
    refused(&app.redeem(&code, None).await, 400, "invalid_grant");
    // What was redeemed is the company's, not ann's.
    granted(&app.refresh(member(&before, "refresh_token")).await);
    let again = app.connected(None).await;

    let code = app.approved().await;
    let found = store.code(&sha256(code.as_bytes())).await.expect("reads").expect("a code");
    store.revoke_grant(&found.grant.id, by, now).await.expect("writes");
    refused(&app.redeem(&code, None).await, 400, "invalid_grant");
    refused(&app.refresh(member(&again, "refresh_token")).await, 400, "invalid_grant");

    let code = app.approved().await;
    store.delete_app(app.id, "co", by, now).await.expect("writes").expect("was there");
    refused(&app.redeem(&code, None).await, 401, "invalid_client");
}

#[tokio::test]
async fn introspection_knows_what_the_guard_takes_and_nothing_else() {
    type Change = fn(&mut Claims);
    let server = world().await;
    let app = Asker::new(&server, "mco_app_a", true).await;
    let guard = Asker::resource_server(&server, "mco_app_guard").await;
    let tokens = app.connected(None).await;
    let token = member(&tokens, "access_token");
    let payload = token.split('.').nth(1).and_then(from_base64url).expect("a payload");
    let claims: Claims = serde_json::from_slice(&payload).expect("claims");
    let cases: [(&str, Change, bool); 12] = [
        ("as it is", |_| (), true),
        ("begun", |c| c.nbf = Some(c.iat), true),
        ("begins in a minute, by a clock that is ahead", |c| c.nbf = Some(c.iat + 60), true),
        ("begins later", |c| c.nbf = Some(c.iat + 61), false),
        ("made later", |c| c.iat = c.iat + 61, false),
        ("ends now", |c| c.exp = c.iat, false),
        ("ended in 1970", |c| c.exp.0 = 0, false),
        ("another issuer", |c| c.iss.push('/'), false),
        ("another resource", |c| c.aud = vec!["https://api.example".to_owned()], false),
        ("without a name", |c| c.jti = None, false),
        ("of no grant", |c| c.grant_id = Some("grant_none".to_owned()), false),
        ("of no family", |c| c.family_id = Some(base64url(&[9; 16])), false),
    ];
    for (name, change, active) in cases {
        let mut claims = claims.clone();
        change(&mut claims);
        let keys = server.app.keys.current();
        let (token, _) = keys.sign(Algorithm::Es256, &claims, server.app.now()).expect("signs");
        for asker in [app, guard] {
            let told = asker.introspect(&token, None).await;
            assert_eq!(told["active"], active, "{name} asked by {}", asker.id);
            assert!(active || told == inactive(), "{name}");
        }
    }
    let [_, payload, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().expect("three parts");
    let head = |header: Value| base64url(header.to_string().as_bytes());
    let keys = server.app.keys.current();
    let (_, kid) = keys.sign(Algorithm::Es256, &claims, server.app.now()).expect("signs");
    for forged in [
        format!("{}.{payload}.", head(json!({ "typ": "at+jwt", "alg": "none" }))),
        format!("{}.{payload}.", head(json!({ "typ": "at+jwt", "alg": "none", "kid": kid }))),
        format!(
            "{}.{payload}.{signature}",
            head(json!({ "typ": "at+jwt", "alg": "HS256", "kid": kid }))
        ),
        format!(
            "{}.{payload}.{signature}",
            head(json!({ "typ": "JWT", "alg": "ES256", "kid": kid }))
        ),
        proof(&server, INTROSPECT, &Key::new()),
    ] {
        for asker in [app, guard] {
            assert_eq!(asker.introspect(&forged, None).await, inactive(), "{forged}");
        }
    }
    server.clock.advance(server.app.config.lifetimes.access_token - 1);
    assert_eq!(app.introspect(token, None).await["active"], true);
    server.clock.advance(1);
    assert_eq!(app.introspect(token, None).await, inactive(), "it has ended");
}

#[tokio::test]
async fn a_refresh_token_is_described_to_its_own_client_alone() {
    let server = world().await;
    let app = Asker::new(&server, "mco_app_a", true).await;
    let stranger = Asker::new(&server, "mco_app_b", true).await;
    let guard = Asker::resource_server(&server, "mco_app_guard").await;
    let first = app.connected(None).await;
    let old = member(&first, "refresh_token");
    let told = app.introspect(old, None).await;
    assert_eq!((&told["active"], &told["token_use"]), (&true.into(), &"refresh_token".into()));
    assert!(told.get("token_type").is_none(), "nobody takes it for an access token: {told}");
    for asker in [stranger, guard] {
        assert_eq!(asker.introspect(old, None).await, inactive(), "{}", asker.id);
    }
    let next = granted(&app.refresh(old).await);
    let new = member(&next, "refresh_token");
    assert_eq!(app.introspect(old, None).await, inactive(), "it was rotated");
    assert_eq!(app.introspect(new, None).await["active"], true, "and asking ended nothing");
    refused(&app.refresh(old).await, 400, "invalid_grant");
    for token in [new, member(&next, "access_token")] {
        assert_eq!(app.introspect(token, None).await, inactive(), "the family has ended");
    }
}

#[tokio::test]
async fn a_public_client_asks_about_its_own_tokens_with_a_proof_of_their_key() {
    let server = world().await;
    let (desk, other) = (
        Asker::new(&server, "mco_app_desk", false).await,
        Asker::new(&server, "mco_app_other", false).await,
    );
    let (key, foreign) = (Key::new(), Key::new());
    let bound = desk.connected(Some(&key)).await;
    let unbound = desk.connected(None).await;
    for name in ["access_token", "refresh_token"] {
        let token = member(&bound, name);
        let told = desk.introspect(token, Some(&key)).await;
        let jkt = key.thumbprint().to_string();
        assert_eq!((&told["active"], &told["cnf"]), (&true.into(), &json!({ "jkt": jkt })));
        assert_eq!(desk.introspect(token, Some(&foreign)).await, inactive(), "{name}");
        assert_eq!(other.introspect(token, Some(&key)).await, inactive(), "{name}");
        assert_eq!(desk.introspect(member(&unbound, name), Some(&key)).await, inactive());
        let unproved = desk.post(INTROSPECT, &[("token", token)], None).await;
        refused(&unproved, 401, "invalid_client");
        assert!(unproved.header("www-authenticate").starts_with("Basic realm="));
    }
}

#[tokio::test]
async fn a_proof_in_the_body_or_the_query_binds_nothing() {
    let server = world().await;
    let app = Asker::new(&server, "mco_app_a", false).await;
    let key = Key::new();
    let code = app.approved().await;
    let proofs = [proof(&server, TOKEN, &key), proof(&server, TOKEN, &key)];
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("DPoP", &proofs[0]),
        ("dpop", &proofs[1]),
    ];
    let query = format!("{TOKEN}?DPoP={}", proofs[0]);
    refused(&app.post(&query, &form, None).await, 400, "invalid_request");
    let tokens = granted(&app.post(TOKEN, &form, None).await);
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(app.connected(Some(&key)).await["token_type"], "DPoP", "in the header it does");
}
