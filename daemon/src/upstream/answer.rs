//! A whole answer, and the few things that everybody wants to know of one.

use bytes::Bytes;
use counterfoil_protocol::{UnixTime, json};
use hyper::{HeaderMap, StatusCode, header};
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Map, Value};

/// Head and body of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as a JSON object.
    pub(crate) fn json(&self) -> Option<Map<String, Value>> {
        json::parse_object(&self.body).ok()
    }

    /// `error` of the body, else that of the challenge (RFC 6750 §3, RFC 9449 §7.1): a code or a sentence.
    pub(crate) fn error(&self) -> Option<String> {
        let in_body = self
            .json()
            .and_then(|body| body.get("error").and_then(Value::as_str).map(str::to_owned));
        in_body.filter(|error| !error.is_empty()).or_else(|| challenge_error(&self.headers))
    }

    /// `error`, when it is a code that may be shown and logged, and not a sentence.
    pub(crate) fn error_code(&self) -> Option<String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        self.error().filter(|error| error.len() <= 64 && error.bytes().all(plain))
    }

    /// Whether the same request may be answered differently later (contract of the token endpoint).
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 425 | 429 | 500..)
            || matches!(self.error().as_deref(), Some("server_error" | "temporarily_unavailable"))
    }

    /// `Retry-After` in seconds (RFC 9110 §10.2.3); a date counts from the answer's own.
    pub(crate) fn retry_after(&self) -> Option<i64> {
        let value = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = value.parse::<u32>() {
            return Some(i64::from(seconds));
        }
        Some(http_date(value)?.since(self.date()?).max(0))
    }

    /// `Date`: the server's clock when it answered.
    pub(crate) fn date(&self) -> Option<UnixTime> {
        date(&self.headers)
    }
}

/// `Date` of an answer's head.
pub(crate) fn date(headers: &HeaderMap) -> Option<UnixTime> {
    http_date(headers.get(header::DATE)?.to_str().ok()?)
}

/// The `error` parameter of a `WWW-Authenticate` challenge.
pub(crate) fn challenge_error(headers: &HeaderMap) -> Option<String> {
    headers.get_all(header::WWW_AUTHENTICATE).iter().find_map(|value| {
        let (_, rest) = value.to_str().ok()?.split_once("error=\"")?;
        rest.split_once('"').map(|(error, _)| error.to_owned())
    })
}

fn http_date(text: &str) -> Option<UnixTime> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok().map(|time| UnixTime(time.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (header::HeaderName::from_static(name), value.parse().expect("a value"))
                })
                .collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn what_may_pass_and_what_may_not() {
        for (status, body, passes) in [
            (408, "", true),
            (425, "", true),
            (429, "", true),
            (500, "<html>", true),
            (503, r#"{"error":"invalid_grant"}"#, true),
            (400, r#"{"error":"server_error"}"#, true),
            (400, r#"{"error":"temporarily_unavailable"}"#, true),
            (400, r#"{"error":"invalid_grant"}"#, false),
            (401, "", false),
            (404, "", false),
        ] {
            assert_eq!(answer(status, &[], body).may_pass(), passes, "{status} {body}");
        }
    }

    #[test]
    fn errors_come_from_the_body_or_the_challenge() {
        let challenge = [("www-authenticate", r#"DPoP error="use_dpop_nonce", algs="ES256""#)];
        assert_eq!(answer(401, &challenge, "").error().as_deref(), Some("use_dpop_nonce"));
        let both = answer(401, &challenge, r#"{"error":"invalid_token"}"#);
        assert_eq!(both.error().as_deref(), Some("invalid_token"));
        let prose = answer(400, &[], r#"{"error":"DPoP proof is stale."}"#);
        assert_eq!(prose.error().as_deref(), Some("DPoP proof is stale."));
        assert_eq!(prose.error_code(), None);
        assert_eq!(answer(400, &[], "not json").error(), None);
    }

    #[test]
    fn times_in_headers() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(answer(200, &[date], "").date(), Some(UnixTime(784_111_777)));
        for (value, seconds) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("soon", None),
            ("-5", None),
        ] {
            let retry = ("retry-after", value);
            assert_eq!(answer(503, &[date, retry], "").retry_after(), seconds, "{value}");
        }
    }
}
