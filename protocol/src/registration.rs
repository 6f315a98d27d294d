//! The bodies of native installation registration: `POST /oauth/native/installations`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::jwk::Thumbprint;

/// What a store registers. Its `Debug` leaves the registration id out.
#[derive(Clone, Eq, PartialEq)]
pub struct RegistrationRequest {
    /// The platform's name: `wordpress`, `medusa`, `btcpay-server`, …
    pub platform: String,
    /// The store's secret name for itself, 43 characters of base64url, where the platform uses one.
    pub registration_id: Option<String>,
    /// The store's URL.
    pub site_url: String,
    /// The exact callback.
    pub redirect_uri: String,
    /// The thumbprint of the key that signs this request's proof.
    pub dpop_jkt: Thumbprint,
    /// The plugin's version.
    pub plugin_version: String,
    /// The platform's version.
    pub platform_version: Option<String>,
}

impl RegistrationRequest {
    /// The JSON object that is sent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        let mut member = |name: &str, value: Value| body.insert(name.to_owned(), value);
        member("platform", self.platform.as_str().into());
        if let Some(id) = &self.registration_id {
            member("registrationId", id.as_str().into());
        }
        member("siteUrl", self.site_url.as_str().into());
        member("redirectUri", self.redirect_uri.as_str().into());
        member("dpopJkt", self.dpop_jkt.to_string().into());
        member("pluginVersion", self.plugin_version.as_str().into());
        member(&version_member(&self.platform), self.platform_version.clone().into());
        Value::Object(body)
    }
}

impl fmt::Debug for RegistrationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationRequest")
            .field("platform", &self.platform)
            .field("site_url", &self.site_url)
            .field("redirect_uri", &self.redirect_uri)
            .field("dpop_jkt", &self.dpop_jkt)
            .field("plugin_version", &self.plugin_version)
            .field("platform_version", &self.platform_version)
            .finish_non_exhaustive()
    }
}

/// The name of the member that carries a platform's version: `btcpay-server` → `btcpayServerVersion`.
#[must_use]
pub fn version_member(platform: &str) -> String {
    let mut parts = platform.split(['-', '_']);
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name.push_str("Version");
    name
}

/// What the server answers to a registration: 201 for a new installation, 200 for a known one. Its `Debug` leaves the
/// registration id out.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct RegistrationResponse {
    /// The installation's OAuth client id.
    pub client_id: String,
    /// Always `public`: there is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_type: Option<String>,
    /// Always true: every token is bound to a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_bound: Option<bool>,
    /// The registration id, echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// The callback, echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// The scopes that the platform's profile gives.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `active`, for a new installation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl fmt::Debug for RegistrationResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationResponse")
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .field("scopes", &self.scopes)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_no_registration_id() {
        let request = RegistrationRequest {
            platform: "wordpress".to_owned(),
            registration_id: Some("canary-7f3a".to_owned()),
            site_url: "https://shop.example".to_owned(),
            redirect_uri: "https://shop.example/cb".to_owned(),
            dpop_jkt: Thumbprint([0; 32]),
            plugin_version: "1.0.0".to_owned(),
            platform_version: None,
        };
        assert!(!format!("{request:?}").contains("canary"));
        let answer = r#"{"client_id":"a","registration_id":"canary-7f3a"}"#;
        let answer: RegistrationResponse = serde_json::from_str(answer).expect("an answer");
        assert!(!format!("{answer:?}").contains("canary"));
    }

    #[test]
    fn version_members_are_spelled_as_the_platforms_spell_them() {
        for (platform, member) in [
            ("wordpress", "wordpressVersion"),
            ("medusa", "medusaVersion"),
            ("btcpay-server", "btcpayServerVersion"),
        ] {
            assert_eq!(version_member(platform), member);
        }
    }
}
