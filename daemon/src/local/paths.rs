//! Which paths leave this machine with a token: judged as the bytes that the caller sent.

use std::collections::BTreeSet;

use hyper::Method;

use crate::{
    config::OwnCall,
    platform::{Platform, reaches},
    trouble::{Code, Trouble},
};

/// The longest path taken, in bytes.
const MAX_LENGTH: usize = 1_024;

/// Paths below the API base that answer secrets; they belong to the daemon.
const OWN: [&str; 2] = ["webhook-subscriptions", "webhook-secret"];

/// Why a call is not forwarded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum PathRefusal {
    /// The path is on the list, for these methods.
    Method(String),
    /// Not on the list.
    NotListed,
    /// Not a plain path at all.
    NotPlain,
}

/// Checks a call that a plugin wants forwarded: `path` is what follows `/v1/api/`, without the query. `own` are those of
/// the store's file, none of which opens a path that answers secrets.
pub(super) fn check_call(
    platform: &Platform,
    own: &[OwnCall],
    method: &Method,
    path: &str,
) -> Result<(), PathRefusal> {
    if !is_plain(path) {
        return Err(PathRefusal::NotPlain);
    }
    if platform.calls.iter().any(|call| call.admits(method, path)) {
        return Ok(());
    }
    let mut allowed: BTreeSet<&str> = BTreeSet::new();
    if !path.split('/').any(|segment| OWN.contains(&segment)) {
        allowed.extend(
            own.iter()
                .filter(|call| reaches(&call.path, path))
                .flat_map(|call| call.methods.iter().map(String::as_str)),
        );
    }
    if allowed.contains(method.as_str()) {
        return Ok(());
    }
    let listed = platform.calls.iter().filter(|call| call.reaches(path));
    allowed.extend(listed.flat_map(|call| call.methods));
    if allowed.is_empty() {
        return Err(PathRefusal::NotListed);
    }
    Err(PathRefusal::Method(allowed.into_iter().collect::<Vec<_>>().join(", ")))
}

/// The URL of a call whose path and query were checked: the API base, a slash, the path as it came.
pub(super) fn url(api_base: &str, path: &str, query: &str) -> String {
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{api_base}/{path}{separator}{query}")
}

/// Checks a URL that a plugin wants a proof for: plainly below `api_base`, and not one of the daemon's own.
pub(super) fn check_url(api_base: &str, url: &str) -> Result<(), Trouble> {
    let refusal = || Trouble::of(Code::UrlRefused);
    let below = url.strip_prefix(api_base).and_then(|rest| rest.strip_prefix('/'));
    let (path, query) =
        below.map(|rest| rest.split_once('?').unwrap_or((rest, ""))).ok_or_else(refusal)?;
    let own = path.split('/').any(|segment| OWN.contains(&segment));
    let good = is_plain(path) && is_plain_query(query) && !own;
    good.then_some(()).ok_or_else(refusal)
}

/// Segments of letters, digits and `_~-`, with dots only inside, and single slashes between.
///
/// What cannot be written cannot be smuggled: no dot segments, no `//`, no `@`, no scheme, no encoded anything.
fn is_plain(path: &str) -> bool {
    let segment = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && !segment.ends_with('.')
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_~-.".contains(&b))
    };
    path.len() <= MAX_LENGTH && path.split('/').all(segment)
}

/// What a URI's query may consist of (RFC 3986 §3.4).
pub(super) fn is_plain_query(query: &str) -> bool {
    query.len() <= 8 * MAX_LENGTH
        && query.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(method: &str, path: &str) -> Result<(), PathRefusal> {
        let method = method.parse().expect("a method");
        check_call(&Platform::named("wordpress"), &[], &method, path)
    }

    #[test]
    fn calls_of_the_stores_file_are_forwarded_too() {
        let own = |methods: &[&str], path: &str| OwnCall {
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            path: path.to_owned(),
        };
        let own = [
            own(&["GET", "POST"], "orders/*"),
            own(&["PUT"], "makepay/settings"),
            own(&["GET", "PUT"], "makepay/*/*"),
            own(&["POST"], "makepay/*"),
        ];
        let call = |method: &str, path: &str| {
            let method = method.parse().expect("a method");
            check_call(&Platform::named("wordpress"), &own, &method, path)
        };
        for (method, path) in [
            ("POST", "orders/7"),
            ("PUT", "makepay/settings"),
            ("GET", "makepay/settings"),
            ("GET", "makepay/customers/7"),
        ] {
            assert_eq!(call(method, path), Ok(()), "{method} {path}");
        }
        for (method, path, refusal) in [
            ("GET", "orders", PathRefusal::NotListed),
            ("GET", "orders/7/8", PathRefusal::NotListed),
            ("GET", "orders/..", PathRefusal::NotPlain),
            ("GET", "orders/%2e%2e", PathRefusal::NotPlain),
            ("POST", "makepay/webhook-secret", PathRefusal::NotListed),
            ("GET", "makepay/webhook-subscriptions/current", PathRefusal::NotListed),
            ("DELETE", "orders/7", PathRefusal::Method("GET, POST".to_owned())),
            ("DELETE", "makepay/settings", PathRefusal::Method("GET, POST, PUT".to_owned())),
        ] {
            assert_eq!(call(method, path), Err(refusal), "{method} {path}");
        }
    }

    #[test]
    fn honest_calls_go_through() {
        for (method, path) in [
            ("GET", "makepay/payment-links"),
            ("POST", "makepay/payment-links"),
            ("GET", "makepay/payment-links/pl_Abc-123"),
            ("PATCH", "makepay/payment-links/pl_Abc-123"),
            ("GET", "makepay/payment-links/018f.2b~x"),
            ("GET", "makepay/branding"),
            ("GET", "makepay/settings"),
        ] {
            assert_eq!(call(method, path), Ok(()), "{method} {path}");
        }
    }

    #[test]
    fn attacks_on_the_path_are_refused() {
        for path in [
            "",
            "/",
            "//evil.example/x",
            "/makepay/payment-links",
            "makepay//payment-links",
            "makepay/payment-links/",
            "makepay/../settings",
            "makepay/payment-links/..",
            "makepay/payment-links/.",
            "makepay/payment-links/.hidden",
            "makepay/payment-links/..%2f..%2fwebhook-secret",
            "makepay/payment-links/%2e%2e",
            "makepay%2fpayment-links",
            "makepay/payment-links%00",
            "makepay/payment-links/a;b",
            "makepay/payment-links/a@evil.example",
            "@evil.example/",
            "https://evil.example/",
            "http:evil",
            "makepay\\payment-links",
            "makepay/payment-links/ä",
            "makepay/payment-links/a b",
            "makepay/payment-links/a:b",
            &format!("makepay/payment-links/{}", "a".repeat(MAX_LENGTH)),
        ] {
            assert_eq!(call("GET", path), Err(PathRefusal::NotPlain), "{path:.60}");
        }
    }

    #[test]
    fn what_is_not_listed_stays_here() {
        for (method, path) in [
            ("GET", "makepay/webhook-subscriptions/current"),
            ("PUT", "makepay/webhook-subscriptions/current"),
            ("POST", "makepay/webhook-secret"),
            ("GET", "makepay"),
            ("GET", "makepay/payment-links/a/b"),
            ("GET", "Makepay/payment-links"),
            ("GET", "companies/1/wallet"),
            ("GET", "oauth/token"),
        ] {
            assert_eq!(call(method, path), Err(PathRefusal::NotListed), "{method} {path}");
        }
        for (method, path, allow) in [
            ("PUT", "makepay/settings", "GET"),
            ("DELETE", "makepay/payment-links/a", "GET, PATCH"),
            ("get", "makepay/payment-links", "GET, POST"),
        ] {
            assert_eq!(call(method, path), Err(PathRefusal::Method(allow.to_owned())));
        }
    }

    #[test]
    fn proofs_are_signed_only_for_the_api() {
        const BASE: &str = "https://pay.example/api/partner/v1";
        for good in ["/makepay/payment-links", "/makepay/customers?limit=5&x=%20", "/a"] {
            assert!(check_url(BASE, &format!("{BASE}{good}")).is_ok(), "{good}");
        }
        for bad in [
            "https://pay.example/oauth/token",
            "https://pay.example/oauth/native/installations",
            "https://pay.example/api/partner/v1",
            "https://pay.example/api/partner/v1/",
            "https://pay.example/api/partner/v1x/y",
            "https://pay.example/api/partner/v1/../../oauth/token",
            "https://pay.example/api/partner/v1/%2e%2e/x",
            "https://pay.example/api/partner/v1//x",
            "https://pay.example/api/partner/v1/x#y",
            "https://pay.example/api/partner/v1/x?y#z",
            "https://pay.example/api/partner/v1/makepay/webhook-secret",
            "https://pay.example/api/partner/v1/makepay/webhook-subscriptions/current",
            "http://pay.example/api/partner/v1/x",
            "https://evil.example/api/partner/v1/x",
            "https://pay.example@evil.example/api/partner/v1/x",
            "/makepay/payment-links",
            "",
        ] {
            assert!(check_url(BASE, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_quote_in_a_query_arrives_encoded() {
        assert!(is_plain_query("name=O'Neill"));
        let sent =
            url::Url::parse(&url("https://pay.example", "a", "name=O'Neill")).expect("a URL");
        assert_eq!(sent.query(), Some("name=O%27Neill"));
    }

    /// Paths made of what is used to smuggle, mixed with what is honest.
    fn paths() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("makepay"),
            Just("payment-links"),
            Just("settings"),
            Just("/"),
            Just("//"),
            Just("."),
            Just(".."),
            Just("%2e"),
            Just("%2f"),
            Just("%5c"),
            Just("\\"),
            Just("@evil.example"),
            Just(":"),
            Just(":8443"),
            Just("https://evil.example/"),
            Just("?"),
            Just("#"),
            Just(";"),
            Just("\t"),
            Just("\r\n"),
            Just("a"),
            Just("\u{ff0e}"),
        ];
        prop_oneof![
            "(makepay/)?(payment-links|settings|branding)(/[A-Za-z0-9._~-]{1,12})?",
            proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()),
            ".{0,40}",
        ]
    }

    proptest! {
        #[test]
        fn what_is_sent_lies_below_the_base_and_is_what_was_listed(
            path in paths(),
            query in prop_oneof!["[a-z]{1,5}=[ -~]{0,20}", ".{0,40}", Just(String::new())],
            method in prop_oneof![Just("GET"), Just("POST"), Just("PATCH")],
            base in prop_oneof![
                Just("https://pay.example/api/partner/v1"),
                Just("http://127.0.0.1:8480/api/partner/v1"),
                Just("https://[2001:db8::1]:8443"),
            ],
        ) {
            if call(method, &path).is_ok() && is_plain_query(&query) {
                let sent = url::Url::parse(&url(base, &path, &query)).expect("a URL");
                let base = url::Url::parse(base).expect("a URL");
                prop_assert_eq!(sent.origin(), base.origin());
                let below = format!("{}/{path}", base.path().trim_end_matches('/'));
                prop_assert_eq!(sent.path(), below);
                // The one character that a web address must not hold bare, though a URI may: it arrives encoded.
                prop_assert_eq!(sent.query().unwrap_or_default(), query.replace('\'', "%27"));
                prop_assert_eq!((sent.username(), sent.password(), sent.fragment()), ("", None, None));
            }
        }
    }
}
