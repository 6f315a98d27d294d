//! The cookies: of a browser that is signed in, one a host, of one that is about to be, and of one that was.

use axum::http::{HeaderMap, HeaderValue, header};
use counterfoil_protocol::{encoding::from_base64url_exact, secret::Secret};

use crate::{app::App, http::site::Site};

/// Which cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cookie {
    /// Names a session, at the issuer's host.
    Session,
    /// Names a session, at the developers' host.
    Portal,
    /// Names a browser before there is a session, so that its sign-in form can be told from a forged one.
    Visit,
    /// Marks a browser in which somebody signed in before.
    Device,
}

impl Cookie {
    /// `__Host-` on https: such a cookie can be set by this host alone, not by its siblings (RFC 6265bis §4.1.3.2).
    fn name(self, app: &App) -> &'static str {
        match (self, is_https(app)) {
            (Self::Session, true) => "__Host-counterfoil",
            (Self::Session, false) => "counterfoil",
            (Self::Portal, true) => "__Host-counterfoil-portal",
            (Self::Portal, false) => "counterfoil-portal",
            (Self::Visit, true) => "__Host-counterfoil-visit",
            (Self::Visit, false) => "counterfoil-visit",
            (Self::Device, true) => "__Host-counterfoil-device",
            (Self::Device, false) => "counterfoil-device",
        }
    }

    /// The cookie that stands for this one at a host.
    #[must_use]
    pub fn at(self, site: Site) -> Self {
        match (self, site) {
            (Self::Session, Site::Portal) => Self::Portal,
            _ => self,
        }
    }

    /// The cookie's value. Given twice, or not of our making, it counts as absent.
    #[must_use]
    pub fn read(self, app: &App, headers: &HeaderMap) -> Option<Secret> {
        let name = self.name(app);
        let mut values = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value);
        let value = values.next()?;
        let plain = |text: &str| from_base64url_exact::<32>(text).is_some();
        let ours = values.next().is_none()
            && match (self, value.split_once('.')) {
                (Self::Device, Some((name, tag))) => plain(name) && plain(tag),
                (Self::Device, None) => false,
                _ => plain(value),
            };
        ours.then(|| Secret::new(value))
    }

    /// A new value: 256 random bits.
    #[must_use]
    pub fn new_value(app: &App) -> Secret {
        Secret::new(app.entropy.secret(""))
    }

    /// What sets the cookie, for so many seconds or until the browser is closed.
    #[must_use]
    pub fn set(self, app: &App, value: &Secret, seconds: Option<i64>) -> Option<HeaderValue> {
        let secure = if is_https(app) { "; Secure" } else { "" };
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let (name, value) = (self.name(app), value.expose());
        let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
        let mut value = HeaderValue::try_from(line).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// What makes the browser forget the cookie.
    #[must_use]
    pub fn clear(self, app: &App) -> Option<HeaderValue> {
        self.set(app, &Secret::new(""), Some(0))
    }
}

fn is_https(app: &App) -> bool {
    app.config.issuer.starts_with("https://")
}
