//! Integration profiles: which platforms' stores may register themselves, and how. Data, one TOML file a platform.

use counterfoil_protocol::{
    callback::{CallbackRule, LocalHosts, SiteUrl},
    encoding::from_base64url_exact,
    registration::version_member,
    scope::ScopeSet,
    secret::Secret,
};
use serde::Deserialize;

use super::ownership;

/// The longest version text accepted, in bytes.
const MAX_VERSION_LENGTH: usize = 64;

/// The algorithms of access tokens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA PKCS #1 v1.5 with SHA-256, for clients in the field that verify nothing else.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// All of them.
    pub const BOTH: [Self; 2] = [Self::Es256, Self::Rs256];

    /// The name in a JOSE header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// One platform's profile, as its file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The platform's name on the wire.
    pub platform: String,
    /// The integration's name, as people are shown it at consent.
    pub name: String,
    /// Whose integration it is.
    pub publisher: String,
    /// Links shown at consent.
    #[serde(default)]
    pub privacy_url: Option<String>,
    /// Links shown at consent.
    #[serde(default)]
    pub terms_url: Option<String>,
    /// The rule for the callback: see `CallbackRule`.
    pub callback: String,
    /// Whether a store may lie below a path.
    #[serde(default)]
    pub site_path: bool,
    /// Whether the store brings a `registrationId`; else its address is its identity.
    pub registration_id: bool,
    /// Whether the platform's version must be told.
    #[serde(default)]
    pub version_required: bool,
    /// Whether `resource` must be named at authorization and token requests.
    #[serde(default)]
    pub resource_required: bool,
    /// What an `Idempotency-Key` at the token endpoint starts with, before 43 characters of base64url; it is then
    /// required. Without it the header is optional and free.
    #[serde(default)]
    pub idempotency_prefix: Option<String>,
    /// The scopes.
    pub scopes: Vec<String>,
    /// Whether a request must ask for all of them.
    #[serde(default)]
    pub all_scopes_required: bool,
    /// How access tokens are signed.
    pub token_algorithm: Algorithm,
    /// Whether proofs must carry the server's nonce. No client in the field answers one.
    #[serde(default)]
    pub require_nonce: bool,
    /// Whether a store that proves its key may move to another URL.
    #[serde(default)]
    pub may_move: bool,
    /// Whether a store's own address is asked whose it is, before a merchant approves.
    #[serde(default)]
    pub ownership: ownership::Rule,
    /// Where, below the store's address: tried in turn until one knows the question.
    #[serde(default)]
    pub challenge_paths: Vec<String>,
    /// Whether payment links need an active webhook subscription.
    #[serde(default)]
    pub links_need_subscription: bool,
}

/// What is wrong with a profile file.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not a TOML file of the members that a profile has.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A member has a value that cannot work.
    #[error("{0}")]
    Value(String),
}

/// A registration body's members, as the network sent them.
#[derive(Clone, Copy, Default)]
pub struct Members<'a> {
    /// `registrationId`.
    pub registration_id: Option<&'a str>,
    /// `siteUrl`.
    pub site_url: Option<&'a str>,
    /// `redirectUri`.
    pub redirect_uri: Option<&'a str>,
    /// `dpopJkt`.
    pub dpop_jkt: Option<&'a str>,
    /// `pluginVersion`.
    pub plugin_version: Option<&'a str>,
    /// The member that [`Profile::version_member`] names.
    pub platform_version: Option<&'a str>,
}

/// A registration that fits its profile.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fitting {
    /// The store's secret name for itself.
    pub registration_id: Option<Secret>,
    /// The store.
    pub site: SiteUrl,
    /// Its callback.
    pub redirect_uri: String,
    /// The thumbprint that the body declares.
    pub dpop_jkt: String,
    /// The plugin's version.
    pub plugin_version: String,
    /// The platform's version.
    pub platform_version: Option<String>,
}

/// Why a registration does not fit its profile.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProfileRefusal {
    /// A member is absent or empty.
    #[error("the member {0} is required")]
    Missing(String),
    /// The callback is not what the profile's rule makes of the site URL.
    #[error("redirectUri is not exactly the callback of this platform at siteUrl")]
    RedirectUri,
    /// Not 43 characters of base64url.
    #[error("registrationId is not 43 characters of base64url")]
    RegistrationId,
    /// The site URL is not one we take.
    #[error("siteUrl is refused: {0}")]
    SiteUrl(#[from] counterfoil_protocol::callback::UriRefusal),
    /// A version is too long or not plain text.
    #[error("{0} is not a version of 1 to 64 printable characters")]
    Version(String),
}

impl Profile {
    /// Reads and checks a profile file.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text)?;
        let wrong = |what: &str| Err(ProfileError::Value(what.to_owned()));
        let plain = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !plain(&profile.platform) {
            return wrong("platform must be lower-case letters, digits and hyphens");
        }
        if profile.name.trim().is_empty() || profile.publisher.trim().is_empty() {
            return wrong("name and publisher must not be empty: people are shown them at consent");
        }
        if CallbackRule::parse(&profile.callback).is_err() {
            return wrong(
                "callback must be {site_url} and a path, in which only {segment} may vary",
            );
        }
        if profile.scopes.is_empty()
            || ScopeSet::from_names(profile.scopes.iter().map(String::as_str)).is_err()
        {
            return wrong("scopes must be a list of scope names");
        }
        if profile
            .idempotency_prefix
            .as_deref()
            .is_some_and(|prefix| !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        {
            return wrong("idempotency_prefix must be letters, digits and hyphens");
        }
        for url in [&profile.privacy_url, &profile.terms_url].into_iter().flatten() {
            if !url.starts_with("https://") {
                return wrong("links shown at consent must be https");
            }
        }
        let paths = &profile.challenge_paths;
        if paths.len() > 3 || !paths.iter().all(|path| ownership::is_challenge_path(path)) {
            return wrong(
                "challenge_paths must be at most three, each a slash and letters, digits and -._~?=&",
            );
        }
        if (profile.ownership == ownership::Rule::Off) != paths.is_empty() {
            return wrong("ownership (optional or required) and challenge_paths need each other");
        }
        if profile.may_move && !profile.registration_id {
            return wrong(
                "a store whose address is its identity cannot move: may_move needs registration_id",
            );
        }
        Ok(profile)
    }

    /// The scopes as a set.
    #[must_use]
    pub fn scope_set(&self) -> ScopeSet {
        ScopeSet::from_names(self.scopes.iter().map(String::as_str)).expect("checked when parsed")
    }

    /// The name of the member that carries the platform's version.
    #[must_use]
    pub fn version_member(&self) -> String {
        version_member(&self.platform)
    }

    /// Whether an `Idempotency-Key` at the token endpoint has this profile's shape.
    #[must_use]
    pub fn admits_idempotency_key(&self, key: Option<&str>) -> bool {
        match (&self.idempotency_prefix, key) {
            (None, None) => true,
            (None, Some(key)) => is_plain_idempotency_key(key),
            (Some(_), None) => false,
            (Some(prefix), Some(key)) => key
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.len() == 43 && rest.bytes().all(is_base64url_byte)),
        }
    }

    /// Checks a registration's members against this profile.
    pub fn fit(&self, members: &Members<'_>, local: LocalHosts) -> Result<Fitting, ProfileRefusal> {
        let required = |name: &str, value: Option<&str>| match value {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(ProfileRefusal::Missing(name.to_owned())),
        };
        let registration_id = self
            .registration_id
            .then(|| required("registrationId", members.registration_id).map(Secret::new))
            .transpose()?;
        let site_url = required("siteUrl", members.site_url)?;
        let redirect_uri = required("redirectUri", members.redirect_uri)?;
        let dpop_jkt = required("dpopJkt", members.dpop_jkt)?;
        let plugin_version = required("pluginVersion", members.plugin_version)?;
        let version_member = self.version_member();
        if self.version_required {
            required(&version_member, members.platform_version)?;
        }
        let well_formed = |id: &Secret| from_base64url_exact::<32>(id.expose()).is_some();
        if !registration_id.as_ref().is_none_or(well_formed) {
            return Err(ProfileRefusal::RegistrationId);
        }
        let site = SiteUrl::parse(&site_url, local, self.site_path)?;
        let rule = CallbackRule::parse(&self.callback).expect("checked when parsed");
        if redirect_uri.len() > counterfoil_protocol::callback::MAX_LENGTH
            || !rule.admits(&site, &redirect_uri)
        {
            return Err(ProfileRefusal::RedirectUri);
        }
        let platform_version =
            members.platform_version.filter(|v| !v.is_empty()).map(str::to_owned);
        for (name, version) in [
            ("pluginVersion", Some(&plugin_version)),
            (version_member.as_str(), platform_version.as_ref()),
        ] {
            if version.is_some_and(|v| {
                v.len() > MAX_VERSION_LENGTH || !v.bytes().all(|b| (0x20..0x7f).contains(&b))
            }) {
                return Err(ProfileRefusal::Version(name.to_owned()));
            }
        }
        Ok(Fitting {
            registration_id,
            site,
            redirect_uri,
            dpop_jkt,
            plugin_version,
            platform_version,
        })
    }
}

/// The shape of a free `Idempotency-Key`: 8 to 200 characters (as at the partner API).
#[must_use]
pub fn is_plain_idempotency_key(key: &str) -> bool {
    (8..=200).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~:+/=-".contains(&b))
}

/// The shape of a reset's `Idempotency-Key`: 8 to 200 characters of base64url's alphabet.
#[must_use]
pub fn is_reset_idempotency_key(key: &str) -> bool {
    (8..=200).contains(&key.len()) && key.bytes().all(is_base64url_byte)
}

fn is_base64url_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

#[cfg(test)]
mod tests;
