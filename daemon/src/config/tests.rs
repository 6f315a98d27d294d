use super::*;

const STORE: &str = r#"
platform = "wordpress"
site_url = "https://shop.example/store"
redirect_uri = "https://shop.example/store/wp-admin/admin-post.php?action=counterfoil_callback"
issuer = "https://pay.example"
"#;

#[test]
fn the_shortest_file_has_every_default() {
    let config = Config::parse(STORE).expect("a store");
    assert_eq!(config.plugin_version, crate::VERSION);
    assert_eq!(config.platform_version, "unknown");
    assert_eq!(config.api_base, "https://pay.example/api/partner/v1");
    assert_eq!(config.audience, "https://pay.example/api/partner/v1");
    assert_eq!(config.local, Local::default());
    assert!(!config.issuer_is_loopback);
}

#[test]
fn the_official_issuer_has_its_apex_as_audience() {
    let config = Config::parse(&STORE.replace("https://pay.example", "https://www.makecrypto.io"));
    let config = config.expect("a store");
    assert_eq!(config.api_base, "https://www.makecrypto.io/api/partner/v1");
    assert_eq!(config.audience, "https://makecrypto.io/api/partner/v1");
}

#[test]
fn the_longest_file_is_read() {
    let config = Config::parse(&format!(
        "{STORE}{}",
        r#"
plugin_version = "2.0.0"
platform_version = "6.8"
api_base = "https://api.example/v2/"
audience = "urn:api"
[key]
seal_file = "/etc/counterfoil/seal"
[local]
socket = "/run/counterfoil/api.sock"
tcp = "127.0.0.1:8787"
tcp_token_file = "/run/counterfoil/token"
allow_users = ["www-data", 33, "1000"]
allow_groups = ["www-data"]
proofs = true
"#
    ))
    .expect("a store");
    assert_eq!(config.api_base, "https://api.example/v2");
    assert_eq!(
        config.local.allow_users,
        [Account::Name("www-data".into()), Account::Id(33), Account::Name("1000".into())]
    );
}

#[test]
fn calls_of_ones_own_are_plain() {
    let given = |call: &str| Config::parse(&format!("{STORE}[[local.calls]]\n{call}"));
    let config = given("methods = [\"GET\"]\npath = \"orders/*/lines\"").expect("a store");
    assert_eq!(config.local.calls.len(), 1);
    for (methods, path) in [
        ("[]", "orders"),
        ("[\"get\"]", "orders"),
        ("[\"TRACE\"]", "orders"),
        ("[\"GET\"]", ""),
        ("[\"GET\"]", "/orders"),
        ("[\"GET\"]", "orders/"),
        ("[\"GET\"]", "orders/.."),
        ("[\"GET\"]", "orders/**"),
        ("[\"GET\"]", "orders/%61"),
        ("[\"GET\"]", "https://evil.example"),
    ] {
        let error = given(&format!("methods = {methods}\npath = \"{path}\"")).expect_err(path);
        assert!(error.to_string().starts_with("local.calls in the store's file: "), "{error}");
    }
}

#[test]
fn notifications_go_below_the_store_or_nowhere() {
    let given = |platform: &str, url: &str| {
        let text = STORE.replace("wordpress", platform);
        Config::parse(&format!("webhook_url = \"{url}\"\n{text}")).map(|it| it.webhook_url)
    };
    let good = "https://shop.example/store/wp-json/counterfoil/v1/webhook";
    for platform in ["wordpress", "medusa", "btcpay-server", "another"] {
        assert_eq!(given(platform, good).expect(platform).as_deref(), Some(good));
    }
    for wrong in [
        "",
        "/hook",
        "http://shop.example/store/hook",
        "https://shop.example/hook",
        "https://shop.example/storefront/hook",
        "https://evil.example/store/hook",
        "https://shop.example@evil.example/store/hook",
        "https://shop.example/store/../hook",
        "https://shop.example/store/hook#here",
    ] {
        let error = given("wordpress", wrong).expect_err(wrong).to_string();
        assert!(error.contains("webhook_url"), "{error}");
    }
}

#[test]
fn every_wrong_setting_is_named() {
    #[track_caller]
    fn check(from: &str, to: &str, named: &str) {
        let text = STORE.replace(from, to);
        assert_ne!(text, STORE, "the case changes nothing");
        let error = Config::parse(&text).expect_err(to).to_string();
        assert!(error.contains(named), "{error}");
    }
    let issuer = r#""https://pay.example""#;
    for wrong in [
        "http://pay.example",
        "https://pay.example/",
        "https://pay.example/x",
        "https://PAY.example",
        "https://pay.example:443",
        "https://u@pay.example",
        "pay.example",
        "ftp://pay.example",
    ] {
        check(issuer, &format!("{wrong:?}"), "issuer");
    }
    for wrong in [
        "http://a.example/v1",
        "https://a.example/../v1",
        "https://u@a.example",
        "https://a.example/v1?x",
        "https://a.example//v1",
        "https://a.example/%2e",
    ] {
        check(issuer, &format!("{issuer}\napi_base = {wrong:?}"), "api_base");
    }
    let site = r#""https://shop.example/store""#;
    for wrong in ["https://shop.example/store/", "http://shop.example/store", "shop.example"] {
        check(site, &format!("{wrong:?}"), "site_url");
    }
    check("https://shop.example/store/wp-admin", "https://evil.example/wp-admin", "redirect_uri");
    check("https://shop.example/store/wp-admin", "https://shop.example/storefront", "redirect_uri");
    check("\"wordpress\"", "\"Word Press\"", "platform");
    check(issuer, &format!("{issuer}\nplugin_version = \"\""), "plugin_version");
    check(issuer, &format!("{issuer}\nisuer = \"x\""), "isuer");
    check("platform =", "#", "platform");
    check(issuer, &format!("{issuer}\nkey.seal_file = \"seal\""), "key.seal_file");
    check(issuer, &format!("{issuer}\nkey.seel_file = \"/seal\""), "seel_file");
    for (wrong, named) in [
        ("tcp = \"0.0.0.0:1\"", "local.tcp"),
        ("tcp_token_file = \"/x\"", "tcp_token_file"),
        ("socket = \"api.sock\"", "local.socket"),
        ("alow_users = []", "alow_users"),
    ] {
        check(issuer, &format!("{issuer}\n[local]\n{wrong}"), named);
    }
}

#[test]
fn plain_http_is_for_this_machine() {
    for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"] {
        let text = STORE.replace("https://pay.example", &format!("http://{host}"));
        assert!(Config::parse(&text).expect(host).issuer_is_loopback);
    }
}
