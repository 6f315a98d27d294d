//! Which headers go on: the caller's to the platform, the platform's to the caller.

use hyper::{
    HeaderMap,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName, HeaderValue,
        SET_COOKIE,
    },
};

use crate::upstream::NONCE;

/// What belongs to one connection and is never passed on (RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The caller's headers without what is ours to say and what belongs to the local connection.
pub(super) fn going_in(headers: &HeaderMap) -> HeaderMap {
    without(headers, |name| {
        [AUTHORIZATION, COOKIE, HOST, CONTENT_LENGTH, EXPECT].contains(name)
            || name.as_str().starts_with("dpop")
            || name.as_str().starts_with("counterfoil-")
    })
}

/// The server's headers without what is between it and the daemon, and without any that holds one of our `secrets`.
pub(super) fn coming_back(headers: &HeaderMap, secrets: &[&[u8]]) -> HeaderMap {
    let tells = |value: &HeaderValue| secrets.iter().any(|secret| holds(value.as_bytes(), secret));
    without(headers, |name| {
        *name == SET_COOKIE || name.as_str() == NONCE || headers.get_all(name).iter().any(tells)
    })
}

/// Whether `secret` stands somewhere in `text`.
pub(super) fn holds(text: &[u8], secret: &[u8]) -> bool {
    !secret.is_empty() && text.windows(secret.len()).any(|window| window == secret)
}

fn without(headers: &HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    // `Connection` names further headers that end with the hop.
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let goes_on = |name: &HeaderName| {
        let text = name.as_str();
        !HOP_BY_HOP.contains(&text) && !named.iter().any(|it| it == text) && !unwanted(name)
    };
    headers
        .iter()
        .filter(|(name, _)| goes_on(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn what_is_ours_to_say_is_not_the_callers() {
        let given = headers(&[
            ("accept", "application/json"),
            ("authorization", "Bearer stolen"),
            ("connection", "close, X-Secret"),
            ("content-length", "2"),
            ("content-type", "application/json"),
            ("cookie", "session=1"),
            ("counterfoil-client", "shop/1"),
            ("counterfoil-site", "home"),
            ("dpop", "proof"),
            ("dpop-previous", "proof"),
            ("expect", "100-continue"),
            ("host", "localhost"),
            ("idempotency-key", "order-1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-secret", "1"),
        ]);
        let mut kept = going_in(&given);
        assert_eq!(kept.remove("idempotency-key").expect("kept"), "order-1");
        assert_eq!(names(&kept), ["accept", "content-type"]);
    }

    #[test]
    fn what_is_between_server_and_daemon_stays_there() {
        let given = headers(&[
            ("content-type", "application/json"),
            ("dpop-nonce", "n"),
            ("idempotent-replayed", "true"),
            ("keep-alive", "timeout=5"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
        ]);
        assert_eq!(names(&coming_back(&given, &[])), ["content-type", "idempotent-replayed"]);
    }

    #[test]
    fn a_secret_of_ours_does_not_come_back() {
        let given = headers(&[
            ("content-type", "application/json"),
            ("x-echo", "Authorization: DPoP t0ken"),
            ("x-other", "t0ke n"),
            ("x-proof", "pr00f"),
        ]);
        let back = coming_back(&given, &[b"t0ken", b"pr00f"]);
        assert_eq!(names(&back), ["content-type", "x-other"]);
        assert_eq!(coming_back(&given, &[b""]).len(), 4, "no secret is in everything");
    }
}
