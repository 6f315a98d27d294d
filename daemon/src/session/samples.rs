//! Facts and a world for tests.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint, scope::ScopeSet, secret::Secret};

use super::{
    Attempt, Binding, Company, Connection, Context, Facts, Grant, Keys, RegisterOrder,
    Registration, Tokens,
};
use crate::{clock::fixed::Counting, config::Config};

/// When tests happen.
pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);

/// The key of tests.
pub(crate) const KEY: Thumbprint = Thumbprint([1; 32]);

/// The store's file of tests.
pub(crate) const STORE: &str = r#"
platform = "wordpress"
site_url = "https://shop.example"
redirect_uri = "https://shop.example/wp-admin/admin-post.php?action=counterfoil_callback"
issuer = "https://pay.example"
"#;

/// A store, and randomness that counts.
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) entropy: Counting,
}

impl Default for World {
    fn default() -> Self {
        Self { config: Config::parse(STORE).expect("a store"), entropy: Counting::default() }
    }
}

impl World {
    /// The context at a time.
    pub(crate) fn at(&self, now: UnixTime) -> Context<'_> {
        Context { config: &self.config, now, entropy: &self.entropy }
    }
}

/// The scopes of tests.
pub(crate) fn scopes() -> ScopeSet {
    ScopeSet::parse("company:read makepay:payment-links:read").expect("a set")
}

/// What the server answers to the first token call and every later one.
pub(crate) fn grant(generation: u32, at: UnixTime) -> Grant {
    Grant {
        access: Secret::new(format!("access-{generation}")),
        refresh: Secret::new(format!("refresh-{generation}")),
        issued_at: at,
        expires_at: at + 3_600,
        company: Company { id: "company_1".to_owned(), name: Some("Ada & Co".to_owned()) },
        grant_id: "grant_abc".to_owned(),
    }
}

/// The first connect's registration.
pub(crate) fn register_order(known: bool) -> RegisterOrder {
    RegisterOrder { connect: 1, known, key: KEY, current: KEY }
}

/// Registered, never approved.
pub(crate) fn registered() -> Facts {
    let world = World::default();
    Facts {
        keys: Keys::of(KEY),
        binding: Some(Binding::of(&world.config)),
        registration_sent: true,
        registration: Some(Registration { client_id: "mco_app_1".to_owned(), scopes: scopes() }),
        ..Facts::default()
    }
}

/// The merchant is at the server.
pub(crate) fn awaiting() -> Facts {
    Facts { pending: Some(attempt()), ..registered() }
}

/// An attempt whose state is `state-1`.
pub(crate) fn attempt() -> Attempt {
    Attempt {
        state: Secret::new("state-1"),
        verifier: Secret::new("verifier-1"),
        bind: None,
        client_id: "mco_app_1".to_owned(),
        key: KEY,
        redirect_uri: World::default().config.redirect_uri,
        scopes: scopes(),
        site: None,
        since: NOW,
        expires_at: NOW + super::ATTEMPT_LIFETIME,
    }
}

/// Connected a moment ago.
pub(crate) fn connected() -> Facts {
    Facts { connection: Some(connection()), families: 1, ..registered() }
}

/// The connection of [`connected`].
pub(crate) fn connection() -> Connection {
    let Grant { access, refresh, issued_at, expires_at, company, grant_id } = grant(1, NOW);
    Connection {
        family: 1,
        client_id: "mco_app_1".to_owned(),
        company,
        grant_id,
        scopes: scopes(),
        audience: World::default().config.audience,
        connected_at: NOW,
        tokens: Tokens { access, refresh, issued_at, expires_at, renews_at: NOW + 1_800 },
        lost: None,
    }
}
