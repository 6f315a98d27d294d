//! A server for tests: a data directory of its own, a clock that stands, and bytes that come out the same every time.

pub mod approval;

use std::{
    fs, io,
    net::IpAddr,
    path::Path,
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use counterfoil_protocol::{
    jwk::{PublicKey, Thumbprint},
    proof::Signer,
};
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::{
    app::{self, App, Uris},
    clock::{
        Clock as _, Entropy,
        fixed::{CountingEntropy, FixedClock},
    },
    config::Config,
    http::{self, engine::Engine},
    keys::SigningKeys,
    last_access::LastAccess,
    limits::Limits,
    mail::Mail,
    oidc::Providers,
    outbound::{Outbound, Resolve},
    ownership::Checks,
    profiles::Profiles,
    replay::ReplayMemory,
    store::Sqlite,
    vault::Vault,
};

/// When tests happen.
pub const NOW: i64 = 1_800_000_000;

/// Signing keys, made once: an RSA key takes longer than most tests.
static SIGNING_KEYS: LazyLock<TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = FixedClock::at(NOW);
    SigningKeys::open(directory.path(), &CountingEntropy::default(), clock.now()).expect("keys");
    directory
});

/// A server without a socket.
pub struct TestServer {
    /// What its handlers are given.
    pub app: Arc<App>,
    /// Its clock.
    pub clock: Arc<FixedClock>,
    router: Router,
    _data: TempDir,
}

/// A resolver that knows no name: a server of tests asks nobody.
struct Nowhere;

#[async_trait]
impl Resolve for Nowhere {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::other("no such name"))
    }
}

/// A key that signs proofs.
pub struct Key {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl Key {
    /// A new one.
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let point = pair.public_key().as_ref().try_into().expect("an uncompressed point");
        Self { public: PublicKey::from_uncompressed(point).expect("on the curve"), pair }
    }

    /// Its name.
    pub fn thumbprint(&self) -> Thumbprint {
        self.public.thumbprint()
    }
}

impl Signer for Key {
    type Error = ();

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    #[expect(clippy::disallowed_methods, reason = "ECDSA draws a nonce of its own")]
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ()> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| ())?;
        signature.as_ref().try_into().map_err(|_| ())
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl TestServer {
    /// A server on `https://pay.example` with the defaults.
    pub fn start() -> Self {
        Self::with(|_| ())
    }

    /// A server with other settings.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let mut config = Config {
            issuer: "https://pay.example".to_owned(),
            data_dir: data.path().to_owned(),
            ..Config::default()
        };
        change(&mut config);
        let clock = Arc::new(FixedClock::at(NOW));
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let mail = Mail::open(&config, (Arc::clone(&clock) as _, Arc::clone(&entropy)));
        let outbound = Outbound::new(&config, Arc::new(Nowhere), Arc::clone(&clock) as _);
        let outbound = outbound.expect("a client");
        let keys = data.path().join("keys");
        copy(SIGNING_KEYS.path(), &keys);
        let app = Arc::new(App {
            uris: Uris::new(&config),
            store: Arc::new(Sqlite::open(data.path()).expect("a store")),
            replay: ReplayMemory::default(),
            last_access: LastAccess::default(),
            keys: SigningKeys::open(&keys, &*entropy, clock.now()).expect("keys"),
            vault: Vault::new([7; 32]),
            profiles: Profiles::load(None).expect("profiles"),
            limits: Limits::new(&config.limits, Arc::clone(&clock) as _),
            mail: mail.expect("an outbox"),
            gates: app::gates(&config, &outbound).expect("upstreams"),
            outbound,
            providers: Providers::open(&config, &(Arc::clone(&clock) as _)).expect("secrets"),
            ownership: Checks::default(),
            engine: Engine::open(config.engine.token_file.as_deref()).expect("a token"),
            clock: Arc::clone(&clock) as _,
            entropy,
            config,
        });
        Self { router: http::router(Arc::clone(&app)), app, clock, _data: data }
    }

    /// Sends a request through all layers.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let body = String::from_utf8(body.into()).expect("text");
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl TestServer {
    /// The head of the answer to a GET, whatever its body.
    pub async fn head(&self, path: &str) -> Answer {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, _) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: String::new() }
    }
}

impl Answer {
    /// The value of a header, empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
    }
}
