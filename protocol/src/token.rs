//! The token endpoint's answer and the names of the grant types.

use serde::{Deserialize, Serialize};

use crate::{scope::ScopeSet, secret::Secret};

/// RFC 6749 §4.1.3.
pub const AUTHORIZATION_CODE: &str = "authorization_code";
/// RFC 6749 §6.
pub const REFRESH_TOKEN: &str = "refresh_token";
/// RFC 6749 §4.4.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// Ours: a new token family for a proof of the installation's key, when the family was lost and the grant stands.
pub const INSTALLATION_KEY: &str = "urn:counterfoil:grant-type:installation-key";

/// The header by which an answer says that it was given before.
pub const REPLAYED_HEADER: &str = "idempotent-replayed";
/// The header by which a refusal says that the answer can no longer be given again.
pub const RECOVERY_HEADER: &str = "oauth-token-recovery";

/// A successful answer (RFC 6749 §5.1, RFC 9449 §5).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret,
    /// `DPoP` when bound to a key, else `Bearer`.
    pub token_type: String,
    /// Seconds the access token lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<i64>,
    /// The next refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// What the token may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeSet>,
}
