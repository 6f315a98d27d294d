use std::io::Write as _;

use super::*;

fn load_with(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let mut written = tempfile::NamedTempFile::new().expect("a file");
    written.write_all(file.as_bytes()).expect("writes");
    let overrides = Overrides { config: Some(written.path().to_owned()), ..Overrides::default() };
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(overrides, variables).map_err(|error| error.to_string())
}

fn refused(file: &str, variables: &[(&str, &str)], words: &str) {
    let error = load_with(file, variables).expect_err(words);
    assert!(error.contains(words), "{error}");
}

#[test]
fn variables_that_set_nothing_are_told_and_stop_nothing() {
    let variables =
        [("COUNTERFOIL_ISUER", "x"), ("COUNTERFOIL_LIMITS", "x"), ("COUNTERFOIL_LOG", "warn")];
    let config = load_with("", &variables).expect("settings");
    assert_eq!(config.ignored_variables, ["COUNTERFOIL_ISUER", "COUNTERFOIL_LIMITS"]);
    assert_eq!(config.log, "warn");
}

#[test]
fn the_heavier_source_wins() {
    let file = "issuer = \"https://file.example\"\n[limits]\nbody = 1000\nconnections = 7";
    let environment =
        [("COUNTERFOIL_ISSUER", "https://variable.example"), ("COUNTERFOIL_LIMITS_BODY", "2000")];
    let config = load_with(file, &environment).expect("settings");
    assert_eq!(config.issuer, "https://variable.example");
    assert_eq!((config.limits.body, config.limits.connections), (2000, 7));
    let overrides =
        Overrides { issuer: Some("https://argument.example".to_owned()), ..Overrides::default() };
    let variables = [("COUNTERFOIL_ISSUER".to_owned(), "https://variable.example".to_owned())];
    let config = load(overrides, variables).expect("settings");
    assert_eq!(config.issuer, "https://argument.example");
}

#[test]
fn every_kind_of_setting_has_a_variable() {
    let config = load_with(
        "",
        &[
            ("COUNTERFOIL_BRAND_NAME", "Till & Co"),
            ("COUNTERFOIL_BRAND_SUPPORT_URL", "https://help.example/"),
            ("COUNTERFOIL_ALLOW_LOCAL_SITES", "true"),
            ("COUNTERFOIL_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8"),
            ("COUNTERFOIL_METRICS_LISTEN", "127.0.0.1:9000"),
            ("COUNTERFOIL_LOG_FORMAT", "json"),
            ("COUNTERFOIL_LIFETIMES_CODE", "30"),
            ("COUNTERFOIL_DATA_DIR", "/srv/data"),
            ("HOME", "/root"),
        ],
    )
    .expect("settings");
    assert_eq!(config.brand.name, "Till & Co");
    assert_eq!(config.brand.support_url.as_deref(), Some("https://help.example/"));
    assert!(config.allow_local_sites);
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.metrics_listen.map(|address| address.port()), Some(9000));
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.lifetimes.code, 30);
    assert_eq!(config.data_dir, Path::new("/srv/data"));
}

#[test]
fn an_empty_variable_unsets() {
    let file = "metrics_listen = \"127.0.0.1:9000\"\ntrusted_proxies = [\"10.0.0.0/8\"]";
    let environment = [("COUNTERFOIL_METRICS_LISTEN", ""), ("COUNTERFOIL_TRUSTED_PROXIES", "")];
    let config = load_with(file, &environment).expect("settings");
    assert_eq!((config.metrics_listen, config.trusted_proxies.len()), (None, 0));
}

#[test]
fn no_two_settings_share_a_variable() {
    fn names(tree: &Value, prefix: &str, into: &mut Vec<String>) {
        for (name, value) in tree.as_object().into_iter().flatten() {
            let full = format!("{prefix}{}", name.to_ascii_uppercase());
            if value.is_object() {
                names(value, &format!("{full}_"), into);
            } else {
                into.push(full);
            }
        }
    }
    let mut all = vec![CONFIG_VARIABLE.to_owned()];
    names(&serde_json::to_value(Config::default()).expect("JSON"), PREFIX, &mut all);
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn what_cannot_be_read_is_named() {
    refused("isuer = \"x\"", &[], "unknown field `isuer`");
    refused("[limits]\nbodies = 1", &[], "unknown field `bodies`");
    refused("listen = 8480", &[], "TOML parse error at line 1");
    refused("", &[("COUNTERFOIL_LIMITS_BODY", "64k")], "COUNTERFOIL_LIMITS_BODY: must be a whole");
    refused("", &[("COUNTERFOIL_LIMITS_BODY", "-1")], "COUNTERFOIL_LIMITS_BODY: invalid value");
    refused("", &[("COUNTERFOIL_LISTEN", "here")], "COUNTERFOIL_LISTEN: invalid socket address");
    refused("", &[("COUNTERFOIL_ALLOW_LOCAL_SITES", "yes")], "must be true or false");
    refused("", &[("COUNTERFOIL_TRUSTED_PROXIES", "proxy")], "COUNTERFOIL_TRUSTED_PROXIES: ");
}

#[test]
fn the_issuer_follows_the_listener_on_loopback() {
    let listen = [("COUNTERFOIL_LISTEN", "127.0.0.1:9999")];
    assert_eq!(load_with("", &listen).expect("settings").issuer, "http://127.0.0.1:9999");
    let config = load_with("issuer = \"https://pay.example\"", &listen).expect("settings");
    assert_eq!(config.issuer, "https://pay.example");
}

#[test]
fn issuers() {
    for good in [
        "https://pay.example",
        "https://pay.example:8443",
        "http://127.0.0.1:8480",
        "http://[::1]:8480",
        "http://localhost:8480",
        "https://xn--bcher-kva.example",
    ] {
        let file = format!("issuer = {good:?}");
        assert_eq!(load_with(&file, &[]).map(|config| config.issuer), Ok(good.to_owned()));
    }
    for (bad, words) in [
        ("", "is not a URL"),
        ("pay.example", "is not a URL"),
        ("ftp://pay.example", "must be an https origin"),
        ("https://pay.example/", "must be an origin"),
        ("https://pay.example/oauth", "must be an origin"),
        ("https://pay.example?x", "must be an origin"),
        ("https://pay.example#x", "must be an origin"),
        ("https://user@pay.example", "must be an origin"),
        ("https://pay.example:443", "must be an origin"),
        ("https://PAY.example", "must be an origin"),
        ("https://bücher.example", "must be an origin"),
        (" https://pay.example", "must be an origin"),
        ("http://pay.example", "must be https"),
        ("http://10.0.0.1", "must be https"),
    ] {
        refused(&format!("issuer = {bad:?}"), &[], words);
    }
}

#[test]
fn developers_have_another_host_or_none() {
    let file =
        |issuer: &str, portal: &str| format!("issuer = {issuer:?}\nportal_origin = {portal:?}");
    for (issuer, good) in [
        ("https://pay.example", "https://apps.pay.example"),
        ("https://pay.example:8443", "https://apps.pay.example:8443"),
        ("https://pay.example", "https://apps.example"),
        ("http://127.0.0.1:8480", "http://localhost:8480"),
    ] {
        let config = load_with(&file(issuer, good), &[]).expect("settings");
        assert_eq!(config.portal_origin.as_deref(), Some(good));
    }
    for (bad, words) in [
        ("", "must be an origin"),
        ("apps.pay.example", "must be an origin"),
        ("https://apps.pay.example/", "must be an origin"),
        ("https://apps.pay.example/portal", "must be an origin"),
        ("https://APPS.pay.example", "must be an origin"),
        ("https://user@apps.pay.example", "must be an origin"),
        ("http://apps.pay.example", "with the issuer's scheme"),
        ("http://localhost:8480", "with the issuer's scheme"),
        ("https://pay.example", "another host"),
        ("https://pay.example:8443", "another host"),
    ] {
        refused(&file("https://pay.example", bad), &[], words);
    }
    refused(&file("http://127.0.0.1:8480", "http://apps.example"), &[], "must be https");
}

#[test]
fn settings_that_cannot_work() {
    let https = "issuer = \"https://pay.example\"\n";
    for (file, words) in [
        (
            "issuer = \"http://127.0.0.1:8480\"\nlisten = \"0.0.0.0:8480\"",
            "reaches beyond this machine",
        ),
        ("metrics_listen = \"127.0.0.1:8480\"", "metrics_listen must not be"),
        ("tls_key = \"k.pem\"", "tls_key needs tls_certificate"),
        ("tls_certificate = \"c.pem\"", "tls_certificate needs tls_key"),
        ("tls_certificate = \"c.pem\"\ntls_key = \"k.pem\"", "the issuer must be https"),
        ("[brand]\ncolor = \"blue\"", "brand.color"),
        ("[brand]\ncolor = \"#0b5ff\"", "brand.color"),
        ("[brand]\nname = \" \"", "brand.name"),
        ("[brand]\nprivacy_url = \"javascript:alert(1)\"", "brand.privacy_url"),
        ("checkout_base = \"https://pay.example/\"", "checkout_base"),
        ("[mail]\nfrom = \"Pay <a@b>\"", "mail.from"),
        ("[mail]\nuser = \"u\"", "need mail.host"),
        ("[mail]\nhost = \"mail example\"\nfrom = \"a@b\"", "mail.host"),
        ("[mail]\nhost = \"mail.example\"", "needs mail.from"),
        ("[mail]\nhost = \"mail.example\"\nfrom = \"a@b\"\nuser = \"u\"", "go together"),
        (
            "[mail]\nhost = \"mail.example\"\nfrom = \"a@b\"\ntls = \"none\"",
            "needs starttls or tls",
        ),
        ("[mail]\nhost = \"10.0.0.1\"\nfrom = \"a@b\"\ntls = \"none\"", "needs starttls or tls"),
        ("[lifetimes]\ncode = 0", "lifetimes.code is 0"),
        ("[limits]\nregistrations_per_minute = 0", "limits.registrations_per_minute is 0"),
    ] {
        refused(file, &[], words);
    }
    load_with(&format!("{https}listen = \"0.0.0.0:443\""), &[]).expect("a proxy is in front");
    for host in ["localhost", "127.0.0.1", "::1"] {
        let file = format!("[mail]\nhost = {host:?}\nfrom = \"a@b\"\ntls = \"none\"");
        load_with(&file, &[("COUNTERFOIL_MAIL_PORT", "2525")]).expect("on this machine");
    }
}

#[test]
fn a_command_beside_the_server_has_the_issuer_that_is_served() {
    let data = tempfile::tempdir().expect("a directory");
    let load = |as_served, issuer: Option<&str>| {
        let overrides = Overrides {
            data_dir: Some(data.path().to_owned()),
            issuer: issuer.map(str::to_owned),
            as_served,
            ..Overrides::default()
        };
        load(overrides, []).expect("settings").issuer
    };
    assert_eq!(load(true, None), "http://127.0.0.1:8480");
    std::fs::write(data.path().join(SERVED_ISSUER), "https://pay.example").expect("written");
    assert_eq!(load(true, None), "https://pay.example");
    assert_eq!(load(true, Some("https://other.example")), "https://other.example");
    assert_eq!(load(false, None), "http://127.0.0.1:8480");
}
