//! Who may call, and what no honest plugin sends: judged before anything else is looked at.

use std::fs;

use counterfoil_protocol::{encoding::equal_in_constant_time, secret::Secret};
use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, HOST, ORIGIN, REFERER},
};

use super::peer::Peer;
use crate::{
    config::{Account, Local},
    trouble::{Code, Trouble},
};

/// The header by which a plugin says who it is, and a browser or a fetched URL never does.
const CLIENT: &str = "counterfoil-client";

/// Who is let in besides the owner of the state and root.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Guests {
    /// Users.
    pub(crate) users: Vec<u32>,
    /// Groups.
    pub(crate) groups: Vec<u32>,
    /// The group that the socket's file should belong to, so that its guests can open it.
    pub(crate) socket_group: Option<u32>,
}

/// The way in through one door.
#[derive(Clone, Debug)]
pub(super) enum Gate {
    /// A unix socket.
    Socket {
        /// Who owns the state.
        owner: u32,
        /// Who else may come.
        guests: Guests,
    },
    /// The loopback port: whoever has the token.
    Port {
        /// The address that `Host` may name.
        address: String,
        /// The token.
        token: Secret,
    },
}

impl Guests {
    /// Resolves names against the machine's own lists. A name that nobody has is an error.
    pub(crate) fn resolve(local: &Local) -> Result<Self, String> {
        Self::look_up(local, &read("/etc/passwd"), &read("/etc/group"))
    }

    fn look_up(local: &Local, passwd: &str, group: &str) -> Result<Self, String> {
        let find = |table: &str, account: &Account| -> Option<(u32, Option<u32>)> {
            let number = match account {
                Account::Id(id) => Some(*id),
                Account::Name(name) => name.parse().ok(),
            };
            let mut entries = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let entry = entries.find(|fields| match (number, account) {
                (Some(id), _) => fields.get(2).is_some_and(|field| *field == id.to_string()),
                (None, Account::Name(name)) => fields.first() == Some(&name.as_str()),
                (None, Account::Id(_)) => false,
            });
            let field = |at: usize| entry.as_ref()?.get(at)?.parse().ok();
            Some((number.or_else(|| field(2))?, field(3)))
        };
        let mut guests = Self::default();
        for account in &local.allow_users {
            let (uid, group) = find(passwd, account).ok_or_else(|| {
                format!("allow_users: there is no user {account} on this machine")
            })?;
            guests.users.push(uid);
            guests.socket_group = guests.socket_group.or(group);
        }
        for account in &local.allow_groups {
            let (gid, _) = find(group, account).ok_or_else(|| {
                format!("allow_groups: there is no group {account} on this machine")
            })?;
            guests.groups.push(gid);
        }
        guests.socket_group = guests.groups.first().copied().or(guests.socket_group);
        Ok(guests)
    }
}

impl Gate {
    /// Whether a peer's groups decide anything here.
    pub(super) fn asks_for_groups(&self) -> bool {
        matches!(self, Self::Socket { guests, .. } if !guests.groups.is_empty())
    }

    /// Judges one request by who sends it and by its head. Answers the plugin's name for itself.
    pub(super) fn admit<'h>(
        &self,
        peer: Option<&Peer>,
        uri: &Uri,
        headers: &'h HeaderMap,
    ) -> Result<&'h str, Trouble> {
        let refuse = |code| Err(Trouble::of(code));
        if !self.knows(peer) {
            return refuse(Code::CallerRefused);
        }
        let from_browser = headers.keys().any(|name| {
            *name == ORIGIN || *name == REFERER || name.as_str().starts_with("sec-fetch-")
        });
        if from_browser {
            return refuse(Code::BrowserRefused);
        }
        // A request line with a host of its own is one for a proxy.
        if uri.authority().is_some()
            || !only(headers, HOST.as_str()).is_some_and(|host| self.is_called(host))
        {
            return refuse(Code::HostRefused);
        }
        if let Self::Port { token, .. } = self {
            let given = only(headers, AUTHORIZATION.as_str()).and_then(bearer).unwrap_or_default();
            if !equal_in_constant_time(given.as_bytes(), token.expose().as_bytes()) {
                return refuse(Code::TokenRequired);
            }
        }
        match only(headers, CLIENT).filter(|client| is_client_name(client)) {
            Some(client) => Ok(client),
            None => refuse(Code::ClientHeaderMissing),
        }
    }

    fn knows(&self, peer: Option<&Peer>) -> bool {
        match self {
            Self::Socket { owner, guests } => peer.is_some_and(|peer| {
                peer.uid == 0
                    || peer.uid == *owner
                    || guests.users.contains(&peer.uid)
                    || peer.groups.iter().any(|group| guests.groups.contains(group))
            }),
            Self::Port { .. } => true,
        }
    }

    fn is_called(&self, host: &str) -> bool {
        host == "localhost" || matches!(self, Self::Port { address, .. } if host == address)
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
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

/// `name/version`, each of 1 to 64 letters, digits and `._+-`.
fn is_client_name(text: &str) -> bool {
    let plain = |part: &str| {
        (1..=64).contains(&part.len())
            && part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
    };
    text.split_once('/').is_some_and(|(name, version)| plain(name) && plain(version))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests;
