//! How mail leaves the server.

use std::{net::IpAddr, path::PathBuf};

use lettre::Address;
use serde::{Deserialize, Serialize};

/// How mail leaves the server. Without a host it stays in `outbox/` below the data directory.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// The mail server.
    pub host: Option<String>,
    /// Its port; 0 is the usual one: 587 for `starttls`, 465 for `tls`, 25 for `none`.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// The user that signs in there.
    pub user: Option<String>,
    /// The file with that user's password.
    pub password_file: Option<PathBuf>,
    /// The address that letters come from; `no-reply@` and the issuer's host where no server is named.
    pub from: Option<String>,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// TLS after a greeting; without it nothing is sent.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None: to a server on this machine alone.
    None,
}

impl Mail {
    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, MailTls::Starttls) => 587,
            (0, MailTls::Tls) => 465,
            (0, MailTls::None) => 25,
            (port, _) => port,
        }
    }

    /// The address that letters come from.
    pub fn sender(&self, issuer: &str) -> Result<Address, String> {
        if let Some(from) = &self.from {
            let wrong = || format!("mail.from {from:?} must be an address: no-reply@pay.example");
            return crate::mail::address::normal(from)
                .and_then(|from| from.parse().ok())
                .ok_or_else(wrong);
        }
        let url = url::Url::parse(issuer).ok();
        let domain = url.as_ref().and_then(url::Url::domain).unwrap_or("localhost");
        format!("no-reply@{domain}").parse().map_err(|_| "mail.from is needed".to_owned())
    }

    /// Says what cannot work.
    pub(super) fn check(&self, issuer: &str) -> Result<(), String> {
        self.sender(issuer)?;
        let Some(host) = &self.host else {
            if self.user.is_some() || self.password_file.is_some() || self.port != 0 {
                return Err("mail.user, mail.password_file and mail.port need mail.host".to_owned());
            }
            return Ok(());
        };
        let address = host.parse::<IpAddr>();
        if address.is_err() && url::Host::parse(host).is_err() {
            return Err(format!("mail.host {host:?} must be a host name: smtp.example.com"));
        }
        if self.from.is_none() {
            return Err("mail.host needs mail.from: the address that letters come from".to_owned());
        }
        if self.user.is_some() != self.password_file.is_some() {
            return Err("mail.user and mail.password_file go together".to_owned());
        }
        let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if self.tls == MailTls::None && !loopback {
            return Err(format!(
                "mail.tls = \"none\" is for a server on this machine; {host:?} needs starttls or tls"
            ));
        }
        Ok(())
    }
}
