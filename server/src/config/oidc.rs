//! External OpenID providers that people sign in through.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

/// The longest name of a provider, in characters.
const MAX_NAME: usize = 32;

/// The longest label, in characters.
const MAX_LABEL: usize = 40;

/// The most providers.
const MOST: usize = 8;

/// An external OpenID provider that people sign in through.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Its name in addresses and records: `staff`. The callback is `/sign-in/oidc/{name}/callback`.
    pub name: String,
    /// What people call it: `Example ID`. The button says "Continue with Example ID".
    pub label: String,
    /// Its issuer identifier, exactly as its discovery document has it: `https://id.example`.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// The file with our secret there; without it we are a public client there.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// Whether somebody whom nobody here invited gets an account.
    #[serde(default)]
    pub create: bool,
    /// The domains of the addresses that may sign in; all of them when there are none.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The values of `amr` or `acr` that count as a second factor; none by default.
    #[serde(default)]
    pub second_factor: Vec<String>,
    /// Networks that this provider may be in although they are not public: `10.0.0.0/8`.
    #[serde(default)]
    pub allow: Vec<IpNet>,
}

fn scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}

/// Says what cannot work.
pub(super) fn check(
    providers: &[Oidc],
    passwords: bool,
    issuer_is_loopback: bool,
) -> Result<(), String> {
    if providers.is_empty() && !passwords {
        return Err("passwords = false needs an [[oidc]] provider: nobody could sign in".to_owned());
    }
    if providers.len() > MOST {
        return Err(format!("there are more than {MOST} [[oidc]] providers"));
    }
    for (at, provider) in providers.iter().enumerate() {
        provider.check(issuer_is_loopback)?;
        let before = &providers[..at];
        if before.iter().any(|other| other.name == provider.name) {
            return Err(format!("oidc.name {:?} is there twice", provider.name));
        }
        // An answer must tell by its issuer alone whose it is (RFC 9207 §2.4).
        if before.iter().any(|other| other.issuer == provider.issuer) {
            return Err(format!("oidc.issuer {:?} is there twice", provider.issuer));
        }
    }
    Ok(())
}

impl Oidc {
    fn check(&self, issuer_is_loopback: bool) -> Result<(), String> {
        let name = &self.name;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(format!(
                "oidc.name {name:?} must be up to {MAX_NAME} small letters, digits and hyphens: it is part of addresses"
            ));
        }
        let length = self.label.trim().chars().count();
        if !(1..=MAX_LABEL).contains(&length) || self.label.chars().any(char::is_control) {
            return Err(format!(
                "oidc.label of {name:?} must be a name of up to {MAX_LABEL} characters: people read it on the button"
            ));
        }
        self.check_issuer(issuer_is_loopback)?;
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !visible(&self.client_id) {
            return Err(format!("oidc.client_id of {name:?} is missing, or has spaces"));
        }
        if !self.scopes.iter().any(|scope| scope == "openid")
            || !self.scopes.iter().all(|scope| visible(scope))
        {
            return Err(format!("oidc.scopes of {name:?} must have openid, each without spaces"));
        }
        let domain = |text: &String| matches!(url::Host::parse(text), Ok(url::Host::Domain(known)) if known == *text);
        if let Some(wrong) = self.domains.iter().find(|text| !domain(text)) {
            return Err(format!(
                "oidc.domains of {name:?}: {wrong:?} must be like shop.example, in small letters"
            ));
        }
        if !self.second_factor.iter().all(|method| visible(method)) {
            return Err(format!(
                "oidc.second_factor of {name:?} must be values of amr or acr, like \"mfa\""
            ));
        }
        Ok(())
    }

    fn check_issuer(&self, issuer_is_loopback: bool) -> Result<(), String> {
        let Self { name, issuer, .. } = self;
        let url = Url::parse(issuer).map_err(|error| {
            format!("oidc.issuer {issuer:?} of {name:?} is not a URL ({error})")
        })?;
        let loopback = || {
            let host = url.host();
            issuer_is_loopback
                && host.is_some_and(|host| counterfoil_protocol::callback::is_loopback(&host))
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback()) {
            return Err(format!("oidc.issuer {issuer:?} of {name:?} must begin with https://"));
        }
        let extra = url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if extra || url.host().is_none() {
            return Err(format!(
                "oidc.issuer {issuer:?} of {name:?} must have no user, query or fragment (OpenID Connect Discovery §3)"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(change: impl FnOnce(&mut Oidc)) -> Oidc {
        let mut provider = Oidc {
            name: "staff".to_owned(),
            label: "Example ID".to_owned(),
            issuer: "https://id.example/realm".to_owned(),
            client_id: "pay".to_owned(),
            client_secret_file: None,
            scopes: scopes(),
            create: false,
            domains: Vec::new(),
            second_factor: Vec::new(),
            allow: Vec::new(),
        };
        change(&mut provider);
        provider
    }

    #[test]
    fn what_cannot_work() {
        let long = "x".repeat(41);
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let check = |provider: Oidc, loopback: bool| check(&[provider], true, loopback);
        assert_eq!(check(provider(|_| {}), false), Ok(()));
        assert_eq!(check(provider(|it| it.domains = texts(&["shop.example"])), false), Ok(()));
        let local = |it: &mut Oidc| it.issuer = "http://127.0.0.1:9".to_owned();
        assert_eq!(check(provider(local), true), Ok(()));
        for (wrong, words) in [
            (provider(local), "must begin with https"),
            (provider(|it| it.issuer = "http://id.example".to_owned()), "must begin with https"),
            (provider(|it| it.issuer = "id.example".to_owned()), "is not a URL"),
            (provider(|it| it.issuer = "https://id.example?x".to_owned()), "no user, query"),
            (provider(|it| it.issuer = "https://a@id.example".to_owned()), "no user, query"),
            (provider(|it| it.name = "Staff".to_owned()), "oidc.name"),
            (provider(|it| it.name = "../x".to_owned()), "oidc.name"),
            (provider(|it| it.name = String::new()), "oidc.name"),
            (provider(|it| it.label = " ".to_owned()), "oidc.label"),
            (provider(|it| it.label.clone_from(&long)), "oidc.label"),
            (provider(|it| it.client_id = String::new()), "oidc.client_id"),
            (provider(|it| it.scopes = texts(&["email"])), "oidc.scopes"),
            (provider(|it| it.scopes = texts(&["openid", "a b"])), "oidc.scopes"),
            (provider(|it| it.domains = texts(&["Shop.example"])), "oidc.domains"),
            (provider(|it| it.domains = texts(&["@shop.example"])), "oidc.domains"),
            (provider(|it| it.second_factor = texts(&[""])), "oidc.second_factor"),
        ] {
            let said = check(wrong, false).expect_err(words);
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn all_of_them_together() {
        let other = provider(|it| it.name = "other".to_owned());
        for (providers, passwords, words) in [
            (vec![], false, "nobody could sign in"),
            (vec![provider(|_| {}), provider(|_| {})], true, "oidc.name"),
            (vec![provider(|_| {}), other], true, "oidc.issuer"),
            (vec![provider(|_| {}); 9], true, "more than 8"),
        ] {
            let said = check(&providers, passwords, false).expect_err(words);
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(check(&[], true, false), Ok(()));
        assert_eq!(check(&[provider(|_| {})], false, false), Ok(()));
    }
}
