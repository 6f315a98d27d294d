//! What an upstream is told of a caller: one JWT that names the caller, the upstream and this one request.

use counterfoil_protocol::{
    UnixTime,
    access_token::{Claims, Confirmation},
    encoding::{sha256, sha256_base64url},
};
use serde::Serialize;

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The `typ` of an identity: no access token has it, and no identity has an access token's.
pub const TYPE: &str = "counterfoil-identity+jwt";

/// Seconds that an identity is good for.
pub const LIFETIME: i64 = 60;

/// A request on its way to an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The upstream's name.
    pub upstream: &'a str,
    /// The company whose data the token opens.
    pub company_id: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path as the upstream sees it.
    pub path: &'a str,
    /// The query, without the question mark; empty when there is none.
    pub query: &'a str,
    /// The whole body; nothing when it is too long to be read before it is passed on.
    pub body: Option<&'a [u8]>,
    /// The caller's address.
    pub address: &'a str,
    /// A name of its own.
    pub jti: &'a str,
    /// The time now.
    pub now: UnixTime,
}

/// The claims.
#[derive(Debug, Serialize)]
pub struct Identity<'a> {
    iss: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    installation_id: Option<&'a str>,
    company_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_id: Option<&'a str>,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<&'a Confirmation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<&'a str>,
    ip: &'a str,
    htm: &'a str,
    path: &'a str,
    query_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_digest: Option<String>,
    iat: UnixTime,
    exp: UnixTime,
    jti: &'a str,
}

impl<'a> Identity<'a> {
    /// What is said of a call with a token that was found good.
    #[must_use]
    pub fn of(token: &'a Claims, call: &Call<'a>) -> Self {
        Self {
            iss: &token.iss,
            aud: call.upstream,
            sub: token.sub.as_deref(),
            client_id: &token.client_id,
            installation_id: token.installation_id.as_deref(),
            company_id: call.company_id,
            grant_id: token.grant_id.as_deref(),
            scope: token.scope.to_string(),
            cnf: token.cnf.as_ref(),
            token_id: token.jti.as_deref(),
            ip: call.address,
            htm: call.method,
            path: call.path,
            query_sha256: sha256_base64url(call.query.as_bytes()),
            content_digest: call.body.map(content_digest),
            iat: call.now,
            exp: call.now + LIFETIME,
            jti: call.jti,
        }
    }
}

/// A body's digest in the form of `Content-Digest` (RFC 9530 §2).
fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256(body)))
}

#[cfg(test)]
mod tests {
    use counterfoil_protocol::{jws::Unverified, scope::ScopeSet};

    use super::*;

    /// What is signed here is what the vectors have, by which every verifier is tried.
    #[test]
    fn the_vectors_are_said() {
        const VECTORS: &str = include_str!("../../../tests/vectors/identity.txt");
        let field = |record: &str, name: &str| {
            let line = record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.expect(name).trim_start().to_owned()
        };
        let named = |name: &str| {
            let begins = format!("name: {name}\n");
            VECTORS.split("\n\n").find(|it| it.starts_with(&begins)).expect("a record").to_owned()
        };
        for name in ["plain", "bearer-token", "no-query-no-body", "two-question-marks"] {
            let record = named(name);
            let signed = field(&record, "identity");
            let signed = Unverified::parse(&signed, 8_192).expect("a JWS");
            let (url, body) = (field(&record, "url"), field(&record, "body"));
            let (path, query) = url.split_once('?').unwrap_or((&url, ""));
            let jkt = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U".parse().expect("a thumbprint");
            let bound = name != "bearer-token";
            let claims = Claims {
                iss: field(&record, "issuer"),
                aud: vec!["another".to_owned()],
                sub: Some("user_vector".to_owned()),
                client_id: "mco_app_vector".to_owned(),
                scope: ScopeSet::parse("orders:read orders:write").expect("scopes"),
                iat: UnixTime(0),
                exp: UnixTime(0),
                nbf: None,
                jti: Some("jti_vector".to_owned()),
                cnf: bound.then_some(Confirmation { jkt }),
                company_id: None,
                company_name: None,
                grant_id: Some("grant_vector".to_owned()),
                installation_id: bound.then(|| "mco_app_vector".to_owned()),
                family_id: None,
            };
            let call = Call {
                upstream: &field(&record, "upstream"),
                company_id: "co_vector",
                method: &field(&record, "method"),
                path,
                query,
                body: Some(body.as_bytes()),
                address: "203.0.113.7",
                jti: "AAECAwQFBgcICQoLDA0ODw",
                now: UnixTime(field(&record, "now").parse().expect("a number")),
            };
            let said = serde_json::to_value(Identity::of(&claims, &call)).expect("JSON");
            assert_eq!(signed.header_text("typ"), Some(TYPE));
            assert_eq!(said, serde_json::Value::Object(signed.payload), "{name}");
        }
    }
}
