//! External OpenID providers that people sign in through: found, asked, and their answers verified.
//!
//! The protocol is the `openidconnect` crate's; what it leaves open is decided here: every call goes through `outbound`,
//! answers are bounded, and what was discovered is kept for an hour. What a provider's word is worth is decided in
//! `people/provider.rs`.

mod discovery;
mod exchange;
mod trouble;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use counterfoil_protocol::{encoding::base64url, secret::Secret};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use zeroize::Zeroizing;

use self::discovery::Known;
pub use self::trouble::Trouble;
use crate::{
    clock::Clock,
    config::{Config, Oidc},
    files,
    outbound::{self, CertificatesError, Outbound, OutboundError, Request},
    people::provider::Policy,
    vault::{self, Vault},
};

/// Bytes of an answer that are read: key sets of large providers have some 20 KiB.
const MAX_ANSWER: usize = 256 * 1024;

/// The longest secret, in bytes.
const MAX_SECRET: usize = 1_024;

/// The providers of the settings.
pub struct Providers(Vec<Provider>);

/// One of them.
pub struct Provider {
    settings: Oidc,
    policy: Policy,
    secret: Option<Secret>,
    /// Our callback there.
    redirect_uri: String,
    /// Whether it may be on this machine, without TLS.
    plain: bool,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

/// Why a provider cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The file with our secret there.
    #[error("oidc.client_secret_file of {name:?}: {error}")]
    Secret {
        /// The provider.
        name: String,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The certificate authorities for calls.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
}

/// What a browser carries to a provider, and what only we make of it again. Nothing of it is stored but a hash.
pub struct Sent {
    /// Names the attempt.
    pub state: String,
    /// Comes back in the ID token.
    nonce: String,
    /// The PKCE verifier (RFC 7636).
    verifier: Zeroizing<String>,
}

impl Sent {
    /// What belongs to a state.
    #[must_use]
    pub fn of(vault: &Vault, state: &str) -> Self {
        let made = |what: &str| {
            let message = format!("{what}\n{state}");
            base64url(&vault::mac(vault.provider_key(), message.as_bytes()))
        };
        Self {
            nonce: made("nonce"),
            verifier: Zeroizing::new(made("verifier")),
            state: state.to_owned(),
        }
    }
}

impl Providers {
    /// The providers of the settings, with their secrets.
    pub fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, ProviderError> {
        let opened = config.oidc.iter().map(|settings| Provider::open(config, settings, clock));
        opened.collect::<Result<_, _>>().map(Self)
    }

    /// The provider of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.settings.name == name)
    }

    /// All of them, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter()
    }
}

impl Provider {
    fn open(
        config: &Config,
        settings: &Oidc,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        let secret = settings.client_secret_file.as_deref().map(|file| {
            files::secret_line(file, MAX_SECRET)
                .map_err(|error| ProviderError::Secret { name: settings.name.clone(), error })
        });
        // Its own networks are the provider's alone: notifications do not go there.
        let mut calls = config.clone();
        calls.outbound.allow.extend(&settings.allow);
        Ok(Self {
            policy: Policy {
                domains: settings.domains.clone(),
                create: settings.create,
                second_factor: settings.second_factor.clone(),
                passwords: config.passwords,
            },
            secret: secret.transpose()?.map(|secret| Secret::new(secret.as_str())),
            redirect_uri: format!("{}/sign-in/oidc/{}/callback", config.issuer, settings.name),
            plain: config.issuer_is_loopback(),
            outbound: Outbound::new(&calls, Arc::new(outbound::System), Arc::clone(clock))?,
            clock: Arc::clone(clock),
            known: Mutex::default(),
            settings: settings.clone(),
        })
    }

    /// Its name in addresses and records.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What people call it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.settings.label
    }

    /// Its issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// What the operator decided of it.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether it can stand for a second factor.
    #[must_use]
    pub fn gives_second_factor(&self) -> bool {
        !self.policy.second_factor.is_empty()
    }

    /// One request of the crate's, through `outbound`.
    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let (parts, body) = request.into_parts();
        let request = Request {
            method: parts.method,
            url: parts.uri.to_string(),
            headers: parts.headers,
            body: Bytes::from(body),
            keep: MAX_ANSWER,
            status_suffices: false,
        };
        let answer = self.outbound.send(request).await?;
        if answer.truncated {
            return Err(CallError::TooLong);
        }
        let mut response = HttpResponse::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Provider {
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.carry(request))
    }
}

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is none.
    #[error("{0}")]
    Outbound(#[from] OutboundError),
    /// It is too long.
    #[error("the answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
}
