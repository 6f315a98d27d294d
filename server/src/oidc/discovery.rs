//! What a provider says of itself: its endpoints and its keys, fetched when needed and kept for a while.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use openidconnect::{
    AdditionalProviderMetadata, IssuerUrl, ProviderMetadata,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType,
        CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
        CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};

use super::{Provider, Trouble};

/// For so long what was discovered is used without asking.
const FRESH: Duration = Duration::from_hours(1);

/// For so long it is used when the provider does not answer.
const STALE: Duration = Duration::from_hours(24);

/// After a failure nobody asks again for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// For an unknown key, keys are fetched at most once in this time: anybody can name keys that do not exist.
const KEYS_PAUSE: Duration = Duration::from_mins(1);

/// What is discovered beyond OpenID Connect Discovery.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Extra {
    /// Whether answers name their issuer (RFC 9207 §3).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Extra {}

/// What a provider says of itself, with its keys.
pub(super) type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What is known of a provider, and when it was asked. Times are the clock's monotonic ones.
#[derive(Default)]
pub(super) struct Known {
    found: Option<(Arc<Metadata>, Duration)>,
    failed_at: Option<Duration>,
    keys_at: Option<Duration>,
}

impl Provider {
    /// What the provider says of itself.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Trouble> {
        let now = self.clock.monotonic();
        let old = {
            let known = self.known();
            let old = known.found.clone().filter(|(_, at)| now.saturating_sub(*at) < STALE);
            if let Some((metadata, _)) =
                old.as_ref().filter(|(_, at)| now.saturating_sub(*at) < FRESH)
            {
                return Ok(Arc::clone(metadata));
            }
            if known.failed_at.is_some_and(|at| now.saturating_sub(at) < PAUSE) {
                let down = || Trouble::Down("it did not answer a moment ago".to_owned());
                return old.map(|(metadata, _)| metadata).ok_or_else(down);
            }
            old
        };
        match self.discover().await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                let mut known = self.known();
                known.found = Some((Arc::clone(&metadata), now));
                known.failed_at = None;
                Ok(metadata)
            }
            Err(trouble) => {
                self.known().failed_at = Some(now);
                tracing::warn!(provider = self.name(), %trouble, "a provider is not available");
                old.map(|(metadata, _)| metadata).ok_or(trouble)
            }
        }
    }

    /// Asks the provider now, and says what is wrong.
    pub async fn discover_now(&self) -> Result<(), Trouble> {
        self.discover().await.map(drop)
    }

    /// The same with newer keys, for a token by a key that is not there; nothing when they were fetched just now.
    pub(super) async fn with_newer_keys(
        &self,
        metadata: &Metadata,
    ) -> Result<Option<Arc<Metadata>>, Trouble> {
        let now = self.clock.monotonic();
        {
            let mut known = self.known();
            if known.keys_at.is_some_and(|at| now.saturating_sub(at) < KEYS_PAUSE) {
                return Ok(None);
            }
            known.keys_at = Some(now);
        }
        let keys = CoreJsonWebKeySet::fetch_async(metadata.jwks_uri(), self).await?;
        let metadata = Arc::new(metadata.clone().set_jwks(keys));
        let mut known = self.known();
        let at = known.found.as_ref().map_or(now, |(_, at)| *at);
        known.found = Some((Arc::clone(&metadata), at));
        Ok(Some(metadata))
    }

    async fn discover(&self) -> Result<Metadata, Trouble> {
        let issuer = IssuerUrl::new(self.issuer().to_owned());
        let issuer = issuer.map_err(|error| Trouble::Down(error.to_string()))?;
        let metadata = Metadata::discover_async(issuer, self).await?;
        // Browsers are sent there, so `outbound` does not see it.
        match metadata.authorization_endpoint().url().scheme() {
            "https" => {}
            "http" if self.plain => {}
            _ => return Err(Trouble::Down("its authorization endpoint is not https".to_owned())),
        }
        if metadata.token_endpoint().is_none() {
            return Err(Trouble::Down("it has no token endpoint".to_owned()));
        }
        Ok(metadata)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // It is whole at every moment.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
