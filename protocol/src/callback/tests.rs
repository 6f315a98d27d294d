use super::*;

fn site(text: &str) -> Result<SiteUrl, UriRefusal> {
    SiteUrl::parse(text, LocalHosts::Refused, true)
}

#[test]
fn honest_sites() {
    for text in [
        "https://shop.example",
        "https://shop.example:8443",
        "https://example.org/shop",
        "https://xn--bcher-kva.example",
        "https://shop.example/caf%C3%A9",
        "https://203.0.113.7",
    ] {
        assert_eq!(site(text).map(|s| s.as_str().to_owned()), Ok(text.to_owned()));
    }
    assert_eq!(site("https://shop.example:8443/a").expect("a site").host(), "shop.example:8443");
    for text in
        ["http://localhost:8088", "http://127.0.0.1:1", "http://[::1]:8080", "https://192.168.1.2"]
    {
        assert!(SiteUrl::parse(text, LocalHosts::Accepted, true).is_ok(), "{text}");
    }
}

#[test]
fn refused_sites() {
    use UriRefusal as R;
    for (text, refusal) in [
        ("https://shop.example/", R::NotCanonical),
        ("https://SHOP.example", R::NotCanonical),
        ("HTTPS://shop.example", R::NotCanonical),
        ("https://shop.example:443", R::NotCanonical),
        ("https://shop.example/a/", R::NotCanonical),
        ("https://shop.example/a/../b", R::NotCanonical),
        ("https://shop.example/./b", R::NotCanonical),
        ("https://shop.example//b", R::NotCanonical),
        ("https://shop.example/%63b", R::NotCanonical),
        ("https://shop.example/caf%c3%a9", R::NotCanonical),
        ("https://shop.example/%", R::NotCanonical),
        ("https://shop%2eexample", R::NotCanonical),
        ("https://shop.example.", R::NotCanonical),
        ("https://shop.example:0", R::NotCanonical),
        ("https://bücher.example", R::Malformed),
        ("https:\\\\shop.example", R::Malformed),
        ("https://shop.example\\@evil.example", R::Malformed),
        ("https://shop.example ", R::Malformed),
        ("https://shop.exa\tmple", R::Malformed),
        ("", R::Malformed),
        ("shop.example", R::Malformed),
        ("https://", R::Malformed),
        ("https://shop.example:99999", R::Malformed),
        ("https://*.example", R::Malformed),
        ("https://shop.example;sandbox", R::Malformed),
        ("https://shop.example,evil.example", R::Malformed),
        ("https://shop'.example", R::Malformed),
        ("https://shop&.example", R::Malformed),
        ("https://shop..example", R::Malformed),
        ("https://user@shop.example", R::ForbiddenPart),
        ("https://user:pw@shop.example", R::ForbiddenPart),
        ("https://@shop.example", R::ForbiddenPart),
        ("https://shop.example?x", R::ForbiddenPart),
        ("https://shop.example#", R::ForbiddenPart),
        ("https://shop.example#x", R::ForbiddenPart),
        ("http://shop.example", R::Scheme),
        ("http://localhost", R::Scheme),
        ("ftp://shop.example", R::Scheme),
        ("javascript:alert(1)", R::Scheme),
        ("https://localhost", R::LocalHost),
        ("https://shop.localhost", R::LocalHost),
        ("https://127.0.0.1", R::LocalHost),
        ("https://10.0.0.1", R::LocalHost),
        ("https://192.168.0.1", R::LocalHost),
        ("https://169.254.169.254", R::LocalHost),
        ("https://[::1]", R::LocalHost),
        ("https://[fd00::1]", R::LocalHost),
        ("https://[::ffff:10.0.0.1]", R::LocalHost),
    ] {
        assert_eq!(site(text).map(|s| s.text), Err(refusal), "{text}");
    }
    assert_eq!(
        SiteUrl::parse("https://shop.example/a", LocalHosts::Refused, false),
        Err(R::ForbiddenPart)
    );
    assert!(site(&format!("https://shop.example/{}", "a".repeat(MAX_LENGTH))).is_err());
}

#[test]
fn addresses_that_no_public_server_has() {
    for local in [
        "0.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::a00:1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::a00:1]",
        "[2002:c0a8:1::]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
    ] {
        let refusal = site(&format!("https://{local}")).map(|site| site.text);
        assert_eq!(refusal, Err(UriRefusal::LocalHost), "{local}");
    }
    for public in [
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "[2001:db8::1]",
        "[64:ff9b::cb00:7107]",
        "[2002:cb00:7107::]",
        "[fbff::1]",
    ] {
        assert!(site(&format!("https://{public}")).is_ok(), "{public}");
    }
}

#[test]
fn rules_admit_one_spelling() {
    let site = site("https://shop.example/wp").expect("a site");
    let rule =
        CallbackRule::parse("{site_url}/wp-admin/admin-post.php?action=counterfoil_callback")
            .expect("a rule");
    let good = "https://shop.example/wp/wp-admin/admin-post.php?action=counterfoil_callback";
    assert!(rule.admits(&site, good));
    for bad in [
        "https://shop.example/wp/wp-admin/admin-post.php?action=counterfoil_callback&x=1",
        "https://shop.example/wp/wp-admin/admin-post.php?action=Counterfoil_callback",
        "https://shop.example/wp/wp-admin/admin-post.php?action=counterfoil_callback#",
        "https://shop.example/wp/wp-admin/admin-post.php",
        "https://shop.example/wp/wp-admin/../wp-admin/admin-post.php?action=counterfoil_callback",
        "https://shop.example/wp2/wp-admin/admin-post.php?action=counterfoil_callback",
        "https://shop.example:443/wp/wp-admin/admin-post.php?action=counterfoil_callback",
        "https://SHOP.example/wp/wp-admin/admin-post.php?action=counterfoil_callback",
        "https://evil.example/wp/wp-admin/admin-post.php?action=counterfoil_callback",
        "",
    ] {
        assert!(!rule.admits(&site, bad), "{bad}");
    }
}

#[test]
fn a_segment_is_one_segment() {
    let site = site("https://btcpay.example").expect("a site");
    let rule =
        CallbackRule::parse("{site_url}/plugins/{segment}/makepay/oauth/callback").expect("a rule");
    assert!(rule.admits(&site, "https://btcpay.example/plugins/9Fz_-a/makepay/oauth/callback"));
    for segment in ["", "a/b", "..", "a%2fb", "a b", "a?b", &"a".repeat(101)] {
        assert!(
            !rule.admits(
                &site,
                &format!("https://btcpay.example/plugins/{segment}/makepay/oauth/callback")
            ),
            "{segment}"
        );
    }
    for bad in [
        "/cb",
        "{site_url}",
        "{site_url}.evil/cb",
        "{site_url}/{other}",
        "{site_url}/{segment}x",
        "{site_url}/a#b",
        "{site_url}/*",
        "{site_url}/a b",
        "{site_url}/<b>",
    ] {
        assert!(CallbackRule::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn registered_redirect_uris() {
    for good in [
        "https://app.example/cb",
        "https://app.example",
        "https://app.example/cb?a=b",
        "http://127.0.0.1/cb",
        "http://localhost:3000/cb",
        "http://[::1]:9/cb",
        "com.example.app:/cb",
    ] {
        assert!(RedirectUri::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "http://app.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "intent:x",
        "myapp:/cb",
        "//app.example/cb",
        "/cb",
        "",
        "https://*.example/cb",
        "https://app.example/*",
        "https://app.example/cb#x",
        "https://app.example/cb?",
        "https://user@app.example/cb",
        "https://app.example\\cb",
        "https://app.example/a/../cb",
        "https://APP.example/cb",
        "https://127.0.0.1/cb",
        "https://10.0.0.1/cb",
        "COM.example.app:/cb",
        "com.example.app://cb",
        "com.example.app:cb",
        "java.script:/x#",
    ] {
        assert!(RedirectUri::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn redirects_match_byte_for_byte() {
    let uri = RedirectUri::parse("https://app.example/cb").expect("a redirect URI");
    assert!(uri.admits("https://app.example/cb", false));
    for other in [
        "https://app.example/cb/",
        "https://app.example/cb?",
        "https://app.example/cb#",
        "HTTPS://app.example/cb",
        "https://APP.example/cb",
        "https://app.example/CB",
        "https://app.example:443/cb",
        "https://app.example/%63b",
        "https://app.example/c\tb",
        "https://app.example@evil.example/cb",
        "https://app.example./cb",
        "https://app.example/./cb",
    ] {
        assert!(!uri.admits(other, true), "{other}");
    }
}

#[test]
fn only_the_port_of_a_native_loopback_may_vary() {
    let uri = RedirectUri::parse("http://127.0.0.1/cb").expect("a redirect URI");
    assert!(uri.admits("http://127.0.0.1:51004/cb", true));
    assert!(!uri.admits("http://127.0.0.1:51004/cb", false));
    for other in [
        "http://127.0.0.1:51004/cb2",
        "http://127.0.0.1:51004/cb?x",
        "http://127.0.0.1:51004/CB",
        "http://127.0.0.1:51004@evil.example/cb",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:080/cb",
        "http://localhost:51004/cb",
        "http://[::1]:51004/cb",
        "https://127.0.0.1:51004/cb",
    ] {
        assert!(!uri.admits(other, true), "{other}");
    }
    let fixed = RedirectUri::parse("http://localhost:5000/cb").expect("a redirect URI");
    assert!(!fixed.admits("http://localhost:5001/cb", true));
}

#[test]
fn parameters_are_added_to_what_is_there() {
    assert_eq!(
        with_parameters("https://a.example/cb", &[("code", "x y"), ("iss", "https://b.example")]),
        "https://a.example/cb?code=x+y&iss=https%3A%2F%2Fb.example"
    );
    assert_eq!(
        with_parameters("https://a.example/cb?a=b", &[("code", "x")]),
        "https://a.example/cb?a=b&code=x"
    );
}
