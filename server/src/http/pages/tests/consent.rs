use axum::http::StatusCode;
use counterfoil_protocol::jwk::Thumbprint;

use super::{
    browser::{Browser, field, parameters},
    world::{
        KEY, PARTNER, PARTNER_CALLBACK, SITE, STORE, grant_of, later, partner_link, push, stage,
        world,
    },
};
use crate::{
    audit::Actor,
    testing::{Answer, TestServer},
};

const NEW_KEY: Thumbprint = Thumbprint([2; 32]);

/// A browser in which somebody is signed in, and the consent page of a link.
async fn shown<'a>(server: &'a TestServer, email: &str, link: &str) -> (Browser<'a>, Answer) {
    let mut browser = Browser::new(server);
    browser.sign_in(link, email).await;
    let page = browser.get(link).await;
    (browser, page)
}

async fn decide(browser: &mut Browser<'_>, page: &Answer, company: &str, word: &str) -> Answer {
    let (csrf, ticket) = (field(&page.body, "csrf"), field(&page.body, "ticket"));
    let fields =
        [("csrf", csrf.as_str()), ("ticket", &ticket), ("company", company), ("decision", word)];
    browser.post("/oauth/authorize/decision", &fields).await
}

#[tokio::test]
async fn a_store_is_approved() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    assert_eq!(page.status, StatusCode::OK);
    for words in [
        "MakePay for WordPress",
        "shop.example",
        "Not verified: shop.example.",
        "We could not reach this address.",
        "Anvils &#38; Co",
        "Bolts Ltd",
        "Create and change payment links",
        "New store",
        "anna@shop.example",
    ] {
        assert!(page.body.contains(words), "{words} in {}", page.body);
    }
    assert!(!page.body.contains("<script"));
    let answer = decide(&mut anna, &page, "co_a", "approve").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let location = answer.header("location");
    assert!(location.starts_with("https://shop.example/cb?code=mco_code_"), "{location}");
    let told = parameters(location);
    assert_eq!(told.keys().collect::<Vec<_>>(), ["code", "iss", "state"]);
    assert_eq!((told["iss"].as_str(), told["state"].as_str()), ("https://pay.example", "s t&te"));
    assert!(grant_of(&server, &told["code"]).await.is_some());

    let again = decide(&mut anna, &page, "co_a", "approve").await;
    assert_eq!((again.status, again.header("location")), (StatusCode::CONFLICT, ""));
    assert!(again.body.contains("already decided"));
    let gone = anna.get(&link).await;
    assert_eq!(gone.status, StatusCode::BAD_REQUEST);
    assert!(gone.body.contains("invalid_request_uri"));
}

#[tokio::test]
async fn a_client_that_goes_while_it_is_asked_about_is_told_nothing() {
    let server = world().await;
    let (store, by, now) = (&server.app.store, &Actor::System, server.app.now());
    let stays = |answer: &Answer, status: StatusCode, what: &str| {
        assert_eq!((answer.status, answer.header("location")), (status, ""), "{what}");
        assert!(answer.header("content-type").starts_with("text/html"), "{what}");
        for callback in ["app.example", "shop.example/cb"] {
            assert!(!answer.body.contains(callback), "{what}: {}", answer.body);
        }
    };
    let (partner, shop) = (partner_link(&[]), push(&server, SITE, KEY).await);
    let mut pages = Vec::new();
    // An application's page knows what became of it; a store's goes with the store.
    for (link, decided) in [(&partner, StatusCode::BAD_REQUEST), (&shop, StatusCode::CONFLICT)] {
        let (browser, page) = shown(&server, "anna@shop.example", link).await;
        assert_eq!(page.status, StatusCode::OK);
        pages.push((link, decided, browser, page));
    }
    let mut waiting = Browser::new(&server);
    assert!(waiting.get(&partner).await.body.contains("name=\"password\""));
    store.delete_app(PARTNER, "co_b", by, now).await.expect("writes").expect("was there");
    assert!(store.release(STORE, by, now).await.expect("writes"));
    for (link, decided, browser, page) in &mut pages {
        for word in ["deny", "approve"] {
            let answer = decide(browser, page, "co_b", word).await;
            stays(&answer, *decided, word);
        }
        stays(&browser.get(link).await, StatusCode::BAD_REQUEST, link);
        stays(&waiting.get(link).await, StatusCode::BAD_REQUEST, link);
    }
}

#[tokio::test]
async fn a_denial_stores_nothing() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    let second_tab = anna.get(&link).await;
    let answer = decide(&mut anna, &page, "", "deny").await;
    let told = parameters(answer.header("location"));
    assert!(answer.header("location").starts_with("https://shop.example/cb?"));
    assert_eq!(told["error"], "access_denied");
    assert_eq!((told["iss"].as_str(), told["state"].as_str()), ("https://pay.example", "s t&te"));
    let other = decide(&mut anna, &second_tab, "co_a", "approve").await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    let client = server.app.store.client(STORE, server.app.now()).await.expect("reads");
    assert_eq!(client.expect("a client").installation().expect("a store").approved_at, None);
}

#[tokio::test]
async fn two_tabs_give_one_code() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut anna, one) = shown(&server, "anna@shop.example", &link).await;
    let other = anna.get(&link).await;
    assert_ne!(field(&one.body, "ticket"), field(&other.body, "ticket"));
    assert_eq!(decide(&mut anna, &other, "co_b", "approve").await.status, StatusCode::SEE_OTHER);
    assert_eq!(decide(&mut anna, &one, "co_a", "approve").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn only_the_session_it_was_shown_to_decides() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    let (mut ben, bens) = shown(&server, "ben@shop.example", &link).await;
    let (annas_ticket, bens_csrf) = (field(&page.body, "ticket"), field(&bens.body, "csrf"));
    let fields = |csrf: &str| {
        [("csrf", csrf), ("ticket", &annas_ticket), ("company", "co_b"), ("decision", "approve")]
            .map(|(name, value)| (name, value.to_owned()))
    };
    let own_token = fields(&bens_csrf);
    let own_token = own_token.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = ben.post("/oauth/authorize/decision", &own_token).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::FORBIDDEN, ""));

    // Ben signs in where Anna's page is still open.
    anna.cookies.clone_from(&ben.cookies);
    let answer = decide(&mut anna, &page, "co_b", "approve").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    anna.cookies.clear();
    let answer = decide(&mut anna, &page, "co_b", "approve").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(decide(&mut ben, &bens, "co_b", "approve").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn forged_decisions_are_refused_and_spend_nothing() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    let (csrf, ticket) = (field(&page.body, "csrf"), field(&page.body, "ticket"));
    let path = "/oauth/authorize/decision";
    let good = [
        ("csrf", csrf.as_str()),
        ("ticket", &ticket),
        ("company", "co_a"),
        ("decision", "approve"),
    ];
    for (name, value, status) in [
        ("csrf", "", StatusCode::FORBIDDEN),
        ("csrf", "x", StatusCode::FORBIDDEN),
        ("ticket", "", StatusCode::BAD_REQUEST),
        ("ticket", "x", StatusCode::CONFLICT),
        ("company", "", StatusCode::BAD_REQUEST),
        ("company", "co_c", StatusCode::FORBIDDEN),
        ("decision", "", StatusCode::BAD_REQUEST),
        ("decision", "Approve", StatusCode::BAD_REQUEST),
    ] {
        let fields = good.map(|(n, v)| if n == name { (n, value) } else { (n, v) });
        let answer = anna.post(path, &fields).await;
        assert_eq!((answer.status, answer.header("location")), (status, ""), "{name}={value}");
    }
    for (origin, site) in [
        ("https://evil.example", "cross-site"),
        ("https://shop.pay.example", "same-site"),
        ("null", "cross-site"),
    ] {
        let answer = anna.post_from(origin, site, path, &good).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
    }
    let in_query = format!("{path}?csrf={csrf}");
    assert_eq!(anna.post(&in_query, &good[1..]).await.status, StatusCode::BAD_REQUEST);
    let by_link = anna.get(&format!("{path}?decision=approve")).await;
    assert_eq!(by_link.status, StatusCode::METHOD_NOT_ALLOWED);
    let doubled = [&good[..], &[("decision", "deny")]].concat();
    assert_eq!(anna.post(path, &doubled).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(anna.post(path, &good).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_page_that_was_open_too_long_decides_nothing() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    later(&server, server.app.config.lifetimes.consent);
    assert_eq!(decide(&mut anna, &page, "co_a", "approve").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_decision_of_a_session_that_ended_leads_back_to_what_was_asked() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    let (ticket, here) = (field(&page.body, "ticket"), field(&page.body, "continue"));
    anna.cookies.clear();
    for (to, expected) in [
        (&*here, &*here.replace('&', "&#38;")),
        ("https://evil.example/oauth/authorize?x", "/"),
        ("//evil.example/", "/"),
        ("/sign-out", "/"),
    ] {
        let fields = [("ticket", &*ticket), ("continue", to), ("decision", "approve")];
        let answer = anna.post("/oauth/authorize/decision", &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let link = format!("<a href=\"{expected}\">Sign in</a>");
        assert!(answer.body.contains(&link), "{link}: {}", answer.body);
    }
    // Whoever signs in there is asked anew; nothing was spent.
    let ask = anna.get(&here).await;
    assert_eq!(field(&ask.body, "continue"), here);
    anna.sign_in(&here, "anna@shop.example").await;
    let page = anna.get(&here).await;
    assert_eq!(decide(&mut anna, &page, "co_b", "approve").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn somebody_without_a_company_is_told_what_to_do() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (_, page) = shown(&server, "carl@shop.example", &link).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.body.contains("Ask an administrator of your company"));
}

#[tokio::test]
async fn one_company_needs_no_choice() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut ben, page) = shown(&server, "ben@shop.example", &link).await;
    assert!(!page.body.contains("type=\"radio\""));
    assert_eq!(field(&page.body, "company"), "co_b");
    assert_eq!(decide(&mut ben, &page, "co_a", "approve").await.status, StatusCode::FORBIDDEN);
    assert_eq!(decide(&mut ben, &page, "co_b", "approve").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_new_key_and_a_new_address_are_said() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    decide(&mut anna, &page, "co_a", "approve").await;

    stage(&server, NEW_KEY, None).await;
    let rekeyed = push(&server, SITE, NEW_KEY).await;
    let page = anna.get(&rekeyed).await;
    assert!(page.body.contains("New key") && !page.body.contains("New address"));

    stage(&server, NEW_KEY, Some("https://moved.example")).await;
    let gone = anna.get(&rekeyed).await;
    assert_eq!(gone.status, StatusCode::BAD_REQUEST, "its callback belongs to another address");
    let moved = push(&server, "https://moved.example", NEW_KEY).await;
    let page = anna.get(&moved).await;
    assert!(page.body.contains("<span class=\"host\">moved.example</span>"));
    assert!(page.body.contains("was at shop.example before"));
    let answer = decide(&mut anna, &page, "co_a", "approve").await;
    assert!(answer.header("location").starts_with("https://moved.example/cb?code="));
}

#[tokio::test]
async fn a_key_that_is_gone_at_the_decision_is_refused_in_place() {
    let server = world().await;
    stage(&server, NEW_KEY, None).await;
    let link = push(&server, SITE, NEW_KEY).await;
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    stage(&server, Thumbprint([3; 32]), None).await;
    let answer = decide(&mut anna, &page, "co_a", "approve").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""));
    assert!(answer.body.contains("invalid_authorization_request"));
    let denied = decide(&mut anna, &page, "co_a", "deny").await;
    assert_eq!(parameters(denied.header("location"))["error"], "access_denied");
}

#[tokio::test]
async fn a_partner_is_named_with_its_company() {
    let server = world().await;
    let link = partner_link(&[]);
    let (mut anna, page) = shown(&server, "anna@shop.example", &link).await;
    assert!(page.body.contains("Ledger &#60;b&#62;Sync&#60;/b&#62;"), "{}", page.body);
    assert!(page.body.contains("belongs to <strong><bdi>Bolts Ltd</bdi></strong>"));
    assert!(page.body.contains("https://app.example"));
    let answer = decide(&mut anna, &page, "co_a", "approve").await;
    let location = answer.header("location");
    assert!(location.starts_with(&format!("{PARTNER_CALLBACK}&code=mco_code_")), "{location}");
    assert_eq!(parameters(location)["state"], "xyz");
}

#[tokio::test]
async fn headers_leave_a_page_nothing_to_do() {
    let server = world().await;
    let link = push(&server, SITE, KEY).await;
    let (_, page) = shown(&server, "anna@shop.example", &link).await;
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; img-src 'self'; \
         form-action 'self' https://shop.example https:; frame-ancestors 'none'; base-uri 'none'"
    );
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("strict-transport-security", "max-age=31536000"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }
}
