use super::*;

fn good() -> Draft<'static> {
    Draft {
        name: "Ledger",
        redirect_uris: vec!["https://app.example/cb"],
        scopes: vec!["company:read"],
        ..Draft::default()
    }
}

fn judged(draft: &Draft<'_>) -> Result<Settings, Vec<Field>> {
    let known = BTreeSet::from(["company:read", "makepay:settings:write"]);
    judge(draft, &known, true).map_err(|faults| faults.iter().map(|fault| fault.field).collect())
}

#[test]
fn honest_drafts() {
    let draft = Draft {
        name: "  Ledger \n Sync\t2 ",
        redirect_uris: vec![
            "https://app.example/cb?a=b",
            "http://127.0.0.1/cb",
            "com.example.app:/cb",
        ],
        scopes: vec!["makepay:settings:write", "company:read"],
        support: " help@ledger.example ",
        privacy_url: "https://ledger.example/privacy",
        terms_url: "",
    };
    let settings = judged(&draft).expect("good");
    assert_eq!(settings.name, "Ledger Sync 2");
    assert_eq!(settings.redirect_uris.len(), 3);
    assert_eq!(settings.support.as_deref(), Some("help@ledger.example"));
    assert_eq!(settings.privacy_url.as_deref(), Some("https://ledger.example/privacy"));
    assert_eq!(settings.terms_url, None);
    for name in
        ["Böcker & Söner", "帳簿", "A", "a".repeat(MAX_NAME).as_str(), "<b>Ledger</b>", "دفتر"]
    {
        assert!(judged(&Draft { name, ..good() }).is_ok(), "{name}");
    }
    for support in ["https://ledger.example/help?a=b", "a.b+c_d-e@x-y.example"] {
        assert!(judged(&Draft { support, ..good() }).is_ok(), "{support}");
    }
}

#[test]
fn names_that_deceive() {
    let long = "a".repeat(MAX_NAME + 1);
    for name in [
        "",
        "  \n ",
        &long,
        "Le\u{202e}regd",
        "Ledger\u{200b}",
        "Led\u{ad}ger",
        "\u{feff}Ledger",
        "Ledger\u{0}",
        "Ledger\u{7}",
        "\u{2066}Ledger\u{2069}",
        "Ledger\u{e0041}",
        "\u{3164}",
        "Ledger\u{e000}",
        "Ledger\u{fe0f}",
    ] {
        assert_eq!(judged(&Draft { name, ..good() }), Err(vec![Field::Name]), "{name:?}");
    }
}

#[test]
fn redirect_uris_are_exact() {
    let twice = vec!["https://app.example/cb", "https://app.example/cb"];
    let numbered: Vec<_> =
        (0..=MAX_REDIRECT_URIS).map(|n| format!("https://app.example/{n}")).collect();
    let many: Vec<_> = numbered.iter().map(String::as_str).collect();
    let single = [
        "http://app.example/cb",
        "https://app.example/*",
        "https://*.example/cb",
        "/cb",
        "https://app.example/cb#x",
        "https://a:b@app.example/cb",
        "https://APP.example/cb",
        "javascript:alert(1)",
        "myapp:/cb",
        "data:text/html,x",
        "https://app.example/a b",
        "https://app.example:443/cb",
        "https://10.0.0.1/cb",
    ];
    let lists = [Vec::new(), twice, many.clone()].into_iter().chain(single.map(|uri| vec![uri]));
    for redirect_uris in lists {
        let what = format!("{redirect_uris:?}");
        let judged = judged(&Draft { redirect_uris, ..good() });
        assert_eq!(judged, Err(vec![Field::RedirectUris]), "{what}");
    }
    assert!(judged(&Draft { redirect_uris: many[1..].to_vec(), ..good() }).is_ok());
}

#[test]
fn only_scopes_that_there_are() {
    for scopes in [vec![], vec!["company:write"], vec!["company:read", "*"], vec!["COMPANY:READ"]] {
        let what = format!("{scopes:?}");
        assert_eq!(judged(&Draft { scopes, ..good() }), Err(vec![Field::Scopes]), "{what}");
    }
}

#[test]
fn contacts_and_links() {
    let long = format!("https://ledger.example/{}", "a".repeat(MAX_LINK));
    for support in [
        "ledger",
        "help@",
        "@ledger.example",
        "help@ledger",
        "a@b@ledger.example",
        "javascript:alert(1)",
        "http://ledger.example",
        "help@ledger.example?body=x",
        "a b@ledger.example",
        "\"a\"@ledger.example",
        "help@-x.example",
        "help@ledger..example",
        "help@ledger.example\u{0}",
        "mailto:help@ledger.example",
        &long,
    ] {
        assert_eq!(judged(&Draft { support, ..good() }), Err(vec![Field::Support]), "{support}");
    }
    for link in [
        "http://a.example",
        "mailto:a@b.example",
        "https://localhost/x",
        "ftp://a.example",
        "x",
        &long,
    ] {
        let privacy = judged(&Draft { privacy_url: link, ..good() });
        assert_eq!(privacy, Err(vec![Field::PrivacyUrl]), "{link}");
        let terms = judged(&Draft { terms_url: link, ..good() });
        assert_eq!(terms, Err(vec![Field::TermsUrl]), "{link}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let draft = Draft { support: "x", privacy_url: "x", terms_url: "x", ..Draft::default() };
    let all = vec![
        Field::Name,
        Field::RedirectUris,
        Field::Scopes,
        Field::Support,
        Field::PrivacyUrl,
        Field::TermsUrl,
    ];
    assert_eq!(judged(&draft), Err(all));
    let server = Draft { name: "Guard", ..Draft::default() };
    assert!(judge(&server, &BTreeSet::new(), false).is_ok());
}

#[test]
fn overlaps() {
    let now = UnixTime(1_000);
    assert_eq!(overlap_end(now, 1), Some(UnixTime(1_001)));
    assert_eq!(overlap_end(now, MAX_OVERLAP), Some(now + MAX_OVERLAP));
    for seconds in [0, -1, MAX_OVERLAP + 1, i64::MAX, i64::MIN] {
        assert_eq!(overlap_end(now, seconds), None);
    }
}
