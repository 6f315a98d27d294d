use super::*;

const WORDPRESS: &str = include_str!("../../../profiles/wordpress.toml");
const MEDUSA: &str = include_str!("../../../profiles/medusa.toml");
const BTCPAY: &str = include_str!("../../../profiles/btcpay-server.toml");

const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const RANDOM: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL-_012";

fn parse(text: &str) -> Profile {
    Profile::parse(text).expect("a built-in profile")
}

/// What an honest store of the platform sends.
fn honest(platform: &str) -> Members<'static> {
    let (site_url, redirect_uri, platform_version) = match platform {
        "medusa" => {
            ("https://shop.example", "https://shop.example/makepay/oauth/callback", Some("2.17.2"))
        }
        "btcpay-server" => (
            "https://pay.example/btcpay",
            "https://pay.example/btcpay/plugins/9CiNzKoANXxmk5ayZngSXrHTiVvvgCrwrpFQd4m2K776/makepay/oauth/callback",
            None,
        ),
        _ => (
            "https://shop.example/blog",
            "https://shop.example/blog/wp-admin/admin-post.php?action=counterfoil_callback",
            Some("6.9"),
        ),
    };
    Members {
        registration_id: (platform != "btcpay-server").then_some(ID),
        site_url: Some(site_url),
        redirect_uri: Some(redirect_uri),
        dpop_jkt: Some(JKT),
        plugin_version: Some("1.0.1"),
        platform_version,
    }
}

#[test]
fn the_built_in_profiles() {
    let pays_and_listens = [
        "company:read",
        "makepay:payment-links:read",
        "makepay:payment-links:write",
        "makepay:webhooks:read",
        "makepay:webhooks:write",
    ];

    let wordpress = parse(WORDPRESS);
    assert_eq!(wordpress.platform, "wordpress");
    assert_eq!(wordpress.version_member(), "wordpressVersion");
    assert_eq!(wordpress.scopes, pays_and_listens);
    assert_eq!(wordpress.token_algorithm.as_str(), "ES256");
    assert!(wordpress.registration_id && wordpress.resource_required && wordpress.may_move);
    assert!(wordpress.site_path && !wordpress.version_required);
    assert!(!wordpress.links_need_subscription);

    let medusa = parse(MEDUSA);
    assert_eq!(medusa.platform, "medusa");
    assert_eq!(medusa.version_member(), "medusaVersion");
    assert_eq!(medusa.scopes, pays_and_listens);
    assert_eq!(medusa.token_algorithm.as_str(), "RS256");
    assert!(medusa.registration_id && medusa.resource_required && medusa.version_required);
    assert!(medusa.all_scopes_required && medusa.links_need_subscription);
    assert!(!medusa.site_path && !medusa.may_move);

    let btcpay = parse(BTCPAY);
    assert_eq!(btcpay.platform, "btcpay-server");
    assert_eq!(btcpay.version_member(), "btcpayServerVersion");
    assert_eq!(
        btcpay.scopes,
        [
            "company:read",
            "makepay:payment-links:read",
            "makepay:payment-links:write",
            "makepay:settings:read",
            "makepay:settings:write",
        ]
    );
    assert_eq!(btcpay.token_algorithm.as_str(), "RS256");
    assert!(!btcpay.registration_id && !btcpay.resource_required && !btcpay.version_required);
    assert!(!btcpay.may_move && !btcpay.links_need_subscription);

    for profile in [wordpress, medusa, btcpay] {
        // No client in the field answers a nonce.
        assert!(!profile.require_nonce);
        assert_eq!(profile.scope_set().iter().collect::<Vec<_>>(), profile.scopes);
    }
}

/// The Medusa profile with one line put in place of another.
fn altered(line: &str, replacement: &str) -> String {
    assert!(MEDUSA.contains(line), "{line} is not in the profile");
    MEDUSA.replace(line, replacement)
}

#[track_caller]
fn check_parse(text: &str, expected: &str) {
    let refusal = Profile::parse(text).expect_err("a refusal").to_string();
    assert!(refusal.contains(expected), "{refusal}");
}

#[test]
fn a_profile_that_cannot_work_is_refused() {
    let platform = "platform = \"medusa\"";
    for wrong in ["", "Medusa", "med usa", "medüsa", "medusa_2", "../medusa"] {
        check_parse(&altered(platform, &format!("platform = \"{wrong}\"")), "platform must be");
    }
    for wrong in ["", "  "] {
        let named = altered("name = \"MakePay for Medusa\"", &format!("name = \"{wrong}\""));
        check_parse(&named, "name and publisher");
        let published = altered("publisher = \"MakeCrypto\"", &format!("publisher = \"{wrong}\""));
        check_parse(&published, "name and publisher");
    }
    let callback = "callback = \"{site_url}/makepay/oauth/callback\"";
    for wrong in [
        "",
        "{site_url}",
        "https://attacker.example/callback",
        "{site_url}.attacker.example/callback",
        "{site_url}@attacker.example/callback",
        "{site_url}/{anything}",
        "{site_url}/{segment}x",
        "{site_url}/*",
        "{site_url}/callback#fragment",
    ] {
        check_parse(&altered(callback, &format!("callback = \"{wrong}\"")), "callback must be");
    }
    let scope = "    \"company:read\",\n";
    check_parse(&altered(scope, "    \"company read\",\n"), "scopes must be");
    check_parse(&altered(scope, "    \"\",\n"), "scopes must be");
    let start = MEDUSA.find("scopes = [").expect("scopes");
    let end = MEDUSA[start..].find(']').expect("the end of the scopes") + start;
    check_parse(&format!("{}scopes = [{}", &MEDUSA[..start], &MEDUSA[end..]), "scopes must be");
    let prefix = "idempotency_prefix = \"medusa-token-\"";
    check_parse(&altered(prefix, "idempotency_prefix = \"medusa token\""), "idempotency_prefix");
    for link in ["privacy_url", "terms_url"] {
        for wrong in ["http://makecrypto.example", "javascript:alert(1)", "/privacy"] {
            let linked = altered(platform, &format!("{platform}\n{link} = \"{wrong}\""));
            check_parse(&linked, "links shown at consent must be https");
        }
    }
    check_parse(&BTCPAY.replace("site_path = true", "may_move = true"), "may_move needs");
    let paths = "challenge_paths = [\"/challenge\"]";
    let together = "ownership (optional or required) and challenge_paths";
    check_parse(&format!("{MEDUSA}\nownership = \"required\""), together);
    check_parse(&format!("{MEDUSA}\n{paths}"), together);
    check_parse(&format!("{MEDUSA}\nownership = \"off\"\n{paths}"), together);
    check_parse(&format!("{MEDUSA}\nownership = \"perhaps\"\n{paths}"), "unknown variant");
    for wrong in ["challenge", "@attacker.example/", "/a#b", "/a/../b", "/a b"] {
        let asked = format!("{MEDUSA}\nownership = \"required\"\nchallenge_paths = [\"{wrong}\"]");
        check_parse(&asked, "challenge_paths must be");
    }
}

#[test]
fn a_profile_says_what_it_means() {
    check_parse(&format!("{MEDUSA}\nregistration_ids = true"), "unknown field");
    check_parse(
        &altered("token_algorithm = \"RS256\"", "token_algorithm = \"none\""),
        "unknown variant",
    );
    check_parse(&altered("registration_id = true", ""), "missing field");
    check_parse(&altered("registration_id = true", "registration_id = \"yes\""), "invalid type");
    check_parse("platform", "");
}

#[track_caller]
fn check_fit(text: &str, change: impl FnOnce(&mut Members<'_>), expected: &str) {
    let profile = parse(text);
    let mut members = honest(&profile.platform);
    change(&mut members);
    let said = match profile.fit(&members, LocalHosts::Refused) {
        Ok(_) => "fits".to_owned(),
        Err(ProfileRefusal::Missing(member)) => format!("missing_{member}"),
        Err(refusal) => format!("{refusal:?}"),
    };
    assert_eq!(said, expected);
}

#[test]
fn honest_stores_fit() {
    for text in [WORDPRESS, MEDUSA, BTCPAY] {
        check_fit(text, |_| (), "fits");
    }
    let profile = parse(WORDPRESS);
    let members = honest("wordpress");
    let fitting = profile.fit(&members, LocalHosts::Refused).expect("fits");
    assert_eq!(fitting.registration_id.as_ref().map(Secret::expose), Some(ID));
    assert!(!format!("{fitting:?}").contains(ID), "a registration id is a secret");
    assert_eq!(fitting.site.as_str(), "https://shop.example/blog");
    assert_eq!(fitting.site.host(), "shop.example");
    assert_eq!(Some(fitting.redirect_uri.as_str()), members.redirect_uri);
    assert_eq!(fitting.dpop_jkt, JKT);
    assert_eq!(fitting.plugin_version, "1.0.1");
    assert_eq!(fitting.platform_version.as_deref(), Some("6.9"));
}

#[test]
fn every_missing_member_is_named() {
    type Change = fn(&mut Members<'_>, Option<&'static str>);
    let members: [(&str, Change); 5] = [
        ("missing_registrationId", |m, v| m.registration_id = v),
        ("missing_siteUrl", |m, v| m.site_url = v),
        ("missing_redirectUri", |m, v| m.redirect_uri = v),
        ("missing_dpopJkt", |m, v| m.dpop_jkt = v),
        ("missing_pluginVersion", |m, v| m.plugin_version = v),
    ];
    for absent in [None, Some("")] {
        for (name, change) in members {
            for text in [WORDPRESS, MEDUSA] {
                check_fit(text, |members| change(members, absent), name);
            }
        }
        for (name, change) in &members[1..] {
            check_fit(BTCPAY, |members| change(members, absent), name);
        }
        check_fit(MEDUSA, |members| members.platform_version = absent, "missing_medusaVersion");
        check_fit(WORDPRESS, |members| members.platform_version = absent, "fits");
        // Its version is null in practice.
        check_fit(BTCPAY, |members| members.platform_version = absent, "fits");
    }
    // The first that is missing, in the order of the contract.
    check_fit(MEDUSA, |members| *members = Members::default(), "missing_registrationId");
    check_fit(BTCPAY, |members| *members = Members::default(), "missing_siteUrl");
}

#[test]
fn a_registration_id_is_32_bytes_of_base64url() {
    let too_long = format!("{ID}A");
    for wrong in ["short", &ID[1..], &too_long, &ID.replace('A', "+"), &ID.replacen('A', " ", 1)] {
        let wrong = wrong.to_owned();
        let profile = parse(MEDUSA);
        let members = Members { registration_id: Some(&wrong), ..honest("medusa") };
        let refusal = profile.fit(&members, LocalHosts::Refused);
        assert_eq!(refusal, Err(ProfileRefusal::RegistrationId), "{wrong}");
    }
    // A platform whose stores bring none has no use for one.
    let members = Members { registration_id: Some("short"), ..honest("btcpay-server") };
    let fitting = parse(BTCPAY).fit(&members, LocalHosts::Refused).expect("fits");
    assert_eq!(fitting.registration_id, None);
}

#[test]
fn a_store_is_where_its_platform_says() {
    type Url = &'static str;
    let check = |text, site: Url, callback: Url, expected| {
        check_fit(
            text,
            |members| {
                members.site_url = Some(site);
                members.redirect_uri = Some(callback);
            },
            expected,
        );
    };
    let callback = "https://shop.example/makepay/oauth/callback";
    check(MEDUSA, "https://shop.example", callback, "fits");
    check(MEDUSA, "https://shop.example/", callback, "SiteUrl(NotCanonical)");
    check(MEDUSA, "https://SHOP.example", callback, "SiteUrl(NotCanonical)");
    check(MEDUSA, "https://shop.example:443", callback, "SiteUrl(NotCanonical)");
    check(MEDUSA, "https://shop.example/eu", callback, "SiteUrl(ForbiddenPart)");
    check(MEDUSA, "https://shop.example?x", callback, "SiteUrl(ForbiddenPart)");
    check(MEDUSA, "https://me@shop.example", callback, "SiteUrl(ForbiddenPart)");
    check(MEDUSA, "http://shop.example", callback, "SiteUrl(Scheme)");
    check(MEDUSA, "http://localhost:9000", callback, "SiteUrl(Scheme)");
    check(MEDUSA, "https://localhost", callback, "SiteUrl(LocalHost)");
    check(MEDUSA, "https://192.168.1.4", callback, "SiteUrl(LocalHost)");
    check(MEDUSA, "shop.example", callback, "SiteUrl(Malformed)");
    for wrong in [
        "https://shop.example/makepay/oauth/callback/",
        "https://shop.example/makepay/oauth/callback?next=x",
        "https://shop.example/makepay/oauth/callback#x",
        "https://shop.example/MakePay/oauth/callback",
        "https://shop.example/makepay/oauth/../oauth/callback",
        "https://shop.example/makepay/oauth/%63allback",
        "https://shop.example:8443/makepay/oauth/callback",
        "https://shop.example.attacker.example/makepay/oauth/callback",
        "https://attacker.example/makepay/oauth/callback",
        "http://shop.example/makepay/oauth/callback",
    ] {
        check(MEDUSA, "https://shop.example", wrong, "RedirectUri");
    }
    for wrong in [
        "https://pay.example/btcpay/plugins//makepay/oauth/callback",
        "https://pay.example/btcpay/plugins/a/b/makepay/oauth/callback",
        "https://pay.example/btcpay/plugins/%2e%2e/makepay/oauth/callback",
        "https://pay.example/btcpay/plugins/store/makepay/oauth/callback?x",
        "https://pay.example/plugins/store/makepay/oauth/callback",
    ] {
        check(BTCPAY, "https://pay.example/btcpay", wrong, "RedirectUri");
    }
    let wordpress = "https://shop.example/wp-admin/admin-post.php?action=counterfoil_callback";
    check(WORDPRESS, "https://shop.example", wordpress, "fits");
    check(WORDPRESS, "https://shop.example/blog", wordpress, "RedirectUri");
    check(WORDPRESS, "https://shop.example/blog/", wordpress, "SiteUrl(NotCanonical)");
}

#[test]
fn a_callback_has_an_end() {
    let profile = parse(BTCPAY);
    let site = format!("https://pay.example/{}", "a".repeat(900));
    let callback = format!("{site}/plugins/{}/makepay/oauth/callback", "b".repeat(100));
    let members =
        Members { site_url: Some(&site), redirect_uri: Some(&callback), ..honest("btcpay-server") };
    let refusal = profile.fit(&members, LocalHosts::Refused);
    assert_eq!(refusal, Err(ProfileRefusal::RedirectUri));
}

#[test]
fn on_a_developers_machine() {
    let members = Members {
        site_url: Some("http://localhost:9000"),
        redirect_uri: Some("http://localhost:9000/makepay/oauth/callback"),
        ..honest("medusa")
    };
    assert!(parse(MEDUSA).fit(&members, LocalHosts::Accepted).is_ok());
}

#[test]
fn versions_are_short_and_plain() {
    const LONGEST: &str = "1234567890123456789012345678901234567890123456789012345678901234";
    const TOO_LONG: &str = "12345678901234567890123456789012345678901234567890123456789012345";
    check_fit(MEDUSA, |m| m.plugin_version = Some(LONGEST), "fits");
    for wrong in [TOO_LONG, "1.0\n", "1.0\u{202e}", "\0", "1.0\u{7f}"] {
        check_fit(MEDUSA, |m| m.plugin_version = Some(wrong), "Version(\"pluginVersion\")");
        check_fit(MEDUSA, |m| m.platform_version = Some(wrong), "Version(\"medusaVersion\")");
        check_fit(BTCPAY, |m| m.platform_version = Some(wrong), "Version(\"btcpayServerVersion\")");
    }
}

#[test]
fn idempotency_keys_at_the_token_endpoint() {
    #[track_caller]
    fn check(profile: &Profile, key: Option<&str>, admitted: bool) {
        assert_eq!(profile.admits_idempotency_key(key), admitted, "{key:?}");
    }
    for text in [MEDUSA, WORDPRESS] {
        let profile = parse(text);
        let prefix = format!("{}-token-", profile.platform);
        check(&profile, None, false);
        check(&profile, Some(&format!("{prefix}{RANDOM}")), true);
        check(&profile, Some(&format!("{prefix}{}", &RANDOM[1..])), false);
        check(&profile, Some(&format!("{prefix}{RANDOM}x")), false);
        check(&profile, Some(&format!("{prefix}{}", RANDOM.replace('a', "+"))), false);
        check(&profile, Some(&format!("{prefix}{}=", &RANDOM[1..])), false);
        check(&profile, Some(&format!("other-token-{RANDOM}")), false);
        check(&profile, Some(RANDOM), false);
        check(&profile, Some(""), false);
    }
    let btcpay = parse(BTCPAY);
    check(&btcpay, None, true);
    check(&btcpay, Some(RANDOM), true);
    check(&btcpay, Some("short"), false);
}

#[test]
fn shapes_of_idempotency_keys() {
    #[track_caller]
    fn check(key: &str, plain: bool, reset: bool) {
        assert_eq!(is_plain_idempotency_key(key), plain, "{key:?}");
        assert_eq!(is_reset_idempotency_key(key), reset, "{key:?}");
    }
    check("medusa-native-reset-0123456789abcdef0123456789abcdef01234567", true, true);
    check("12345678", true, true);
    check("1234567", false, false);
    check(&"x".repeat(200), true, true);
    check(&"x".repeat(201), false, false);
    check("a._~:+/=-b", true, false);
    check("under_scores", true, true);
    for wrong in ["", "with space", "new\nline", "quote\"quote", "comma,comma", "ümlaut-key"] {
        check(wrong, false, false);
    }
}
