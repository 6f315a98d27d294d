//! What holds for all values.

use counterfoil_protocol::{
    UnixTime,
    access_token::{Claims, KeySet},
    callback::{CallbackRule, LocalHosts, RedirectUri, SiteUrl},
    encoding::{base64url, from_base64url},
    json,
    jwk::Thumbprint,
    jws::Unverified,
    pkce::Challenge,
    proof::{self, Draft, Expectation, NonceRule, Proof, ProofRefusal, Signer as _, Window},
    scope::ScopeSet,
    secret::Secret,
    uri::HttpUri,
    webhook,
};
use proptest::{
    collection::{hash_map, vec},
    option,
    prelude::*,
};
use serde_json::Value;

use crate::signer::TestKey;

/// A request and what its proof says about it.
#[derive(Clone, Debug)]
struct Request {
    key: u64,
    method: String,
    uri: HttpUri,
    iat: i64,
    jti: String,
    token: Option<String>,
    nonce: Option<String>,
    successor: Option<Thumbprint>,
}

impl Request {
    fn proof(&self) -> String {
        let draft = Draft {
            method: &self.method,
            uri: &self.uri,
            iat: UnixTime(self.iat),
            jti: &self.jti,
            access_token: self.token.as_deref(),
            nonce: self.nonce.as_deref(),
            successor: self.successor.as_ref(),
        };
        let Ok(proof) = draft.sign(&TestKey::new(self.key));
        proof
    }

    /// Judges `proof` against this request, `age` seconds after its time.
    fn judge(&self, proof: &str, age: i64) -> Result<Proof, ProofRefusal> {
        let is_ours = |nonce: &str| self.nonce.as_deref() == Some(nonce);
        let nonce = if self.nonce.is_some() {
            NonceRule::Required(&is_ours)
        } else {
            NonceRule::Optional(&is_ours)
        };
        let expectation = Expectation {
            method: &self.method,
            uri: &self.uri,
            now: UnixTime(self.iat) + age,
            window: Window::STRICT,
            access_token: self.token.as_deref(),
            nonce,
        };
        proof::judge(proof, &expectation)
    }
}

fn uris() -> impl Strategy<Value = HttpUri> {
    "https?://[a-z0-9][a-z0-9.-]{0,20}(:[1-9][0-9]{0,3})?(/[!-~&&[^?#\\\\]]{0,30})?"
        .prop_map(|text| HttpUri::parse(&text).expect("a URI"))
}

fn requests() -> impl Strategy<Value = Request> {
    (
        any::<u64>(),
        "[A-Z]{1,8}",
        uris(),
        0..i64::from(u32::MAX),
        "[!-~]{1,256}",
        option::of("[!-~]{1,60}"),
        option::of("[!-~&&[^\"\\\\]]{1,60}"),
        option::of(any::<[u8; 32]>().prop_map(Thumbprint)),
    )
        .prop_map(|(key, method, uri, iat, jti, token, nonce, successor)| Request {
            key,
            method,
            uri,
            iat,
            jti,
            token,
            nonce,
            successor,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn a_proof_is_good_for_its_request(request in requests(), age in -60..=300_i64) {
        let proof = request.judge(&request.proof(), age).expect("accepted");
        let key = TestKey::new(request.key);
        prop_assert_eq!(proof.thumbprint, key.public_key().thumbprint());
        prop_assert_eq!(&proof.key, key.public_key());
        prop_assert_eq!(proof.jti, request.jti);
        prop_assert_eq!(proof.iat, UnixTime(request.iat));
        prop_assert_eq!(proof.successor, request.successor);
    }

    #[test]
    fn a_proof_is_good_for_no_other_request(request in requests(), other in requests()) {
        let proof = request.proof();
        let changed = |change: &dyn Fn(&mut Request)| {
            let mut changed = request.clone();
            change(&mut changed);
            changed.judge(&proof, 0)
        };
        if other.method != request.method {
            let refusal = changed(&|request| request.method.clone_from(&other.method));
            prop_assert_eq!(refusal, Err(ProofRefusal::Method));
        }
        if other.uri != request.uri {
            let refusal = changed(&|request| request.uri = other.uri.clone());
            prop_assert_eq!(refusal, Err(ProofRefusal::Uri));
        }
        if other.token != request.token {
            let refusal = changed(&|request| request.token.clone_from(&other.token));
            prop_assert_eq!(refusal, Err(ProofRefusal::AccessTokenHash));
        }
        if other.nonce != request.nonce {
            let refusal = changed(&|request| request.nonce.clone_from(&other.nonce));
            prop_assert_eq!(refusal, Err(ProofRefusal::Nonce));
        }
        for age in [-61, 301, i64::MAX / 2, i64::MIN / 2] {
            let refusal = request.judge(&proof, age);
            prop_assert!(matches!(refusal, Err(ProofRefusal::Stale { .. })), "{:?}", refusal);
        }
    }

    #[test]
    fn no_byte_of_a_proof_can_be_changed(
        request in requests(),
        at in any::<prop::sample::Index>(),
        by in 1..=255_u8,
    ) {
        let mut proof = request.proof().into_bytes();
        let at = at.index(proof.len());
        proof[at] ^= by;
        if let Ok(proof) = str::from_utf8(&proof) {
            prop_assert!(request.judge(proof, 0).is_err(), "byte {}", at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn base64url_round_trip(bytes in vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(from_base64url(&base64url(&bytes)), Some(bytes));
    }

    #[test]
    fn base64url_has_one_spelling(text in "[A-Za-z0-9_-]{0,8}[A-Za-z0-9+/=_-]{0,2}") {
        if let Some(bytes) = from_base64url(&text) {
            prop_assert_eq!(base64url(&bytes), text);
        }
    }

    #[test]
    fn thumbprints_round_trip(bytes in any::<[u8; 32]>()) {
        let thumbprint = Thumbprint(bytes);
        prop_assert_eq!(thumbprint.to_string().parse(), Ok(thumbprint));
        let json = serde_json::to_string(&thumbprint).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Thumbprint>(&json).ok(), Some(thumbprint));
    }

    #[test]
    fn challenges_round_trip(verifier in "[A-Za-z0-9._~-]{43,128}", other in "[A-Za-z0-9._~-]{43}") {
        let challenge = Challenge::of(&verifier).expect("a challenge");
        prop_assert_eq!(Challenge::parse(challenge.as_str()), Ok(challenge.clone()));
        prop_assert_eq!(challenge.verify(&verifier), Ok(()));
        prop_assert_eq!(challenge.verify(&other).is_ok(), verifier == other);
    }

    #[test]
    fn scopes_round_trip(names in vec("[!#-\\[\\]-~]{1,12}", 0..8)) {
        let scope = ScopeSet::from_names(names.iter().map(String::as_str)).expect("scopes");
        let again = ScopeSet::parse(&scope.to_string()).expect("scopes");
        prop_assert_eq!(&again, &scope);
        prop_assert_eq!(again.to_string(), scope.to_string());
        prop_assert!(names.iter().all(|name| scope.contains(name)));
    }

    #[test]
    fn uris_round_trip(uri in uris()) {
        prop_assert_eq!(HttpUri::parse(uri.as_str()), Ok(uri.clone()));
    }

    #[test]
    fn a_uri_is_named_in_any_case_of_scheme_and_host(
        uri in uris(),
        upper in any::<u64>(),
        tail in "[?#][!-~&&[^\\\\]]{0,20}",
    ) {
        let path = uri.as_str().match_indices('/').nth(2).expect("a path").0;
        let (origin, path) = uri.as_str().split_at(path);
        let origin: String = origin
            .chars()
            .enumerate()
            .map(|(at, c)| if upper >> (at % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        let spelled = format!("{origin}{path}{tail}");
        prop_assert!(uri.is_named_by(&spelled), "{}", spelled);
        let swapped = path.replace(|c: char| c.is_ascii_lowercase(), "Z");
        prop_assert_eq!(uri.is_named_by(&format!("{origin}{swapped}")), swapped == path);
    }

    #[test]
    fn deliveries_verify(
        secret in ".{0,40}",
        body in vec(any::<u8>(), 0..200),
        at in any::<u32>(),
        age in -300..=300_i64,
    ) {
        let (secret, at) = (Secret::new(secret), UnixTime(i64::from(at)));
        let header = webhook::sign(&secret, at, &body);
        prop_assert_eq!(webhook::verify(&header, &secret, &body, at + age, 300), Ok(()));
        let longer = [body.as_slice(), b"\n"].concat();
        prop_assert_eq!(
            webhook::verify(&header, &secret, &longer, at, 300),
            Err(webhook::WebhookRefusal::Mismatch)
        );
    }

    #[test]
    fn json_round_trip(value in json_values()) {
        prop_assert_eq!(json::parse(value.to_string().as_bytes()).ok(), Some(value));
    }

    #[test]
    fn strict_json_takes_no_more_than_serde(text in "[\\[\\]{}:,\"a0-9.eE+ -]{0,20}") {
        if let Ok(value) = json::parse(text.as_bytes()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(value));
        }
    }

    #[test]
    fn a_site_is_its_own_spelling(text in "https://[a-z.]{1,12}(:[0-9]{1,5})?(/[a-z.%2]{0,4}){0,3}") {
        if let Ok(site) = SiteUrl::parse(&text, LocalHosts::Refused, true) {
            prop_assert_eq!(site.as_str(), &text);
            let callback = format!("{text}/cb");
            let rule = CallbackRule::parse("{site_url}/cb").expect("a rule");
            prop_assert!(rule.admits(&site, &callback));
            let parsed = url::Url::parse(&callback).expect("a URL");
            prop_assert_eq!(parsed.as_str(), callback);
        }
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..200), near in near_misses()) {
        for text in [String::from_utf8_lossy(&bytes).into_owned(), near] {
            let _ = text.parse::<Thumbprint>();
            let _ = Challenge::parse(&text).map(|challenge| challenge.verify(&text));
            let _ = ScopeSet::parse(&text);
            let _ = Unverified::parse(&text, 4096);
            let _ = Claims::verify(&text, &KeySet::default());
            let uri = HttpUri::parse(&text);
            let uri = uri.unwrap_or_else(|_| HttpUri::parse("https://pay.example/").expect("a URI"));
            let expectation = Expectation {
                method: &text,
                uri: &uri,
                now: UnixTime(0),
                window: Window::NATIVE,
                access_token: Some(&text),
                nonce: NonceRule::Optional(&|_| true),
            };
            prop_assert!(proof::judge(&text, &expectation).is_err());
            let site = SiteUrl::parse("https://shop.example", LocalHosts::Refused, true).expect("a site");
            for local in [LocalHosts::Accepted, LocalHosts::Refused] {
                let _ = SiteUrl::parse(&text, local, true);
                let _ = SiteUrl::parse(&text, local, false);
            }
            let _ = CallbackRule::parse(&text).map(|rule| rule.admits(&site, &text));
            let _ = RedirectUri::parse(&text).map(|uri| uri.admits(&text, true));
            let loopback = RedirectUri::parse("http://127.0.0.1/cb").expect("a redirect URI");
            let with_userinfo = format!("http://127.0.0.1:1{text}@evil.example/cb");
            prop_assert!(!loopback.admits(&with_userinfo, true));
            let _ = webhook::verify(&text, &Secret::new("s"), &bytes, UnixTime(0), 300);
        }
        let _ = json::parse(&bytes);
    }
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            hash_map(".{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Texts that get past the first checks: pieces of honest input in any order.
fn near_misses() -> impl Strategy<Value = String> {
    let pieces = [
        "https://",
        "http://",
        "127.0.0.1",
        "[::1]",
        "shop.example",
        ":",
        "443",
        "/",
        "//",
        "..",
        "?",
        "#",
        "@",
        "%",
        "%2",
        "é",
        "\0",
        "{site_url}",
        "{segment}",
        "{",
        "}",
        "t=",
        "v1=",
        ",",
        "0",
        ".",
        "e30",
        "eyJ0eXAiOiJkcG9wK2p3dCJ9",
        "com.example:/",
        " ",
        "a",
        "=",
    ];
    vec(prop::sample::select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
}
