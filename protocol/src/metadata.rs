//! The server's metadata document (RFC 8414) with what RFC 9126, 9207, 9449 and native installations add.

use serde::{Deserialize, Serialize};

/// Where a server without PAR, DPoP rotation or recovery simply leaves members out.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServerMetadata {
    /// The issuer: byte-equal to what the client was configured with.
    pub issuer: String,
    /// RFC 8414 §2.
    pub authorization_endpoint: String,
    /// RFC 8414 §2.
    pub token_endpoint: String,
    /// RFC 8414 §2.
    pub jwks_uri: String,
    /// Where stores register themselves.
    pub native_installation_endpoint: String,
    /// RFC 9207 §3.
    pub authorization_response_iss_parameter_supported: bool,
    /// RFC 9126 §5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// RFC 8414 §2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// RFC 8414 §2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// Where a store changes its key without asking the merchant again: our extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_installation_key_endpoint: Option<String>,
    /// RFC 8414 §2.
    pub scopes_supported: Vec<String>,
    /// RFC 8414 §2.
    pub response_types_supported: Vec<String>,
    /// RFC 8414 §2.
    pub response_modes_supported: Vec<String>,
    /// RFC 8414 §2.
    pub grant_types_supported: Vec<String>,
    /// RFC 8414 §2.
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// RFC 8414 §2.
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// RFC 8414 §2.
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// RFC 7636, RFC 8414 §2: S256 alone.
    pub code_challenge_methods_supported: Vec<String>,
    /// RFC 9449 §5.1: ES256 alone.
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// RFC 9728 §4.
    pub protected_resources: Vec<String>,
    /// The platforms whose stores may register themselves: our extension.
    pub native_installation_platforms_supported: Vec<String>,
    /// RFC 8414 §2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_documentation: Option<String>,
}
