//! Where a browser may be sent: store URLs, callback rules and exact comparison.
//!
//! URIs are parsed only to be vetted when they are registered. Afterwards they are text, compared byte for byte
//! (RFC 9700 §2.1); the one exception is the port of a native client's loopback address (RFC 8252 §7.3).

mod host;

use url::Url;

pub use self::host::is_loopback;
use self::host::{is_local, is_plain};

/// The longest URI accepted, in bytes.
pub const MAX_LENGTH: usize = 1_024;

/// Whether plain http on this machine, and hosts that mean "this network", may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LocalHosts {
    /// For trying: `http://localhost`, `http://127.0.0.1`, private addresses.
    Accepted,
    /// In earnest: https on public names only.
    Refused,
}

/// Why a URI was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UriRefusal {
    /// Written otherwise than its canonical form: case, default port, dot segments, encoded letters, a final slash.
    #[error("the URI is not written in its canonical form")]
    NotCanonical,
    /// Has a user name, a password, a fragment, or (where none may be) a query or a path.
    #[error("the URI has parts that it must not have")]
    ForbiddenPart,
    /// The host is this machine or a private network.
    #[error("the URI's host is local or private")]
    LocalHost,
    /// Does not parse, is too long, or has no host.
    #[error("this is not an absolute URI")]
    Malformed,
    /// The scheme is not https (or http on this machine, where that is accepted).
    #[error("the URI's scheme is not accepted")]
    Scheme,
}

/// A store's URL in canonical form, without a final slash: what an installation is registered for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteUrl {
    text: String,
    host: String,
}

impl SiteUrl {
    /// Vets a store's URL. With `path_allowed` it may lie below a path (`https://example.org/shop`), else it is an origin.
    pub fn parse(text: &str, local: LocalHosts, path_allowed: bool) -> Result<Self, UriRefusal> {
        let url = vet_web_uri(text, local)?;
        if url.query().is_some() || (!path_allowed && url.path() != "/") {
            return Err(UriRefusal::ForbiddenPart);
        }
        let canonical = url.as_str().strip_suffix('/').unwrap_or(url.as_str());
        if canonical != text || !is_plain_path(url.path()) {
            return Err(UriRefusal::NotCanonical);
        }
        let host =
            text.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(""));
        Ok(Self { host: host.to_owned(), text: text.to_owned() })
    }

    /// The URL as registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, as people are shown it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// A profile's rule for the callback of a store: `{site_url}`, then fixed text, in which `{segment}` stands for one
/// path segment of 1 to 100 letters, digits, `-` or `_`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackRule {
    fixed: Vec<String>,
}

/// A callback rule that does not begin with `{site_url}/` or has other placeholders than `{segment}`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a callback rule is {{site_url}} and a path, in which only {{segment}} may vary")]
pub struct MalformedRule;

impl CallbackRule {
    /// Reads a rule.
    pub fn parse(template: &str) -> Result<Self, MalformedRule> {
        let rest = template.strip_prefix("{site_url}").ok_or(MalformedRule)?;
        let fixed: Vec<_> = rest.split("{segment}").map(str::to_owned).collect();
        let plain = |part: &String| is_uri_text(part) && !part.contains(['#', '*']);
        let closed = fixed
            .iter()
            .enumerate()
            .all(|(i, part)| i == 0 || part.is_empty() || part.starts_with(['/', '?']));
        if rest.starts_with('/') && closed && fixed.iter().all(plain) {
            Ok(Self { fixed })
        } else {
            Err(MalformedRule)
        }
    }

    /// Whether `callback` is what this rule makes of `site`, byte for byte.
    #[must_use]
    pub fn admits(&self, site: &SiteUrl, callback: &str) -> bool {
        let Some(mut rest) = callback.strip_prefix(site.as_str()) else { return false };
        for (index, fixed) in self.fixed.iter().enumerate() {
            if index > 0 {
                let end = rest.bytes().position(|b| !is_segment_byte(b)).unwrap_or(rest.len());
                if !(1..=100).contains(&end) {
                    return false;
                }
                rest = &rest[end..];
            }
            let Some(after) = rest.strip_prefix(fixed.as_str()) else { return false };
            rest = after;
        }
        rest.is_empty()
    }
}

/// A callback of a partner application, vetted when the operator registers it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Vets a callback: https; http on loopback (RFC 8252 §7.3); or a private-use scheme with a dot (RFC 8252 §7.1).
    pub fn parse(text: &str) -> Result<Self, UriRefusal> {
        if !is_uri_text(text) {
            return Err(UriRefusal::Malformed);
        }
        let scheme = text.split(':').next().unwrap_or_default();
        let uri = Self(text.to_owned());
        if scheme.contains('.') {
            let path = &text[scheme.len()..];
            let reversed_domain = scheme
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
                && scheme.starts_with(|c: char| c.is_ascii_lowercase());
            let plain =
                path.starts_with(":/") && !path.starts_with("://") && !path.contains(['#', '*']);
            return (reversed_domain && plain).then_some(uri).ok_or(UriRefusal::Scheme);
        }
        // Whose machine a loopback callback means is the user's affair, not the server's.
        let url = vet_web_uri(text, LocalHosts::Accepted)?;
        if url.scheme() == "https" {
            vet_web_uri(text, LocalHosts::Refused)?;
        }
        let bare_origin = url.path() == "/" && url.query().is_none() && !text.ends_with('/');
        let canonical =
            url.as_str() == text || (bare_origin && url.as_str().strip_suffix('/') == Some(text));
        if !canonical || text.contains('*') || text.ends_with('?') {
            return Err(UriRefusal::NotCanonical);
        }
        Ok(uri)
    }

    /// Whether a request's `redirect_uri` is this one.
    ///
    /// Byte equality, but that a native client on `http://127.0.0.1` or `http://[::1]` may name any port.
    #[must_use]
    pub fn admits(&self, presented: &str, native: bool) -> bool {
        presented == self.0
            || (native && {
                let without_port = |text| without_loopback_port(text);
                without_port(self.0.as_str())
                    .is_some_and(|own| without_port(presented) == Some(own))
            })
    }

    /// The URI as registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Adds parameters to a registered callback, keeping the query it has.
#[must_use]
pub fn with_parameters(callback: &str, parameters: &[(&str, &str)]) -> String {
    let separator = if callback.contains('?') { '&' } else { '?' };
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{callback}{separator}{query}")
}

/// The origin of a URI (`https://shop.example:8443`), for a `form-action` policy; its scheme when it has no host.
#[must_use]
pub fn origin_of(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) if url.origin().is_tuple() => url.origin().ascii_serialization(),
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => String::new(),
    }
}

/// Vets a URL that a client names for a browser or for notifications: https on a public host, or http on this machine
/// where that is accepted; neither userinfo nor fragment.
pub fn vet_url(text: &str, local: LocalHosts) -> Result<(), UriRefusal> {
    vet_web_uri(text, local).map(drop)
}

fn vet_web_uri(text: &str, local: LocalHosts) -> Result<Url, UriRefusal> {
    if !is_uri_text(text) {
        return Err(UriRefusal::Malformed);
    }
    let url = Url::parse(text).map_err(|_| UriRefusal::Malformed)?;
    let host = url.host().ok_or(UriRefusal::Scheme)?;
    match url.scheme() {
        "https" => {}
        "http" if local == LocalHosts::Accepted && is_loopback(&host) => {}
        _ => return Err(UriRefusal::Scheme),
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.fragment().is_some()
        || text.contains('@')
    {
        return Err(UriRefusal::ForbiddenPart);
    }
    if local == LocalHosts::Refused && is_local(&host) {
        return Err(UriRefusal::LocalHost);
    }
    if url.port() == Some(0) || url.host_str().is_some_and(|host| host.ends_with('.')) {
        return Err(UriRefusal::NotCanonical);
    }
    if !is_plain(&host) {
        return Err(UriRefusal::Malformed);
    }
    Ok(url)
}

/// Whether a text is short enough and of characters that a URI may have (RFC 3986 §2).
///
/// Parsers of browsers forgive backslashes, tabs and spaces; we do not.
fn is_uri_text(text: &str) -> bool {
    text.len() <= MAX_LENGTH
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b))
}

/// No empty segments, and nothing encoded that could have been written plainly.
fn is_plain_path(path: &str) -> bool {
    let bytes = path.as_bytes();
    let encoded_plainly = bytes.iter().enumerate().filter(|(_, b)| **b == b'%').any(|(at, _)| {
        let code = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let value = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        value.is_none_or(|byte| byte.is_ascii())
            || code.is_some_and(|hex| hex.to_ascii_uppercase() != hex)
    });
    !path.contains("//") && !encoded_plainly
}

fn is_segment_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

fn without_loopback_port(text: &str) -> Option<(&str, &str)> {
    ["http://127.0.0.1", "http://[::1]"].into_iter().find_map(|host| {
        let rest = text.strip_prefix(host)?;
        let Some(after_colon) = rest.strip_prefix(':') else {
            return rest.starts_with('/').then_some((host, rest));
        };
        let digits = after_colon.bytes().take_while(u8::is_ascii_digit).count();
        let (port, path) = after_colon.split_at(digits);
        let canonical = port.parse::<u16>().is_ok_and(|n| n > 0 && n.to_string() == port);
        (canonical && path.starts_with('/')).then_some((host, path))
    })
}

#[cfg(test)]
mod tests;
