//! Who speaks to the server: native installations, public and confidential partner applications.

use counterfoil_protocol::{UnixTime, callback::RedirectUri, proof::Window, scope::ScopeSet};

use super::installation::Installation;

/// A registered client.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// `mco_app_…`.
    pub id: String,
    /// The name people are shown. Of a native installation, its profile's.
    pub name: String,
    /// What kind of client, and what only that kind has.
    pub kind: ClientKind,
    /// The scopes it may ask for.
    pub scopes: ScopeSet,
    /// Whether its proofs must carry the server's nonce (RFC 9449 §8).
    pub require_nonce: bool,
    /// When it was registered.
    pub created_at: UnixTime,
}

/// The kinds of client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientKind {
    /// A store, registered by itself and bound to its key.
    Native(Installation),
    /// An application that a developer registered.
    App(App),
}

/// A partner application.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// The company it belongs to.
    pub company_id: String,
    /// SHA-256 of the client secret; a public application has none.
    pub secret_hash: Option<[u8; 32]>,
    /// The callbacks it may name.
    pub redirect_uris: Vec<RedirectUri>,
    /// Whether it may introspect tokens of the partner API (RFC 7662).
    pub resource_server: bool,
}

impl Client {
    /// The installation, of a native client.
    #[must_use]
    pub fn installation(&self) -> Option<&Installation> {
        match &self.kind {
            ClientKind::Native(installation) => Some(installation),
            ClientKind::App(_) => None,
        }
    }

    /// The application, of a client that is not native.
    #[must_use]
    pub fn app(&self) -> Option<&App> {
        match &self.kind {
            ClientKind::Native(_) => None,
            ClientKind::App(app) => Some(app),
        }
    }

    /// Whether this client authenticates with a secret.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.app().is_some_and(|app| app.secret_hash.is_some())
    }

    /// How far the clock of its proofs may be off.
    #[must_use]
    pub fn proof_window(&self) -> Window {
        match self.kind {
            ClientKind::Native(_) => Window::NATIVE,
            ClientKind::App(_) => Window::STRICT,
        }
    }
}
