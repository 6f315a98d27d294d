//! Requests taken apart strictly: bodies, forms, queries, and the headers that may appear once.

use std::fmt;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
};
use counterfoil_protocol::json;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::error::Refusal;
use crate::{oauth::profile::is_plain_idempotency_key, serving::TooSlow};

/// The most parameters of a form or query.
const MAX_PARAMETERS: usize = 64;

/// The header of DPoP proofs.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
/// The header of proofs by the key before.
pub const DPOP_PREVIOUS: HeaderName = HeaderName::from_static("dpop-previous");
/// The header that names a request, so that its retry is recognised.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Parameters of a form, a query or a flat JSON object, each name at most once but `resource` (RFC 6749 §3.1, RFC 8707 §2).
/// Empty values are left out: they count as absent.
///
/// Its `Debug` leaves the values out: codes, tokens and passwords are among them.
#[derive(Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text; anything malformed or doubled is refused.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if parameters.len() == MAX_PARAMETERS {
                return Err(Refusal::invalid_request("There are too many parameters."));
            }
            if name != "resource" && parameters.iter().any(|(known, _)| *known == name) {
                return Err(Refusal::invalid_request("A parameter is given twice."));
            }
            parameters.push((name, value));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        Ok(Self(parameters))
    }

    /// Parameters that were read otherwise, each name once.
    #[must_use]
    pub fn of(mut pairs: Vec<(String, String)>) -> Self {
        pairs.retain(|(_, value)| !value.is_empty());
        Self(pairs)
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, owned.
    #[must_use]
    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// The value of a parameter that must be there.
    pub fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::invalid_request(format!("The parameter {name} is required.")))
    }

    /// All values of a parameter that may be given several times.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Reads a form body. The query must be empty: parameters are never merged from two places (RFC 6749 §3.2).
pub async fn form(parts: &Parts, body: Body, limit: usize) -> Result<Parameters, Refusal> {
    refuse_query(parts)?;
    if media_type(&parts.headers)? != "application/x-www-form-urlencoded" {
        return Err(Refusal::invalid_request(
            "The body must be application/x-www-form-urlencoded.",
        ));
    }
    Parameters::parse(&bytes(parts, body, limit).await?)
}

/// Reads a JSON object, strictly.
pub async fn json_object(
    parts: &Parts,
    body: Body,
    limit: usize,
) -> Result<Map<String, Value>, Refusal> {
    strict_object(&json_bytes(parts, body, limit).await?)
}

/// Reads a JSON object with strings of these names and nothing else. The query must be empty, as for a form.
pub async fn json_parameters(
    parts: &Parts,
    body: Body,
    limit: usize,
    names: &[&str],
) -> Result<Parameters, Refusal> {
    refuse_query(parts)?;
    let mut parameters = Vec::new();
    for (name, value) in json_object(parts, body, limit).await? {
        match value {
            Value::String(value) if names.contains(&name.as_str()) => {
                parameters.push((name, value));
            }
            _ => {
                let names = names.join(" and ");
                return Err(Refusal::invalid_request(format!(
                    "The members of the body are {names} alone, and they are strings."
                )));
            }
        }
    }
    parameters.retain(|(_, value)| !value.is_empty());
    Ok(Parameters(parameters))
}

/// Reads a JSON object as strictly, but gives its text, in which no number has been rounded.
pub async fn json_text(parts: &Parts, body: Body, limit: usize) -> Result<String, Refusal> {
    let bytes = json_bytes(parts, body, limit).await?;
    strict_object(&bytes)?;
    String::from_utf8(bytes).map_err(|_| Refusal::invalid_request("The body must be UTF-8."))
}

/// Reads a JSON object that may be left out: no body, of whatever type, is `{}`.
pub async fn optional_json_text(
    parts: &Parts,
    body: Body,
    limit: usize,
) -> Result<String, Refusal> {
    let bytes = bytes(parts, body, limit).await?;
    if bytes.is_empty() { Ok("{}".to_owned()) } else { json_text(parts, bytes.into(), limit).await }
}

async fn json_bytes(parts: &Parts, body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    if media_type(&parts.headers)? != "application/json" {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "The body must be application/json in UTF-8.",
        ));
    }
    bytes(parts, body, limit).await
}

fn strict_object(text: &[u8]) -> Result<Map<String, Value>, Refusal> {
    json::parse_object(text).map_err(|error| {
        Refusal::invalid_request("The body must be one JSON object whose member names are unique.")
            .caused_by(error)
    })
}

/// Reads a body of at most `limit` bytes.
pub async fn bytes(parts: &Parts, body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "Content-Encoding is not supported.",
        ));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            format!("The body must be at most {limit} bytes."),
        )),
        Err(error) if is_too_slow(&*error) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "invalid_request",
            "The body took too long to arrive.",
        )),
        Err(error) => Err(Refusal::invalid_request("The body broke off.").caused_by(error)),
    }
}

/// The `Idempotency-Key` of a request, if it has one.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let malformed = || {
        Refusal::bad_request(
            "invalid_idempotency_key",
            "An Idempotency-Key is 8 to 200 letters, digits and . _ ~ : + / = -",
        )
    };
    let key = single_header(headers, &IDEMPOTENCY_KEY).map_err(|_| malformed())?;
    if key.is_some_and(|key| !is_plain_idempotency_key(key)) {
        return Err(malformed());
    }
    Ok(key)
}

/// The value of a header that may appear once. Twice, or not visible ASCII, is refused.
pub fn single_header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::invalid_request(format!("The header {name} is given twice.")));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| Refusal::invalid_request(format!("The header {name} is malformed.")))
}

fn refuse_query(parts: &Parts) -> Result<(), Refusal> {
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(Refusal::invalid_request("Parameters belong in the body, not in the URL."));
    }
    Ok(())
}

/// Whether a body did not arrive in time.
pub fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<TooSlow>)
}

fn media_type(headers: &HeaderMap) -> Result<String, Refusal> {
    let content_type =
        single_header(headers, &header::CONTENT_TYPE)?.unwrap_or_default().to_ascii_lowercase();
    let (essence, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let utf8 =
        parameters.trim().is_empty() || parameters.replace([' ', '"'], "") == "charset=utf-8";
    Ok(if utf8 { essence.trim().to_owned() } else { content_type })
}

/// Decodes one half of a pair: `+` is a space, `%` must be followed by two digits, the result must be UTF-8.
fn decode(text: &[u8]) -> Result<String, Refusal> {
    let malformed = || Refusal::invalid_request("A parameter is not valid URL encoding of UTF-8.");
    let complete = |at: usize| {
        text.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    if text.iter().enumerate().any(|(at, b)| *b == b'%' && !complete(at)) {
        return Err(malformed());
    }
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let decoded = percent_decode(&spaced).decode_utf8().map_err(|_| malformed())?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Vec<(String, String)>> {
        Parameters::parse(text.as_bytes()).ok().map(|parameters| parameters.0)
    }

    #[test]
    fn honest_forms() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parse("a=1&b=x+y%26%C3%A9"), Some(vec![pair("a", "1"), pair("b", "x y&é")]));
        assert_eq!(parse("a=&b=1&&c"), Some(vec![pair("b", "1")]));
        assert_eq!(parse("resource=a&resource=b").map(|p| p.len()), Some(2));
        assert_eq!(parse("code[]=x&__proto__=y").map(|p| p.len()), Some(2));
    }

    #[test]
    fn debug_tells_names_alone() {
        let parameters = Parameters::parse(b"code=canary-7f3a&state=canary").expect("a form");
        assert_eq!(format!("{parameters:?}"), r#"{"code", "state"}"#);
    }

    #[test]
    fn malformed_and_doubled_forms() {
        for text in ["a=%zz", "a=%", "a=%f", "a=%ff", "a=%c0%80", "a=1&a=1", "a=1&%61=2", "a=&a=1"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        let many: Vec<_> = (0..5_000).map(|n| format!("p{n}=1")).collect();
        assert_eq!(parse(&many.join("&")), None);
    }
}
