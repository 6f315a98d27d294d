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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct App {
    /// The company it belongs to.
    pub company_id: String,
    /// SHA-256 of the client secret; a public application has none.
    pub secret_hash: Option<[u8; 32]>,
    /// The secret before, kept for a time when it was replaced.
    pub former_secret: Option<FormerSecret>,
    /// The callbacks it may name.
    pub redirect_uris: Vec<RedirectUri>,
    /// Whether it may introspect tokens of the partner API (RFC 7662).
    pub resource_server: bool,
    /// What merchants are shown of it.
    pub about: About,
    /// Counts its changes.
    pub version: i64,
}

/// A secret that was replaced, and still opens for a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FormerSecret {
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// From then on it opens nothing.
    pub ends_at: UnixTime,
}

/// What merchants are shown of an application, beside its name and its company's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct About {
    /// Whom to ask for help: an e-mail address or an https link.
    pub support: Option<String>,
    /// Its privacy policy.
    pub privacy_url: Option<String>,
    /// Its terms.
    pub terms_url: Option<String>,
    /// The name of its picture, a hash.
    pub icon: Option<String>,
}

impl App {
    /// The secret before, if it still opens at `now`.
    #[must_use]
    pub fn former_secret_at(&self, now: UnixTime) -> Option<&FormerSecret> {
        self.former_secret.as_ref().filter(|former| now < former.ends_at)
    }
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
