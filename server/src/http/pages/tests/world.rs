//! A merchant, a store and a partner application.

use counterfoil_protocol::{
    UnixTime, callback::RedirectUri, encoding::sha256, jwk::Thumbprint, pkce::Challenge,
    scope::ScopeSet, secret::Secret,
};

use crate::{
    audit::Actor,
    oauth::{
        client::{App, Client, ClientKind},
        installation::{Address, Change, Staged},
        request::AuthorizationRequest,
    },
    password,
    people::role::Role,
    store::{Company, NewInstallation, PushedRequest, Registration, User},
    testing::TestServer,
};

/// Everybody's password.
pub const PASSWORD: &str = "correct horse";
/// The store.
pub const STORE: &str = "mco_app_store";
/// The partner application.
pub const PARTNER: &str = "mco_app_partner";
/// The key in force.
pub const KEY: Thumbprint = Thumbprint([1; 32]);
/// The store's address.
pub const SITE: &str = "https://shop.example";
/// The partner's callback.
pub const PARTNER_CALLBACK: &str = "https://app.example/cb?a=b";

const IDENTITY: [u8; 32] = [9; 32];
const SCOPES: &str = "company:read makepay:payment-links:write";

/// A server with companies A and B; anna acts for both, ben for B, carl for none.
pub async fn world() -> TestServer {
    world_on(TestServer::start()).await
}

/// The same, on a server of other settings.
pub async fn world_on(server: TestServer) -> TestServer {
    let (store, now) = (&server.app.store, server.app.now());
    for (id, name) in [("co_a", "Anvils & Co"), ("co_b", "Bolts Ltd")] {
        let company = Company { id: id.to_owned(), name: name.to_owned() };
        assert!(store.add_company(company, now).await.expect("writes"));
    }
    let password_hash = password::hash(&Secret::new(PASSWORD), &*server.app.entropy);
    let password_hash = password_hash.expect("hashes");
    for (id, companies) in [("anna", &["co_a", "co_b"][..]), ("ben", &["co_b"]), ("carl", &[])] {
        let user = User {
            id: id.to_owned(),
            email: format!("{id}@shop.example"),
            password_hash: password_hash.clone(),
            disabled_at: None,
        };
        assert!(store.add_user(user, now).await.expect("writes"));
        for company in companies {
            store.add_membership(id, company, Role::Admin).await.expect("writes");
        }
    }
    let partner = Client {
        id: PARTNER.to_owned(),
        name: "Ledger <b>Sync</b>".to_owned(),
        kind: ClientKind::App(App {
            company_id: "co_b".to_owned(),
            redirect_uris: vec![RedirectUri::parse(PARTNER_CALLBACK).expect("a callback")],
            version: 1,
            ..App::default()
        }),
        scopes: ScopeSet::parse(SCOPES).expect("scopes"),
        require_nonce: false,
        created_at: now,
    };
    store.add_app(partner, &Actor::System, 100).await.expect("writes");
    register(&server, Change::Create, SITE, KEY).await;
    server
}

/// Registers the store, or stages a key or an address for it.
pub async fn register(server: &TestServer, change: Change, site: &str, key: Thumbprint) {
    let known = match &change {
        Change::Create => None,
        _ => Some((STORE.to_owned(), Some(KEY))),
    };
    let registration = Registration {
        identity: IDENTITY,
        change,
        known,
        installation: NewInstallation {
            client_id: STORE.to_owned(),
            name: "MakePay for WordPress".to_owned(),
            scopes: SCOPES.to_owned(),
            require_nonce: false,
            platform: "wordpress".to_owned(),
            address: address(site),
            key,
            plugin_version: "1".to_owned(),
            platform_version: None,
        },
        now: server.app.now(),
    };
    server.app.store.register(registration).await.expect("writes");
}

/// Stages a key, and perhaps a move.
pub async fn stage(server: &TestServer, key: Thumbprint, moved_to: Option<&str>) {
    let staged = Staged { key, moved_to: moved_to.map(address), at: server.app.now() };
    register(server, Change::Stage(staged), moved_to.unwrap_or(SITE), key).await;
}

fn address(site: &str) -> Address {
    Address { site_url: site.to_owned(), redirect_uri: format!("{site}/cb") }
}

/// Pushes a request and answers the link a browser is given.
pub async fn push(server: &TestServer, site: &str, key: Thumbprint) -> String {
    let request_uri = server.app.entropy.secret(crate::http::oauth::par::REQUEST_URI_PREFIX);
    let pushed = PushedRequest {
        hash: sha256(request_uri.as_bytes()),
        request: AuthorizationRequest {
            client_id: STORE.to_owned(),
            redirect_uri: format!("{site}/cb"),
            scope: ScopeSet::parse(SCOPES).expect("scopes"),
            state: Some("s t&te".to_owned()),
            challenge: challenge(),
            key: Some(key),
            resource: server.app.uris.resource.clone(),
        },
        expires_at: server.app.now() + 300,
    };
    server.app.store.push_request(pushed).await.expect("writes");
    link(&[("client_id", STORE), ("request_uri", &request_uri)])
}

/// The link of a partner's request, with some parameters changed; an empty value leaves one out.
pub fn partner_link(change: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let mut parameters = vec![
        ("client_id", PARTNER),
        ("response_type", "code"),
        ("redirect_uri", PARTNER_CALLBACK),
        ("scope", "company:read"),
        ("state", "xyz"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in change {
        parameters.retain(|(known, _)| known != name);
        parameters.push((name, value));
    }
    parameters.retain(|(_, value)| !value.is_empty());
    link(&parameters)
}

/// A link to the authorization endpoint.
pub fn link(parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("/oauth/authorize?{query}")
}

/// What became of a code: the grant's id, if it is stored and good.
pub async fn grant_of(server: &TestServer, code: &str) -> Option<String> {
    let found = server.app.store.code(&sha256(code.as_bytes())).await;
    found.expect("reads").map(|code| code.grant.id)
}

fn challenge() -> String {
    Challenge::of(&"v".repeat(43)).expect("a verifier").as_str().to_owned()
}

/// Moves the clock.
pub fn later(server: &TestServer, seconds: i64) -> UnixTime {
    server.clock.advance(seconds);
    server.app.now()
}
