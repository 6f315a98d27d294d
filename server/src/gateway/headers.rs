//! Which headers pass the gateway, each way.

use axum::http::{HeaderMap, HeaderName, header};
use url::{Position, Url};

use super::upstream::Upstream;

/// The header of the identity. What begins like it is ours alone.
pub const IDENTITY: HeaderName = HeaderName::from_static("counterfoil-identity");

/// What the names of our own headers begin with.
const OWN: &str = "counterfoil-";

/// Headers between two neighbours (RFC 9110 §7.6.1), and those of upgrades.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Credentials of the caller, which are for this server alone, and what the gateway says itself.
const NOT_IN: [&str; 12] = [
    "authorization",
    "content-length",
    "cookie",
    "cookie2",
    "dpop",
    "dpop-previous",
    "expect",
    "forwarded",
    "host",
    "max-forwards",
    "via",
    "x-real-ip",
];

/// What an API behind the gateway cannot say in this server's name.
const NOT_OUT: [&str; 9] = [
    "alt-svc",
    "clear-site-data",
    "dpop-nonce",
    "public-key-pins",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "www-authenticate",
];

/// The headers of a request that go to the upstream.
///
/// A name that is not letters, digits and hyphens is left out: where headers become variables, `Counterfoil_Identity`
/// and `Counterfoil-Identity` are one.
#[must_use]
pub fn going_in(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &str| {
        !NOT_IN.contains(&name) && !name.starts_with(OWN) && !name.starts_with("x-forwarded-")
    };
    end_to_end(headers, passes)
}

/// The headers of an answer that go to the caller.
#[must_use]
pub fn going_out(headers: &HeaderMap, upstream: &Upstream, issuer: &str, asked: &str) -> HeaderMap {
    let passes = |name: &str| !NOT_OUT.contains(&name) && !name.starts_with(OWN);
    let mut kept = end_to_end(headers, passes);
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        if let Some(value) = kept.remove(&name) {
            let outside =
                value.to_str().ok().and_then(|said| outward(said, upstream, issuer, asked));
            if let Some(value) = outside.and_then(|it| it.parse().ok()) {
                kept.insert(name, value);
            }
        }
    }
    kept
}

fn end_to_end(headers: &HeaderMap, passes: impl Fn(&str) -> bool) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let text = name.as_str();
        let stays = HOP_BY_HOP.contains(&text) || named.iter().any(|it| it == text);
        if !stays && is_plain(text) && passes(text) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// A reference by the upstream as the caller has to write it. One to the upstream itself becomes one to its prefix; one
/// to any other place on its host is left out, for nothing leads there. Anything else stays as it is.
fn outward(said: &str, upstream: &Upstream, issuer: &str, asked: &str) -> Option<String> {
    let target = Url::parse(upstream.target(asked)?.to_string().as_str()).ok()?;
    let url = target.join(said).ok()?;
    if url.origin() != upstream.base.origin() {
        let public = url.origin().ascii_serialization() == issuer;
        let inside = url.host() == upstream.base.host() && !public;
        return (matches!(url.scheme(), "http" | "https") && !inside).then(|| said.to_owned());
    }
    let base = upstream.base.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(base)?;
    if !(rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    let rest = if rest == "/" && base.is_empty() { "" } else { rest };
    let tail = &url[Position::AfterPath..];
    Some(format!("{issuer}{}{rest}{tail}", upstream.prefix))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::config;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_goes_in() {
        let kept = going_in(&headers(&[
            ("Accept", "application/json"),
            ("Accept", "text/plain"),
            ("Authorization", "DPoP t"),
            ("Connection", "close, X-Hop ,  Content-Type"),
            ("Connection", "counterfoil-identity"),
            ("Content-Encoding", "gzip"),
            ("Content-Length", "5"),
            ("Content-Type", "text/plain"),
            ("Cookie", "session=1"),
            ("Counterfoil-Anything", "x"),
            ("COUNTERFOIL-IDENTITY", "forged"),
            ("Counterfoil_Identity", "forged"),
            ("counterfoil.identity", "forged"),
            ("Counterfoil-Identity_", "forged"),
            ("DPoP", "p"),
            ("DPoP-Previous", "p"),
            ("Expect", "100-continue"),
            ("Forwarded", "for=1.1.1.1"),
            ("Host", "pay.example"),
            ("HTTP2-Settings", "x"),
            ("Idempotency-Key", "k"),
            ("If-Match", "\"1\""),
            ("Keep-Alive", "x"),
            ("Max-Forwards", "1"),
            ("Proxy-Authorization", "x"),
            ("Proxy-Connection", "x"),
            ("Range", "bytes=0-1"),
            ("TE", "trailers"),
            ("Trailer", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "websocket"),
            ("User-Agent", "shop/1"),
            ("Via", "1.1 x"),
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-Forwarded-Host", "evil.example"),
            ("X_Forwarded_For", "1.1.1.1"),
            ("X-Hop", "x"),
            ("X-Real-IP", "1.1.1.1"),
        ]));
        assert_eq!(
            names(&kept),
            ["accept", "content-encoding", "idempotency-key", "if-match", "range", "user-agent"]
        );
        let accept: Vec<_> = kept.get_all("accept").iter().collect();
        assert_eq!(accept, ["application/json", "text/plain"]);
    }

    fn upstream(url: &str) -> Upstream {
        let rule = config::Rule {
            methods: vec!["GET".to_owned()],
            path: None,
            scopes: vec!["orders:read".to_owned()],
        };
        let settings = config::Upstream {
            name: "orders".to_owned(),
            prefix: "/v1/orders".to_owned(),
            url: url.to_owned(),
            rules: vec![rule],
            ..config::Upstream::default()
        };
        super::super::read(&[settings]).expect("an upstream").remove(0)
    }

    const ISSUER: &str = "https://pay.example";

    #[test]
    fn what_comes_out() {
        let upstream = upstream("http://10.0.0.5:8080/inner");
        let said = headers(&[
            ("Alt-Svc", "h3=\":443\""),
            ("Cache-Control", "no-store"),
            ("Clear-Site-Data", "*"),
            ("Connection", "x-hop"),
            ("Content-Length", "5"),
            ("Counterfoil-Identity", "x"),
            ("DPoP-Nonce", "n"),
            ("ETag", "\"1\""),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Authenticate", "Basic"),
            ("Set-Cookie", "a=b"),
            ("Strict-Transport-Security", "max-age=0"),
            ("Trailer", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Vary", "accept"),
            ("Via", "1.1 x"),
            ("WWW-Authenticate", "Basic"),
            ("X-Hop", "x"),
        ]);
        let kept = going_out(&said, &upstream, ISSUER, "/v1/orders/7");
        assert_eq!(names(&kept), ["cache-control", "content-length", "etag", "vary", "via"]);
    }

    #[test]
    fn references_lead_to_the_prefix_or_elsewhere_but_never_inside() {
        let inner = "http://10.0.0.5:8080/inner";
        for (url, said, expected) in [
            (
                inner,
                "http://10.0.0.5:8080/inner/8?a=b#c",
                Some("https://pay.example/v1/orders/8?a=b#c"),
            ),
            (inner, "/inner/8", Some("https://pay.example/v1/orders/8")),
            (inner, "/inner", Some("https://pay.example/v1/orders")),
            (inner, "8", Some("https://pay.example/v1/orders/8")),
            (inner, "?page=2", Some("https://pay.example/v1/orders/7?page=2")),
            (inner, "//10.0.0.5:8080/inner/8", Some("https://pay.example/v1/orders/8")),
            (inner, "/innermost", None),
            (inner, "/", None),
            (inner, "../secret", None),
            (inner, "http://10.0.0.5:8080/", None),
            (inner, "http://u:p@10.0.0.5:8080/admin", None),
            (inner, "https://elsewhere.example/x", Some("https://elsewhere.example/x")),
            (inner, "//elsewhere.example/x", Some("//elsewhere.example/x")),
            (inner, "http://10.0.0.5:9090/inner", None),
            (inner, "https://pay.example/v1/orders/8", Some("https://pay.example/v1/orders/8")),
            (
                "https://pay.example:8443/inner",
                "https://pay.example/x",
                Some("https://pay.example/x"),
            ),
            (inner, "javascript:alert(1)", None),
            (inner, "http://", None),
            ("http://10.0.0.5/", "/8", Some("https://pay.example/v1/orders/8")),
            ("http://10.0.0.5", "/", Some("https://pay.example/v1/orders")),
        ] {
            let upstream = upstream(url);
            for name in ["location", "content-location"] {
                let kept = going_out(&headers(&[(name, said)]), &upstream, ISSUER, "/v1/orders/7");
                let kept = kept.get(name).map(|value| value.to_str().expect("text"));
                assert_eq!(kept, expected, "{name}: {said}");
            }
        }
    }
}
