//! A field that was refused says so to whoever does not see it, and is tied to the sentence that says why.

use axum::http::{Method, StatusCode};

use super::{
    browser::{Browser, field},
    world::{PARTNER, PASSWORD, world},
};
use crate::{
    http::pages::guarded,
    testing::{Answer, TestServer},
};

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}

/// The names of the fields that a page says are refused, each tied to a sentence about what is wrong.
fn refused(answer: &Answer) -> Vec<&str> {
    let body = &answer.body;
    let tags = body.split('<').filter_map(|part| part.split('>').next());
    let tags = tags.filter(|tag| attribute(tag, "aria-invalid") == Some("true"));
    let fields = tags.filter(|tag| attribute(tag, "type") != Some("checkbox")).map(|tag| {
        let told = attribute(tag, "aria-describedby").unwrap_or_default();
        for id in told.split(' ') {
            assert!(body.contains(&format!("id=\"{id}\"")), "{tag}: there is no {id}");
        }
        let first = told.split(' ').next().unwrap_or_default();
        assert!(first.ends_with("problem"), "{tag} is not told what is wrong");
        attribute(tag, "name").expect("a field has a name")
    });
    fields.collect()
}

async fn signed_in(server: &TestServer) -> (Browser<'_>, String) {
    let mut anna = Browser::new(server);
    anna.sign_in("/sign-in", "anna@shop.example").await;
    let csrf = field(&anna.get("/account").await.body, "csrf");
    (anna, csrf)
}

#[tokio::test]
async fn a_field_that_was_refused_says_so() {
    let server = world().await;
    let (mut anna, csrf) = signed_in(&server).await;
    let app = format!("/companies/co_b/applications/{PARTNER}");
    let begin = [("csrf", csrf.as_str()), ("password", PASSWORD)];
    for (path, fields, expected) in [
        (
            "/account/password",
            &[("password", "wrong"), ("new_password", "x")][..],
            &["password"][..],
        ),
        ("/account/password", &[("password", PASSWORD), ("new_password", "x")], &["new_password"]),
        ("/account/codes/begin", &[("password", "wrong")], &["password"]),
        ("/account/codes/begin", &begin[1..], &[]),
        ("/account/codes/confirm", &[("code", "000000")], &["code"]),
        ("/companies/co_a/people/invite", &[("email", "x"), ("role", "support")], &["email"]),
        (
            "/companies/co_a/people/invite",
            &[("email", "anna@shop.example"), ("role", "support")],
            &["email"],
        ),
        (
            "/companies/co_a/applications/new",
            &[("nonce", ""), ("redirect_uris", "x"), ("support", "x"), ("terms_url", "x")],
            &["name", "redirect_uris", "support", "terms_url"],
        ),
        (&format!("{app}/delete"), &[("name", "Another")], &["name"]),
        ("/companies/co_b/webhooks/new", &[("app", "x"), ("url", "x")], &["app", "url"]),
    ] {
        let nonce = field(&anna.get(path).await.body, "nonce");
        let mut posted = vec![("csrf", csrf.as_str()), ("nonce", &nonce)];
        posted.extend(fields.iter().filter(|(name, _)| *name != "nonce"));
        let answer = anna.post(path, &posted).await;
        assert_eq!(refused(&answer), expected, "{path}: {} {}", answer.status, answer.body);
        assert_eq!(answer.status.is_client_error(), !expected.is_empty(), "{path}");
        for secret in [PASSWORD, "value=\"wrong\"", "value=\"000000\""] {
            assert!(!answer.body.contains(secret), "{path} repeats a password or a code");
        }
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_told_so_too() {
    let server = world().await;
    let mut browser = Browser::new(&server);
    let csrf = field(&browser.get("/sign-in").await.body, "csrf");
    let typed = "x@shop.example";
    let asked = [("csrf", csrf.as_str()), ("email", "no address")];
    let answer = browser.post("/forgotten-password", &asked).await;
    assert_eq!((answer.status, refused(&answer)), (StatusCode::BAD_REQUEST, vec!["email"]));
    assert!(answer.body.contains("value=\"no address\""), "what was typed stays");
    let wrong = [("csrf", csrf.as_str()), ("email", typed), ("password", "wrong")];
    for _ in 0..server.app.config.limits.sign_in_failures_per_minute {
        let answer = browser.post("/sign-in", &wrong).await;
        assert_eq!(refused(&answer), ["email", "password"]);
        assert!(answer.body.contains(&format!("value=\"{typed}\"")), "what was typed stays");
        assert!(!answer.body.contains("value=\"wrong\""));
    }
    let answer = browser.post("/sign-in", &wrong).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused(&answer).is_empty(), "nothing is wrong with what was typed");
}

#[tokio::test]
async fn a_form_of_a_session_that_ended_says_what_became_of_it() {
    let server = world().await;
    let (mut anna, csrf) = signed_in(&server).await;
    let mut other = anna.copy();
    other.post("/sign-out", &[("csrf", &csrf)]).await;
    let fields = [("csrf", csrf.as_str()), ("email", "ben@shop.example"), ("role", "support")];
    let answer = anna.post("/companies/co_a/people/invite", &fields).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    for part in ["session_ended", "You are not signed in any more", "what you typed was not saved"]
    {
        assert!(answer.body.contains(part), "{part}: {}", answer.body);
    }
    assert!(!answer.body.contains("ben@shop.example"), "what was typed is told to nobody");
    assert!(answer.body.contains(r#"<a href="/companies/co_a/people">Sign in</a>"#));
    // It leads to a sign-in that comes back to the page with the form.
    let ask = anna.get("/companies/co_a/people").await;
    assert_eq!(field(&ask.body, "continue"), "/companies/co_a/people");
}

/// From every form of the table to the page that shows it, and never elsewhere.
#[tokio::test]
async fn a_form_of_a_session_that_ended_leads_to_a_page() {
    let server = world().await;
    let table = guarded();
    let pages = |method: Method| table.table().iter().filter(move |page| page.method == method);
    let concrete = |path: &str| {
        let segments = path.split('/').map(|it| if it.starts_with('{') { "x" } else { it });
        segments.collect::<Vec<_>>().join("/")
    };
    for form in pages(Method::POST) {
        let path = concrete(form.path);
        let answer = Browser::new(&server).post(&path, &[]).await;
        let (_, rest) = answer.body.split_once("<p><a href=\"").expect("a link");
        let (to, _) = rest.split_once('"').expect("its end");
        assert!(pages(Method::GET).any(|page| concrete(page.path) == to), "{path}: {to}");
        let same = if path.starts_with("/account") { 2 } else { 4 };
        assert!(to.split('/').take(same).eq(path.split('/').take(same)), "{path}: {to}");
    }
    // A path that could be read as another is followed nowhere.
    for path in ["/companies/%2F%2Fevil.example/people/invite", "/companies/..%2F/people/invite"] {
        let answer = Browser::new(&server).post(path, &[]).await;
        assert!(answer.body.contains(r#"<a href="/">Sign in</a>"#), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_address_that_only_takes_forms_is_told_in_words() {
    let server = world().await;
    for path in ["/account/password", "/account/codes/off", "/sign-out"] {
        let page = Browser::new(&server).get(path).await;
        assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(page.header("allow"), "POST");
        assert!(page.body.contains("This address takes a form"), "{path}: {}", page.body);
    }
}
