use axum::http::StatusCode;

use super::{
    browser::{Browser, field},
    world::{KEY, PASSWORD, SITE, later, push, world},
};
use crate::testing::TestServer;

#[tokio::test]
async fn a_session_is_new_at_every_sign_in_and_dead_after_sign_out() {
    let server = world().await;
    let mut anna = Browser::new(&server);
    let answer = anna.sign_in("/sign-in", "Anna@Shop.Example ").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"));
    let first = anna.cookies["__Host-counterfoil"].clone();
    let page = anna.get("/").await;
    assert!(page.body.contains("anna@shop.example"));
    assert!(!page.body.contains(&first));

    // The sign-in form of a second tab is still good: it belongs to the browser, not to a session.
    let form = Browser::new(&server).get("/sign-in").await;
    assert!(!field(&form.body, "csrf").is_empty());
    let csrf = field(&page.body, "csrf");
    let out = anna.post("/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER);
    assert!(!anna.cookies.contains_key("__Host-counterfoil"));
    anna.cookies.insert("__Host-counterfoil".to_owned(), first.clone());
    assert!(anna.get("/sign-in").await.body.contains("name=\"password\""));

    anna.cookies.remove("__Host-counterfoil");
    anna.sign_in("/sign-in", "anna@shop.example").await;
    assert_ne!(anna.cookies["__Host-counterfoil"], first);
    later(&server, server.app.config.lifetimes.session);
    assert!(anna.get("/sign-in").await.body.contains("name=\"password\""));
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let server = world().await;
    let mut browser = Browser::new(&server);
    let form = browser.get("/sign-in").await;
    let csrf = field(&form.body, "csrf");
    browser.sign_in("/sign-in", "anna@shop.example").await;
    let before = browser.cookies["__Host-counterfoil"].clone();
    let fields = [("csrf", csrf.as_str()), ("email", "ben@shop.example"), ("password", PASSWORD)];
    assert_eq!(browser.post("/sign-in", &fields).await.status, StatusCode::SEE_OTHER);
    let page = browser.get("/").await;
    assert!(page.body.contains("ben@shop.example"));
    browser.cookies.insert("__Host-counterfoil".to_owned(), before);
    assert!(browser.get("/sign-in").await.body.contains("name=\"password\""));
}

#[tokio::test]
async fn what_is_wrong_is_not_told() {
    let server = world().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/sign-in").await;
    let csrf = field(&page.body, "csrf");
    let mut answers = Vec::new();
    for (email, password) in [
        ("anna@shop.example", "wrong"),
        ("anna@shop.example", ""),
        ("nobody@shop.example", PASSWORD),
        ("", ""),
        ("anna@shop.example", &"x".repeat(5_000)),
    ] {
        let fields = [("csrf", csrf.as_str()), ("email", email), ("password", password)];
        let answer = browser.post("/sign-in", &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{email}");
        assert!(!browser.cookies.contains_key("__Host-counterfoil"));
        assert!(!answer.body.contains("wrong\""), "the password is not sent back");
        answers.push(answer.body.replace(&format!("value=\"{email}\""), "value=\"\""));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let fields = [("csrf", csrf.as_str()), ("email", "\"><script>x</script>"), ("password", "x")];
    assert!(!browser.post("/sign-in", &fields).await.body.contains("<script"));
}

#[tokio::test]
async fn guessing_is_slowed_and_success_is_free() {
    let server = world().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/sign-in").await;
    let csrf = field(&page.body, "csrf");
    let (email, wrong) = (("email", "anna@shop.example"), ("password", "wrong"));
    let fields = [("csrf", csrf.as_str()), email, wrong];
    for _ in 0..server.app.config.limits.sign_in_failures_per_minute {
        assert_eq!(browser.post("/sign-in", &fields).await.status, StatusCode::FORBIDDEN);
    }
    let right = [("csrf", csrf.as_str()), email, ("password", PASSWORD)];
    for fields in [fields, right] {
        let answer = browser.post("/sign-in", &fields).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.header("retry-after"), "6");
    }
    later(&server, 60);
    for _ in 0..20 {
        assert_eq!(browser.post("/sign-in", &right).await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn cookies_have_every_attribute() {
    let server = world().await;
    let mut browser = Browser::new(&server);
    let visit = browser.get("/sign-in").await;
    let line = visit.header("set-cookie");
    assert!(line.starts_with("__Host-counterfoil-visit="), "{line}");
    assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{line}");
    let answer = browser.sign_in("/sign-in", "anna@shop.example").await;
    let line = answer.header("set-cookie");
    assert!(line.starts_with("__Host-counterfoil="), "{line}");
    assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=43200"), "{line}");

    let plain = TestServer::with(|config| config.issuer = "http://127.0.0.1:8480".to_owned());
    let answer = Browser::new(&plain).get("/sign-in").await;
    let line = answer.header("set-cookie");
    assert!(line.starts_with("counterfoil-visit=") && !line.contains("Secure"), "{line}");
    assert_eq!(answer.header("strict-transport-security"), "");
}

#[tokio::test]
async fn a_tossed_cookie_switches_nobody() {
    let server = world().await;
    let mut anna = Browser::new(&server);
    anna.sign_in("/sign-in", "anna@shop.example").await;
    let own = anna.cookies["__Host-counterfoil"].clone();
    for value in ["x".to_owned(), "A".repeat(43), format!("{own}; __Host-counterfoil={own}")] {
        anna.cookies.insert("__Host-counterfoil".to_owned(), value);
        assert!(anna.get("/sign-in").await.body.contains("name=\"password\""));
    }
}

#[tokio::test]
async fn the_way_on_is_ours_or_none() {
    let server = world().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/sign-in").await;
    let csrf = field(&page.body, "csrf");
    for destination in [
        "https://evil.example/",
        "//evil.example/oauth/authorize?",
        "/\\evil.example",
        "/sign-out",
        "/oauth/authorize/decision?x",
        "/oauth/authorize?x\r\nLocation: https://evil.example",
    ] {
        let fields = [
            ("csrf", csrf.as_str()),
            ("continue", destination),
            ("email", "anna@shop.example"),
            ("password", PASSWORD),
        ];
        let answer = browser.post("/sign-in", &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{destination}");
        assert_eq!(answer.header("location"), "");
        assert!(!browser.cookies.contains_key("__Host-counterfoil"));
    }
    let link = push(&server, SITE, KEY).await;
    let answer = browser.sign_in(&link, "anna@shop.example").await;
    assert_eq!(answer.header("location"), link);
}

#[tokio::test]
async fn forms_of_others_are_refused() {
    let server = world().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/sign-in").await;
    let csrf = field(&page.body, "csrf");
    let other = field(&Browser::new(&server).get("/sign-in").await.body, "csrf");
    for token in ["", "x", &other, &"A".repeat(43)] {
        let fields = [("csrf", token), ("email", "anna@shop.example"), ("password", PASSWORD)];
        assert_eq!(browser.post("/sign-in", &fields).await.status, StatusCode::FORBIDDEN);
    }
    let fields = [("csrf", csrf.as_str()), ("email", "anna@shop.example"), ("password", PASSWORD)];
    for (origin, site) in [("https://evil.example", "cross-site"), ("null", "cross-site")] {
        let answer = browser.post_from(origin, site, "/sign-in", &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.body.contains("form_refused"));
    }
    assert!(!browser.cookies.contains_key("__Host-counterfoil"));
}
