//! Every file of `tests/vectors`.

use std::{collections::BTreeSet, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use counterfoil_protocol::{
    UnixTime,
    access_token::{ClaimRefusal, Claims, ClientExpectation, KeySet, TokenRefusal},
    callback::{CallbackRule, LocalHosts, RedirectUri, SiteUrl},
    encoding::{sha256, sha256_base64url},
    json,
    jwk::{JwkRefusal, PublicKey},
    jws::{JwsRefusal, Unverified},
    ownership::{Ownership, OwnershipRefusal},
    pkce::{Challenge, PkceRefusal},
    proof::{self, Expectation, NonceRule, ProofRefusal, Window},
    scope::ScopeSet,
    secret::Secret,
    uri::HttpUri,
    webhook::{self, Signature, WebhookRefusal},
};

use crate::records::{self, Outcome, Record, run};

const FILES: [&str; 12] = [
    "access-token.txt",
    "callback.txt",
    "dpop-proof-rfc9449.txt",
    "dpop-proof.txt",
    "http-uri.txt",
    "identity.txt",
    "jwk-thumbprint.txt",
    "ownership.txt",
    "pkce.txt",
    "redirect-uri.txt",
    "scope.txt",
    "webhook.txt",
];

#[test]
fn every_file_is_run() {
    let found: BTreeSet<_> = fs::read_dir(records::directory())
        .expect("the vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, BTreeSet::from(FILES.map(str::to_owned)));
}

#[test]
fn jwk_thumbprint() {
    run("jwk-thumbprint.txt", &["canonical", "jwk", "thumbprint"], |record| {
        if let Some(canonical) = record.bytes("canonical") {
            return Outcome::of_value(record, "thumbprint", &sha256_base64url(canonical));
        }
        let jwk = json::parse_object(record.text("jwk").as_bytes()).expect("JSON");
        match PublicKey::from_jwk(&jwk) {
            Ok(key) => Outcome::of_value(record, "thumbprint", &key.thumbprint().to_string()),
            Err(refusal) => Outcome::Refused(Some(match refusal {
                JwkRefusal::MalformedCoordinate => "coordinate",
                JwkRefusal::NotP256 => "curve",
                JwkRefusal::OffCurve => "off-curve",
                JwkRefusal::Private => "private",
            })),
        }
    });
}

#[test]
fn pkce() {
    run("pkce.txt", &["verifier", "challenge"], |record| {
        let verified = Challenge::parse(record.text("challenge"))
            .and_then(|challenge| challenge.verify(record.text("verifier")));
        match verified {
            Ok(()) => Outcome::Accepted,
            Err(refusal) => Outcome::Refused(Some(match refusal {
                PkceRefusal::MalformedChallenge => "challenge",
                PkceRefusal::MalformedVerifier => "verifier",
                PkceRefusal::Mismatch => "mismatch",
            })),
        }
    });
}

const PROOF_KEYS: [&str; 12] = [
    "method",
    "url",
    "now",
    "window",
    "access_token",
    "nonce",
    "nonce_required",
    "proof",
    "jkt",
    "jti",
    "iat",
    "successor",
];

#[test]
fn dpop_proof() {
    run("dpop-proof.txt", &PROOF_KEYS, judge_proof);
}

#[test]
fn dpop_proof_rfc9449() {
    run("dpop-proof-rfc9449.txt", &PROOF_KEYS, judge_proof);
}

#[test]
fn ownership() {
    let keys = ["issuer", "client_id", "site_url", "nonce", "now", "jkt", "answer"];
    run("ownership.txt", &keys, |record| {
        let asked = Ownership {
            issuer: record.text("issuer"),
            client_id: record.text("client_id"),
            site_url: record.text("site_url"),
            nonce: record.text("nonce"),
        };
        let key = record.text("jkt").parse().expect("a thumbprint");
        match asked.judge(record.text("answer"), &key, UnixTime(record.number("now"))) {
            Ok(()) => Outcome::Accepted,
            Err(refusal) => Outcome::Refused(Some(match refusal {
                OwnershipRefusal::Algorithm => "alg",
                OwnershipRefusal::Claim(name) => name,
                OwnershipRefusal::Jwk(_) => "jwk",
                OwnershipRefusal::Key => "key",
                OwnershipRefusal::Malformed(_) => "malformed",
                OwnershipRefusal::Signature => "signature",
                OwnershipRefusal::Stale => "stale",
                OwnershipRefusal::Type => "type",
            })),
        }
    });
}

fn judge_proof(record: &Record) -> Outcome {
    let (past, future) = record.text("window").split_once(' ').expect("two numbers");
    let window =
        Window { past: past.parse().expect("past"), future: future.parse().expect("future") };
    let is_ours = |nonce: &str| record.optional("nonce") == Some(nonce);
    let expectation = Expectation {
        method: record.text("method"),
        uri: &HttpUri::parse(record.text("url")).expect("a URL"),
        now: UnixTime(record.number("now")),
        window,
        access_token: record.optional("access_token"),
        nonce: if record.flag("nonce_required") {
            NonceRule::Required(&is_ours)
        } else {
            NonceRule::Optional(&is_ours)
        },
    };
    match proof::judge(record.text("proof"), &expectation) {
        Ok(proof) => {
            let as_said = record.optional("jkt") == Some(&proof.thumbprint.to_string())
                && record.optional("jti") == Some(&proof.jti)
                && record.number("iat") == proof.iat.0
                && record.optional("successor").map(str::to_owned)
                    == proof.successor.map(|successor| successor.to_string())
                && proof.key.thumbprint() == proof.thumbprint;
            if as_said { Outcome::Accepted } else { Outcome::Otherwise(format!("{proof:?}")) }
        }
        Err(refusal) => Outcome::Refused(Some(proof_cause(&refusal))),
    }
}

fn proof_cause(refusal: &ProofRefusal) -> &'static str {
    match refusal {
        ProofRefusal::Algorithm => "alg",
        ProofRefusal::AccessTokenHash => "ath",
        ProofRefusal::Expired => "expired",
        ProofRefusal::IssuedAt => "iat",
        ProofRefusal::Jti => "jti",
        ProofRefusal::Jwk(JwkRefusal::MalformedCoordinate) => "jwk-coordinate",
        ProofRefusal::Jwk(JwkRefusal::NotP256) => "jwk-curve",
        ProofRefusal::Jwk(JwkRefusal::OffCurve) => "jwk-off-curve",
        ProofRefusal::Jwk(JwkRefusal::Private) => "jwk-private",
        ProofRefusal::Malformed(refusal) => jws_cause(*refusal),
        ProofRefusal::Method => "htm",
        ProofRefusal::Nonce => "nonce",
        ProofRefusal::WrongType => "claim",
        ProofRefusal::Signature => "signature",
        ProofRefusal::Stale { .. } => "stale",
        ProofRefusal::Type => "typ",
        ProofRefusal::Uri => "htu",
    }
}

fn jws_cause(refusal: JwsRefusal) -> &'static str {
    match refusal {
        JwsRefusal::Critical => "crit",
        JwsRefusal::MalformedHeader => "header",
        JwsRefusal::MalformedPayload => "payload",
        JwsRefusal::NotCompact => "compact",
        JwsRefusal::TooLong => "too-long",
    }
}

#[test]
fn access_token() {
    let keys =
        ["issuer", "audience", "client_id", "jkt", "scope", "now", "replayed", "jwks", "token"];
    run("access-token.txt", &keys, |record| {
        let keys = json::parse_object(record.text("jwks").as_bytes()).expect("JSON");
        let claims = match Claims::verify(record.text("token"), &KeySet::from_jwks(&keys)) {
            Ok(claims) => claims,
            Err(refusal) => return Outcome::Refused(Some(token_cause(&refusal))),
        };
        let expectation = ClientExpectation {
            issuer: record.text("issuer"),
            audience: record.text("audience"),
            client_id: record.text("client_id"),
            thumbprint: &record.text("jkt").parse().expect("a thumbprint"),
            scopes: &ScopeSet::parse(record.text("scope")).expect("scopes"),
            now: UnixTime(record.number("now")),
            replayed: record.flag("replayed"),
        };
        match claims.judge(&expectation) {
            Ok(()) => Outcome::Accepted,
            Err(refusal) => Outcome::Refused(Some(match refusal {
                ClaimRefusal::Audience => "aud",
                ClaimRefusal::Client => "client",
                ClaimRefusal::Company => "company",
                ClaimRefusal::Key => "key",
                ClaimRefusal::Issuer => "iss",
                ClaimRefusal::Scope => "scope",
                ClaimRefusal::Time => "time",
            })),
        }
    });
}

fn token_cause(refusal: &TokenRefusal) -> &'static str {
    match refusal {
        TokenRefusal::Algorithm => "alg",
        TokenRefusal::Claims => "claims",
        TokenRefusal::Malformed(refusal) => jws_cause(*refusal),
        TokenRefusal::Signature => "signature",
        TokenRefusal::Type => "typ",
        TokenRefusal::UnknownKey => "kid",
    }
}

#[test]
fn identity() {
    let keys = ["issuer", "upstream", "now", "jwks", "method", "url", "body", "identity"];
    run("identity.txt", &keys, |record| {
        let verified = Claims::verify(record.text("identity"), &key_set(record));
        assert!(verified.is_err() || record.optional("cause") == Some("type"), "an access token");
        match judge_identity(record) {
            Ok(()) => Outcome::Accepted,
            Err(cause) => Outcome::Refused(Some(cause)),
        }
    });
}

fn key_set(record: &Record) -> KeySet {
    KeySet::from_jwks(&json::parse_object(record.text("jwks").as_bytes()).expect("JSON"))
}

/// What an API behind the gateway checks.
fn judge_identity(record: &Record) -> Result<(), &'static str> {
    let jws =
        Unverified::parse(record.text("identity"), 8_192).map_err(|refusal| match refusal {
            JwsRefusal::Critical => "crit",
            _ => "compact",
        })?;
    let header = |name| jws.header_text(name);
    if header("typ") != Some("counterfoil-identity+jwt") {
        return Err("type");
    }
    if header("alg") != Some("ES256") {
        return Err("alg");
    }
    let keys = key_set(record);
    let key = header("kid").and_then(|kid| keys.find(Some(kid))).ok_or("kid")?;
    if !key.verifies(jws.signing_input.as_bytes(), &jws.signature) {
        return Err("signature");
    }
    let (path, query) = record.text("url").split_once('?').unwrap_or((record.text("url"), ""));
    let digest = STANDARD.encode(sha256(record.text("body").as_bytes()));
    for (name, cause, expected) in [
        ("iss", "iss", record.text("issuer").to_owned()),
        ("aud", "aud", record.text("upstream").to_owned()),
        ("htm", "htm", record.text("method").to_owned()),
        ("path", "path", path.to_owned()),
        ("query_sha256", "query", sha256_base64url(query.as_bytes())),
        ("content_digest", "body", format!("sha-256=:{digest}:")),
    ] {
        if jws.claim_text(name) != Some(&expected) {
            return Err(cause);
        }
    }
    let now = UnixTime(record.number("now"));
    match (jws.claim_time("iat"), jws.claim_time("exp")) {
        (Some(iat), Some(exp)) if iat <= now + 5 && exp > now - 5 => Ok(()),
        _ => Err("time"),
    }
}

#[test]
fn webhook() {
    run("webhook.txt", &["secret", "header", "headers", "body", "now", "tolerance"], |record| {
        let secret = Secret::new(record.text("secret"));
        let body = record.bytes("body").expect("a body");
        let (now, tolerance) = (UnixTime(record.number("now")), record.number("tolerance"));
        let verdict = match record.bytes("headers") {
            None => webhook::verify(record.text("header"), &secret, body, now, tolerance),
            Some(headers) => {
                let headers: Vec<(String, String)> =
                    serde_json::from_slice(headers).expect("pairs");
                let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                Signature::among(pairs).and_then(|signature| {
                    if !signature.is_by(&secret, body) {
                        return Err(WebhookRefusal::Mismatch);
                    }
                    let fresh = signature.is_fresh(now, tolerance);
                    if fresh { Ok(()) } else { Err(WebhookRefusal::Stale) }
                })
            }
        };
        match verdict {
            Ok(()) => Outcome::Accepted,
            Err(refusal) => Outcome::Refused(Some(match refusal {
                WebhookRefusal::Absent => "absent",
                WebhookRefusal::Malformed => "malformed",
                WebhookRefusal::Mismatch => "mismatch",
                WebhookRefusal::Stale => "stale",
            })),
        }
    });
}

#[test]
fn callback() {
    run("callback.txt", &["site", "rule", "callback"], |record| {
        let site = SiteUrl::parse(record.text("site"), LocalHosts::Refused, true).expect("a site");
        let rule = CallbackRule::parse(record.text("rule")).expect("a rule");
        if rule.admits(&site, record.text("callback")) {
            Outcome::Accepted
        } else {
            Outcome::Refused(None)
        }
    });
}

#[test]
fn redirect_uri() {
    run("redirect-uri.txt", &["registered", "presented", "native"], |record| {
        let native = record.flag("native");
        match RedirectUri::parse(record.text("registered")) {
            Ok(uri) if uri.admits(record.text("presented"), native) => Outcome::Accepted,
            Ok(_) => Outcome::Refused(None),
            Err(_) => Outcome::Refused(Some("registration")),
        }
    });
}

#[test]
fn http_uri() {
    run("http-uri.txt", &["uri", "canonical"], |record| match HttpUri::parse(record.text("uri")) {
        Ok(uri) => Outcome::of_value(record, "canonical", uri.as_str()),
        Err(_) => Outcome::Refused(None),
    });
}

#[test]
fn scope() {
    run("scope.txt", &["scope", "canonical"], |record| {
        match ScopeSet::parse(record.text("scope")) {
            Ok(scope) => Outcome::of_value(record, "canonical", &scope.to_string()),
            Err(_) => Outcome::Refused(None),
        }
    });
}
