//! What every handler is given: settings, clock, store, keys and limits.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use counterfoil_protocol::{UnixTime, uri::HttpUri};

use crate::{
    clock::{Clock, Entropy},
    config::Config,
    data::{DataDir, DataError},
    gateway::{self, Gate},
    http::engine::Engine,
    keys::SigningKeys,
    last_access::LastAccess,
    limits::Limits,
    mail::{Mail, MailError},
    oidc::{ProviderError, Providers},
    outbound::{self, CertificatesError, Outbound},
    ownership::Checks,
    profiles::{Profiles, ProfilesError},
    replay::ReplayMemory,
    store::Store,
    vault::Vault,
    webhooks::payload::Seed,
};

/// The running server.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The URIs that proofs are compared with.
    pub uris: Uris,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What the server remembers.
    pub store: Arc<dyn Store>,
    /// The proofs that were seen.
    pub replay: ReplayMemory,
    /// When connections were last used.
    pub last_access: LastAccess,
    /// The signing keys.
    pub keys: SigningKeys,
    /// What the at-rest key protects.
    pub vault: Vault,
    /// The integration profiles.
    pub profiles: Profiles,
    /// The rate limits.
    pub limits: Limits,
    /// Letters to people.
    pub mail: Mail,
    /// External OpenID providers.
    pub providers: Providers,
    /// Calls to addresses that others gave us.
    pub outbound: Outbound,
    /// The platform's own APIs behind the guard.
    pub gates: Vec<Arc<Gate>>,
    /// The checks of whose store it is that are under way.
    pub ownership: Checks,
    /// The door of the payment engine.
    pub engine: Engine,
}

impl App {
    /// Opens everything in the data directory that the settings name.
    pub fn open(
        config: Config,
        credentials: Option<&Path>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Result<Self, OpenError> {
        let data = DataDir::open(&config.data_dir)?;
        let outbound = Outbound::new(&config, Arc::new(outbound::System), Arc::clone(&clock))?;
        let at_rest = data.at_rest_key(credentials, &*entropy)?;
        let keys = data.signing_keys(&*entropy, clock.now())?;
        let replay = ReplayMemory::open(data.path(), data.had_database(), clock.now())
            .map_err(|error| DataError::File { path: data.path().join("replay"), error })?;
        Ok(Self {
            uris: Uris::new(&config),
            store: Arc::new(data.store()?),
            replay,
            last_access: LastAccess::default(),
            keys,
            vault: Vault::new(*at_rest),
            profiles: Profiles::load(config.profiles_dir.as_deref())?,
            limits: Limits::new(&config.limits, Arc::clone(&clock)),
            mail: Mail::open(&config, (Arc::clone(&clock), Arc::clone(&entropy)))?,
            gates: gates(&config, &outbound)?,
            outbound,
            providers: Providers::open(&config, &clock)?,
            ownership: Checks::default(),
            engine: Engine::open(config.engine.token_file.as_deref()).map_err(OpenError::Engine)?,
            config,
            clock,
            entropy,
        })
    }

    /// Draws the first random number, which takes some 25 ms, so that no request waits for it. The keys were set up when
    /// they were opened.
    pub fn warm_up(&self) {
        self.entropy.fill(&mut [0]);
    }

    /// The scopes there are: the partner API's, those of the operator's own profiles and of the APIs behind the guard.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<&str> {
        let mut all = self.profiles.scopes();
        all.extend(self.config.upstream_scopes());
        all
    }

    /// The name of an event that is about to be written.
    #[must_use]
    pub fn event(&self) -> Seed {
        Seed {
            id: self.entropy.id("mpevt_"),
            checkout_base: self.config.checkout_base().to_owned(),
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }
}

/// The platform's own APIs, as the settings name them.
pub fn gates(config: &Config, outbound: &Outbound) -> Result<Vec<Arc<Gate>>, OpenError> {
    let upstreams = gateway::read(&config.upstream).map_err(OpenError::Upstream)?;
    let gate = |upstream| Arc::new(Gate::new(upstream, || outbound.tls()));
    Ok(upstreams.into_iter().map(gate).collect())
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The integration profiles.
    #[error(transparent)]
    Profile(#[from] ProfilesError),
    /// The outbox, or the mail server's settings.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The engine's token.
    #[error("engine.token_file: {0}")]
    Engine(std::io::Error),
    /// An API behind the guard.
    #[error("{0}")]
    Upstream(String),
    /// A provider's secret.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The certificate authorities for calls.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
}

/// The URIs of the OAuth endpoints: the configured issuer and the route, never what a request says.
pub struct Uris {
    /// `/oauth/token`.
    pub token: HttpUri,
    /// `/oauth/par`.
    pub par: HttpUri,
    /// `/oauth/native/installations`.
    pub installations: HttpUri,
    /// `/oauth/native/installations/key`.
    pub installation_key: HttpUri,
    /// `/oauth/introspect`.
    pub introspect: HttpUri,
    /// The one resource we serve.
    pub resource: String,
}

impl Uris {
    /// Builds them from the issuer, which was checked when the configuration was read.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let uri = |path: &str| {
            HttpUri::parse(&format!("{}{path}", config.issuer))
                .expect("the issuer is an http or https origin")
        };
        Self {
            token: uri("/oauth/token"),
            par: uri("/oauth/par"),
            installations: uri("/oauth/native/installations"),
            installation_key: uri("/oauth/native/installations/key"),
            introspect: uri("/oauth/introspect"),
            resource: config.resource(),
        }
    }
}
