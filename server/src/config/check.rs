//! Settings that cannot work, refused before anything is opened.

use counterfoil_protocol::scope::ScopeSet;
use url::Url;

use super::Config;
use crate::{gateway, oauth::scopes};

/// The most characters that say what a scope allows.
const MAX_WORDS: usize = 120;

impl Config {
    /// Says what cannot work, and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        self.check_issuer()?;
        self.check_portal()?;
        self.check_listeners()?;
        self.check_brand()?;
        super::oidc::check(&self.oidc, self.passwords, self.issuer_is_loopback())?;
        self.mail.check(&self.issuer)?;
        self.webhooks.check()?;
        self.outbound.check()?;
        self.check_payment_methods()?;
        self.check_upstreams()?;
        self.check_numbers()
    }

    fn check_issuer(&self) -> Result<(), String> {
        let issuer = &self.issuer;
        let url = Url::parse(issuer).map_err(|error| {
            format!(
                "issuer {issuer:?} is not a URL ({error}); write an origin: https://pay.example"
            )
        })?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(format!("issuer {issuer:?} must be an https origin: https://pay.example"));
        }
        let origin = url.origin().ascii_serialization();
        if *issuer != origin {
            return Err(format!(
                "issuer {issuer:?} must be an origin as browsers write it, without path, query or final slash: {origin}"
            ));
        }
        if url.scheme() == "http" && !self.issuer_is_loopback() {
            return Err(format!(
                "issuer {issuer:?} must be https: plain http is for trying on this machine, at 127.0.0.1, [::1] or localhost"
            ));
        }
        Ok(())
    }

    /// Cookies know hosts and no ports, so the developers' pages need a host of their own.
    fn check_portal(&self) -> Result<(), String> {
        let Some(portal) = &self.portal_origin else { return Ok(()) };
        let urls = (Url::parse(portal).ok(), Url::parse(&self.issuer).ok());
        let (Some(url), Some(issuer)) = urls else {
            return Err(format!(
                "portal_origin {portal:?} must be an origin: https://apps.pay.example"
            ));
        };
        if url.scheme() != issuer.scheme() || *portal != url.origin().ascii_serialization() {
            return Err(format!(
                "portal_origin {portal:?} must be an origin as browsers write it, with the issuer's scheme: https://apps.pay.example"
            ));
        }
        if url.host() == issuer.host() {
            return Err(format!("portal_origin {portal:?} must have another host than the issuer"));
        }
        let is_loopback =
            url.host().is_some_and(|host| counterfoil_protocol::callback::is_loopback(&host));
        if url.scheme() == "http" && !is_loopback {
            return Err(format!("portal_origin {portal:?} must be https"));
        }
        Ok(())
    }

    fn check_listeners(&self) -> Result<(), String> {
        let loopback = self.listen.ip().is_loopback();
        match (&self.tls_certificate, &self.tls_key) {
            (Some(_), None) => return Err("tls_certificate needs tls_key".to_owned()),
            (None, Some(_)) => return Err("tls_key needs tls_certificate".to_owned()),
            (Some(_), Some(_)) if !self.issuer.starts_with("https:") => {
                return Err("with a certificate of its own the issuer must be https".to_owned());
            }
            _ => {}
        }
        if self.issuer.starts_with("http:") && !loopback {
            return Err(format!(
                "listen {} reaches beyond this machine, but the issuer is plain http; listen on 127.0.0.1, or make the issuer https",
                self.listen
            ));
        }
        if self.metrics_listen.is_some_and(|metrics| metrics == self.listen) {
            return Err("metrics_listen must not be the address of listen".to_owned());
        }
        Ok(())
    }

    fn check_brand(&self) -> Result<(), String> {
        let hex = self.brand.color.strip_prefix('#').unwrap_or_default();
        if hex.len() != 6 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("brand.color {:?} must be like #0b5fff", self.brand.color));
        }
        if self.brand.name.trim().is_empty() || self.brand.name.chars().any(char::is_control) {
            return Err("brand.name must be a name: people read it at consent".to_owned());
        }
        let links = [
            ("brand.support_url", &self.brand.support_url),
            ("brand.privacy_url", &self.brand.privacy_url),
            ("brand.terms_url", &self.brand.terms_url),
        ];
        for (name, link) in links {
            let Some(link) = link else { continue };
            if !Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "https" | "mailto")) {
                return Err(format!("{name} {link:?} must be an https or mailto link"));
            }
        }
        if let Some(base) = &self.checkout_base {
            let url = Url::parse(base).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
            if url.is_none_or(|url| url.query().is_some() || url.fragment().is_some())
                || base.ends_with('/')
            {
                return Err(format!(
                    "checkout_base {base:?} must be a URL without query and final slash: https://pay.example"
                ));
            }
        }
        Ok(())
    }

    fn check_payment_methods(&self) -> Result<(), String> {
        let methods = &self.payment_methods;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:/-".contains(&b);
        let good = |name: &String| (1..=64).contains(&name.len()) && name.bytes().all(plain);
        if let Some(name) = methods.iter().find(|name| !good(name)) {
            return Err(format!("payment_methods: {name:?} must be like ETH.USDC"));
        }
        let again = methods.iter().enumerate().find(|(at, name)| methods[..*at].contains(name));
        match (methods.is_empty(), again) {
            (true, _) => Err("payment_methods is empty: nobody could pay".to_owned()),
            (_, Some((_, name))) => Err(format!("payment_methods: {name:?} is there twice")),
            _ => Ok(()),
        }
    }

    fn check_upstreams(&self) -> Result<(), String> {
        for upstream in gateway::read(&self.upstream)? {
            let wrong = |why: String| Err(format!("upstream {:?}: {why}", upstream.name));
            for scope in upstream.rules.scopes() {
                let is = |known: &str| known == scope;
                if !scopes::names().any(is) && !self.upstream_scopes().any(is) {
                    return wrong(format!(
                        "say what the scope {scope:?} allows: [upstream.scopes] {scope:?} = \"See your orders\""
                    ));
                }
            }
        }
        for (scope, words) in self.upstream.iter().flat_map(|upstream| &upstream.scopes) {
            if scopes::names().any(|own| own == scope) {
                return Err(format!("upstream.scopes: {scope:?} is a scope of this server's own"));
            }
            if ScopeSet::from_names([scope.as_str()]).is_err() {
                return Err(format!("upstream.scopes: {scope:?} is no name of a scope"));
            }
            let length = words.chars().count();
            if !(1..=MAX_WORDS).contains(&length) || words.chars().any(char::is_control) {
                return Err(format!(
                    "upstream.scopes: the words for {scope:?} must be a line of at most {MAX_WORDS} characters"
                ));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), String> {
        let lifetimes = &self.lifetimes;
        let at_least_one = [
            ("lifetimes.request_uri", lifetimes.request_uri),
            ("lifetimes.consent", lifetimes.consent),
            ("lifetimes.code", lifetimes.code),
            ("lifetimes.access_token", lifetimes.access_token),
            ("lifetimes.refresh_token", lifetimes.refresh_token),
            ("lifetimes.session", lifetimes.session),
        ];
        if let Some((name, value)) = at_least_one.iter().find(|(_, value)| *value < 1) {
            return Err(format!("{name} is {value}: it must be at least one second"));
        }
        let limits = &self.limits;
        let not_zero = [
            ("limits.connections", limits.connections as u64),
            ("limits.head_seconds", limits.head_seconds),
            ("limits.body_seconds", limits.body_seconds),
            ("limits.write_seconds", limits.write_seconds),
            ("limits.sign_in_failures_per_minute", limits.sign_in_failures_per_minute.into()),
            ("limits.registrations_per_minute", limits.registrations_per_minute.into()),
            ("limits.token_requests_per_minute", limits.token_requests_per_minute.into()),
            ("limits.pushed_requests_per_minute", limits.pushed_requests_per_minute.into()),
            ("limits.introspections_per_minute", limits.introspections_per_minute.into()),
            ("outbound.connect_seconds", self.outbound.connect_seconds),
            ("outbound.total_seconds", self.outbound.total_seconds),
            ("outbound.connections", self.outbound.connections as u64),
            ("outbound.connections_per_host", self.outbound.connections_per_host as u64),
            ("limits.partner_requests_per_minute", limits.partner_requests_per_minute.into()),
        ];
        if let Some((name, _)) = not_zero.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} is 0: nobody would get through"));
        }
        // hyper's buffer cannot be smaller.
        if limits.head < 8 * 1024 {
            return Err("limits.head must be at least 8192".to_owned());
        }
        Ok(())
    }
}
