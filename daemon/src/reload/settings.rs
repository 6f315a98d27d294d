//! Every setting of the store's file, and when a change of it takes effect.

use crate::config::{Config, Local, Network, SiteChecks};

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    /// As soon as the file is read again.
    AtOnce,
    /// When the daemon is started again.
    Restart,
}

/// One setting, and whether it differs between two files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Setting {
    /// As the file spells it.
    pub(crate) name: &'static str,
    /// When a change takes effect.
    pub(crate) effect: Effect,
    /// Whether the files differ.
    pub(crate) differs: bool,
}

macro_rules! table {
    ($old:ident, $new:ident: $($name:literal $effect:ident $($field:ident).+;)+) => {
        [$(Setting {
            name: $name,
            effect: Effect::$effect,
            differs: $old.$($field).+ != $new.$($field).+,
        }),+]
    };
}

/// Compares two files, setting by setting.
pub(crate) fn compare(old: &Config, new: &Config) -> impl Iterator<Item = Setting> {
    // A new setting is missed here by the compiler, so that it is not missed below.
    let Config {
        platform_name: _,
        platform: _,
        site_url: _,
        redirect_uri: _,
        webhook_url: _,
        plugin_version: _,
        platform_version: _,
        issuer: _,
        issuer_is_loopback: _,
        api_base: _,
        audience: _,
        key: _,
        network: Network { proxy: _, proxy_credentials: _, ca: _, ca_only: _ },
        local:
            Local {
                socket: _,
                tcp: _,
                allow_users: _,
                allow_groups: _,
                admin_users: _,
                calls: _,
                proofs: _,
                tcp_token_file: _,
                metrics_listen: _,
                limits: _,
            },
        site: SiteChecks { check_path: _ },
    } = new;
    table! { old, new:
        "platform" AtOnce platform_name;
        "site_url" AtOnce site_url;
        "redirect_uri" AtOnce redirect_uri;
        "webhook_url" AtOnce webhook_url;
        "issuer" AtOnce issuer;
        "plugin_version" AtOnce plugin_version;
        "platform_version" AtOnce platform_version;
        "api_base" AtOnce api_base;
        "audience" AtOnce audience;
        "proxy" AtOnce network.proxy;
        "proxy_credentials_file" AtOnce network.proxy_credentials;
        "ca_file" AtOnce network.ca;
        "ca_only" AtOnce network.ca_only;
        "key" AtOnce key;
        "local.socket" Restart local.socket;
        "local.allow_users" AtOnce local.allow_users;
        "local.allow_groups" AtOnce local.allow_groups;
        "local.admin_users" AtOnce local.admin_users;
        "local.calls" AtOnce local.calls;
        "local.proofs" AtOnce local.proofs;
        "local.tcp" Restart local.tcp;
        "local.tcp_token_file" AtOnce local.tcp_token_file;
        "local.metrics_listen" Restart local.metrics_listen;
        "local.limits" AtOnce local.limits;
        "site.check_path" AtOnce site.check_path;
    }
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = r#"
        platform = "wordpress"
        site_url = "https://shop.example"
        redirect_uri = "https://shop.example/callback"
        issuer = "https://pay.example"
    "#;

    #[test]
    fn what_differs_is_named() {
        let old = Config::parse(STORE).expect("a store");
        for (line, named) in [
            ("", &[][..]),
            ("audience = \"urn:api\"", &["audience"]),
            ("local.allow_users = [33]", &["local.allow_users"]),
            ("[local]\ntcp = \"127.0.0.1:8787\"\nproofs = true", &["local.proofs", "local.tcp"]),
        ] {
            let new = Config::parse(&format!("{STORE}{line}")).expect("a store");
            let differing = compare(&old, &new).filter(|setting| setting.differs);
            assert_eq!(differing.map(|setting| setting.name).collect::<Vec<_>>(), named, "{line}");
        }
    }

    #[test]
    fn the_page_for_operators_says_which_settings_wait_for_a_restart() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
        let page = std::fs::read_to_string(page).expect("the page");
        let config = Config::parse(STORE).expect("a store");
        for Setting { name, effect, .. } in compare(&config, &config) {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{name}")));
            let row = row.unwrap_or_else(|| panic!("docs/settings.md has no row for {name}"));
            assert_eq!(row.ends_with("| restart |"), effect == Effect::Restart, "{row}");
        }
    }
}
