//! People sign in at the issuer, and their session is taken to the developers' host.

use axum::http::StatusCode;

use super::{
    browser::{Browser, field, parameters},
    world::{later, world_on},
};
use crate::testing::{Answer, TestServer};

const PORTAL: &str = "apps.pay.example";
const APPLICATIONS: &str = "/companies/co_a/applications";

async fn two_hosts() -> TestServer {
    let portal = format!("https://{PORTAL}");
    world_on(TestServer::with(|config| config.portal_origin = Some(portal))).await
}

/// What a redirect leads to at a host.
fn path_at(answer: &Answer, host: &str) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let location = answer.header("location");
    let path = location.strip_prefix(&format!("https://{host}"));
    path.unwrap_or_else(|| panic!("{location} is not at {host}")).to_owned()
}

/// Anna's browser at both hosts, signed in at the issuer, with the address that takes her session along.
async fn on_the_way(server: &TestServer) -> (Browser<'_>, Browser<'_>, String) {
    let mut issuer = Browser::new(server);
    let mut portal = Browser::at(server, PORTAL);
    let away = path_at(&portal.get(&format!("{APPLICATIONS}?page=2")).await, "pay.example");
    let asked = issuer.get(&away).await;
    let policy = asked.header("content-security-policy");
    assert!(policy.contains("form-action 'self' https://apps.pay.example;"), "{policy}");
    let signed_in = issuer.sign_in(&away, "anna@shop.example").await;
    assert_eq!(signed_in.header("location"), away);
    let back = path_at(&issuer.get(&away).await, PORTAL);
    (issuer, portal, back)
}

#[tokio::test]
async fn one_sign_in_is_good_at_both_hosts() {
    let server = two_hosts().await;
    let (mut issuer, mut portal, back) = on_the_way(&server).await;
    let arrived = portal.get(&back).await;
    assert_eq!(arrived.header("location"), format!("{APPLICATIONS}?page=2"));
    let set = arrived.header("set-cookie");
    assert!(set.starts_with("__Host-counterfoil-portal=") && set.contains("; Secure"), "{set}");
    let page = portal.get(APPLICATIONS).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("anna@shop.example"));
    let again = portal.get(&back).await;
    assert_eq!(again.header("location"), format!("{APPLICATIONS}?page=2"), "she is there already");

    // The cookie of one host opens nothing at the other, under whichever name.
    let carried = |from: &Browser<'_>, name: &str| from.cookies[name].clone();
    for (mut other, name, value) in [
        (
            Browser::new(&server),
            "__Host-counterfoil",
            carried(&portal, "__Host-counterfoil-portal"),
        ),
        (
            Browser::at(&server, PORTAL),
            "__Host-counterfoil-portal",
            carried(&issuer, "__Host-counterfoil"),
        ),
    ] {
        other.cookies.insert(name.to_owned(), value);
        assert!(!other.get("/").await.body.contains("anna@shop.example"), "{name}");
    }

    // Out at one host is out at both.
    let csrf = field(&page.body, "csrf");
    let out = portal.post("/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(out.header("location"), "/signed-out");
    assert!(portal.get("/signed-out").await.body.contains("You are signed out"));
    assert!(!portal.cookies.contains_key("__Host-counterfoil-portal"));
    assert!(issuer.get("/account").await.body.contains("action=\"/sign-in\""));
}

#[tokio::test]
async fn a_code_works_once_for_a_minute_in_one_browser() {
    let server = two_hosts().await;
    let (mut issuer, mut portal, back) = on_the_way(&server).await;
    let refused = async |browser: &mut Browser<'_>, path: &str, why: &str| {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::GONE, "{why}");
        assert!(answer.body.contains("hand_over_expired"), "{why}");
        assert!(!browser.cookies.contains_key("__Host-counterfoil-portal"), "{why}");
    };
    // An attacker signs a victim in as himself, or reads the code in a log.
    let mut victim = Browser::at(&server, PORTAL);
    refused(&mut victim, &back, "a browser that was never here").await;
    victim.get("/").await;
    refused(&mut victim, &back, "a browser that asked for itself").await;
    refused(&mut portal, "/sign-in/handed-over?continue=%2F", "no code").await;
    refused(&mut portal, "/sign-in/handed-over?code=x", "no code of ours").await;

    let before = portal.cookies.clone();
    assert_eq!(portal.get(&back).await.status, StatusCode::SEE_OTHER);
    portal.cookies = before;
    refused(&mut portal, &back, "used").await;

    let away = path_at(&portal.get("/").await, "pay.example");
    let late = path_at(&issuer.get(&away).await, PORTAL);
    later(&server, 60);
    refused(&mut portal, &late, "a minute later").await;
    let fresh = path_at(&issuer.get(&away).await, PORTAL);
    assert_eq!(portal.get(&fresh).await.header("location"), "/");
}

#[tokio::test]
async fn the_way_leads_nowhere_else() {
    let server = two_hosts().await;
    let (mut issuer, mut portal, back) = on_the_way(&server).await;
    let away = path_at(&portal.get("/").await, "pay.example");
    let browser = parameters(&away)["browser"].clone();
    for query in [
        String::new(),
        "continue=%2F".to_owned(),
        format!("browser={browser}"),
        "browser=x&continue=%2F".to_owned(),
        format!("browser={browser}&continue=https%3A%2F%2Fevil.example%2F"),
        format!("browser={browser}&continue=%2F%2Fevil.example"),
        format!("browser={browser}&continue=%2Fsign-out"),
        format!("browser={browser}&browser={browser}&continue=%2F"),
    ] {
        let answer = issuer.get(&format!("/sign-in/portal?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let code = parameters(&back)["code"].clone();
    let led = format!("/sign-in/handed-over?code={code}&continue=%2F%2Fevil.example");
    assert_eq!(portal.get(&led).await.header("location"), "/");

    let alone = world_on(TestServer::start()).await;
    let mut browser = Browser::new(&alone);
    for path in ["/sign-in/portal?x", "/sign-in/handed-over?code=x", "/signed-out"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_form_comes_from_its_own_host() {
    let server = two_hosts().await;
    let (mut issuer, mut portal, back) = on_the_way(&server).await;
    portal.get(&back).await;
    let own_field = async |browser: &mut Browser<'_>| field(&browser.get("/").await.body, "csrf");
    let (at_issuer, at_portal) = (own_field(&mut issuer).await, own_field(&mut portal).await);
    let new = format!("{APPLICATIONS}/new");
    for (origin, site) in [
        ("https://pay.example", "same-site"),
        ("https://pay.example", "same-origin"),
        ("https://evil.example", "cross-site"),
        ("http://apps.pay.example", "cross-site"),
    ] {
        let answer = portal.post_from(origin, site, &new, &[("csrf", &at_portal)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
    }
    let foreign = portal.post(&new, &[("csrf", &at_issuer)]).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN, "the other host's token");
    let nonce = field(&portal.get(&new).await.body, "nonce");
    let honest = portal.post(&new, &[("csrf", &at_portal), ("nonce", &nonce)]).await;
    assert_eq!(honest.status, StatusCode::BAD_REQUEST, "the form came in, and is not filled in");

    let end = [("csrf", at_issuer.as_str()), ("all", "yes")];
    let answer =
        issuer.post_from("https://apps.pay.example", "same-site", "/account/sessions", &end);
    assert_eq!(answer.await.status, StatusCode::FORBIDDEN);
    assert_eq!(issuer.post("/account/sessions", &end).await.status, StatusCode::SEE_OTHER);
    path_at(&portal.get(APPLICATIONS).await, "pay.example");
}
