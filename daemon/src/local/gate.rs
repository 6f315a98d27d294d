//! Who may call, and what no honest plugin sends: judged before anything else is looked at.

mod guests;

use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, COOKIE, FORWARDED, HOST, ORIGIN, REFERER, VIA},
};

pub(crate) use self::guests::Guests;
use super::{
    peer::Peer,
    rights::{Caller, Door},
};
use crate::trouble::{Code, Trouble};

/// The header by which a plugin says who it is, and a browser or a fetched URL never does.
const CLIENT: &str = "counterfoil-client";

/// One door, and how its callers are known.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// Which door.
    pub(super) door: Door,
    /// Who owns the state.
    pub(super) owner: u32,
    /// The address that `Host` may name, at the port.
    pub(super) address: Option<String>,
}

/// One request that is let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Admitted<'h> {
    /// Who calls.
    pub(super) caller: Caller,
    /// The plugin's name for itself; at the port, the one that its token belongs to.
    pub(super) name: &'h str,
    /// The same with its version.
    pub(super) client: &'h str,
}

impl Gate {
    /// Judges one request by who sends it and by its head.
    pub(super) fn admit<'h>(
        &self,
        guests: &Guests,
        peer: Option<&Peer>,
        uri: &Uri,
        headers: &'h HeaderMap,
    ) -> Result<Admitted<'h>, Trouble> {
        let refuse = |code| Err(Trouble::of(code));
        let caller = match self.door {
            Door::Admin | Door::Api => guests.caller(peer, self.owner),
            Door::Port => Caller::Plugin,
        };
        let known = match self.door {
            Door::Admin => caller == Caller::Owner,
            Door::Api | Door::Port => caller != Caller::Stranger,
        };
        if !known {
            return refuse(Code::CallerRefused);
        }
        if headers.keys().any(|name| is_a_browsers(name.as_str())) {
            return refuse(Code::BrowserRefused);
        }
        // A request line with a host of its own is one for a proxy.
        if uri.authority().is_some()
            || !only(headers, HOST.as_str()).is_some_and(|host| self.is_called(host))
        {
            return refuse(Code::HostRefused);
        }
        let owner_of_token = || {
            let given = only(headers, AUTHORIZATION.as_str()).and_then(bearer).unwrap_or_default();
            guests.bearers.owner_of(given).ok_or(Trouble::of(Code::TokenRequired))
        };
        let owner = if self.door == Door::Port { Some(owner_of_token()?) } else { None };
        let Some((name, client)) = only(headers, CLIENT).and_then(named) else {
            return refuse(Code::ClientHeaderMissing);
        };
        if owner.is_some_and(|owner| owner != name) {
            return refuse(Code::TokenMismatch);
        }
        Ok(Admitted { caller, name, client })
    }

    fn is_called(&self, host: &str) -> bool {
        host == "localhost" || self.address.as_deref() == Some(host)
    }
}

/// Whether only a browser, or a proxy that passes on a visitor's request, sends this header.
///
/// `Sec-…` cannot be set by a page's script, so it tells of the browser itself. A daemon that never sets a cookie is
/// sent one only by a browser, for another program on this host name, or by whoever copies a visitor's headers.
fn is_a_browsers(name: &str) -> bool {
    [ORIGIN, REFERER, COOKIE, FORWARDED, VIA].iter().any(|browsers| browsers == name)
        || name.starts_with("sec-")
        || name.starts_with("x-forwarded-")
}

/// The value of a header that is there exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    value.to_str().ok()
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The name in `name/version`, and the whole.
fn named(text: &str) -> Option<(&str, &str)> {
    let (name, version) = text.split_once('/')?;
    (is_a_name(name) && is_a_name(version)).then_some((name, text))
}

/// 1 to 64 letters, digits and `._+-`, with a letter or a digit first.
pub(super) fn is_a_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
}

#[cfg(test)]
mod tests;
