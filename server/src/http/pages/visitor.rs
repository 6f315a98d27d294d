//! A browser in which nobody need be signed in: the cookie that its forms are tied to, and the one that says that
//! somebody signed in there before.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use counterfoil_protocol::{
    encoding::{base64url, from_base64url_exact},
    secret::Secret,
};

use super::{cookie::Cookie, form};
use crate::{app::App, vault};

/// Seconds that a browser is known: as long as browsers keep any cookie.
const KNOWN_FOR: i64 = 400 * 24 * 3_600;

/// A browser, by its cookie.
pub struct Visitor {
    cookie: Secret,
    is_new: bool,
}

impl Visitor {
    /// The browser of a request; a new one gets its cookie with [`Self::remember`].
    #[must_use]
    pub fn of(app: &App, headers: &HeaderMap) -> Self {
        let known = Cookie::Visit.read(app, headers);
        let is_new = known.is_none();
        Self { cookie: known.unwrap_or_else(|| Cookie::new_value(app)), is_new }
    }

    /// The token for forms shown to this browser.
    #[must_use]
    pub fn csrf(&self, app: &App) -> String {
        form::token(app, &self.cookie)
    }

    /// Its name in the store.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.cookie.sha256()
    }

    /// Gives a new browser its cookie.
    #[must_use]
    pub fn remember(self, app: &App, mut response: Response) -> Response {
        if self.is_new {
            append_cookies(&mut response, [Cookie::Visit.set(app, &self.cookie, None)]);
        }
        response
    }
}

/// The name of a browser in which the person with this address signed in before.
#[must_use]
pub fn known_browser(app: &App, headers: &HeaderMap, email: &str) -> Option<String> {
    let cookie = Cookie::Device.read(app, headers)?;
    let (name, tag) = cookie.expose().split_once('.')?;
    let tag = from_base64url_exact::<32>(tag)?;
    let message = marked(name, email);
    vault::mac_matches(app.vault.device_key(), &message, &tag).then(|| name.to_owned())
}

/// What marks a browser as one in which the person with this address has signed in.
#[must_use]
pub fn mark_browser(app: &App, email: &str) -> Option<HeaderValue> {
    let name = app.entropy.secret("");
    let tag = base64url(&vault::mac(app.vault.device_key(), &marked(&name, email)));
    Cookie::Device.set(app, &Secret::new(format!("{name}.{tag}")), Some(KNOWN_FOR))
}

fn marked(name: &str, email: &str) -> Vec<u8> {
    format!("{name}\n{email}").into_bytes()
}

/// Adds cookies to an answer.
pub fn append_cookies<const N: usize>(response: &mut Response, cookies: [Option<HeaderValue>; N]) {
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// What browser it says it is, in a word or two; only words of ours.
#[must_use]
pub fn browser_words(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let first = |table: &[(&str, &'static str)]| {
        table.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, word)| *word)
    };
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        _ => "Another browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn browsers_in_words() {
        for (agent, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8 <script>", "Another browser"),
            ("", "Another browser"),
        ] {
            let headers =
                HeaderMap::from_iter([(header::USER_AGENT, agent.parse().expect("a value"))]);
            assert_eq!(browser_words(&headers), words);
        }
    }

    #[test]
    fn a_browser_is_known_for_one_person() {
        let server = TestServer::start();
        let set = mark_browser(&server.app, "ana@shop.example").expect("a cookie");
        let set = set.to_str().expect("text");
        assert!(set.starts_with("__Host-counterfoil-device="), "{set}");
        let cookie = set.split(';').next().expect("a value");
        let known = |cookie: &str, email: &str| {
            let headers =
                HeaderMap::from_iter([(header::COOKIE, cookie.parse().expect("a value"))]);
            known_browser(&server.app, &headers, email)
        };
        assert!(known(cookie, "ana@shop.example").is_some());
        assert_eq!(known(cookie, "bob@shop.example"), None);
        assert_eq!(known(&cookie.replace("device=", "device=x"), "ana@shop.example"), None);
        let (name, tag) = cookie.split_once('.').expect("two parts");
        for forged in [name.to_owned(), format!("{name}."), format!("{name}x.{tag}")] {
            assert_eq!(known(&forged, "ana@shop.example"), None, "{forged}");
        }
    }
}
