//! Connected apps: what a company is shown of its connections, and how one is revoked.

use axum::http::StatusCode;

use super::{
    browser::{Browser, field},
    world::{KEY, PARTNER, SITE, STORE, grant_of, later, partner_link, push, world},
};
use crate::{people::role::Role, testing::TestServer};

const LIST: &str = "/companies/co_a/connected-apps";

/// The address of a connection.
fn one(client: &str) -> String {
    format!("{LIST}/{client}")
}

/// Anna signs in and approves the store for company A; answers the code.
async fn approve(browser: &mut Browser<'_>, link: &str) -> String {
    let mut page = browser.get(link).await;
    if page.body.contains("name=\"password\"") {
        browser.sign_in(link, "anna@shop.example").await;
        page = browser.get(link).await;
    }
    let (csrf, ticket) = (field(&page.body, "csrf"), field(&page.body, "ticket"));
    let fields =
        [("csrf", &*csrf), ("ticket", &*ticket), ("company", "co_a"), ("decision", "approve")];
    let answer = browser.post("/oauth/authorize/decision", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let query = answer.header("location").split_once('?').expect("a query").1.to_owned();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "code").expect("a code").1.into_owned()
}

async fn connected(server: &TestServer) -> (Browser<'_>, String) {
    let mut anna = Browser::new(server);
    let code = approve(&mut anna, &push(server, SITE, KEY).await).await;
    (anna, grant_of(server, &code).await.expect("a grant"))
}

#[tokio::test]
async fn nothing_is_connected() {
    let server = world().await;
    let mut anna = Browser::new(&server);
    anna.sign_in("/sign-in", "anna@shop.example").await;
    let page = anna.get(LIST).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("press Connect"), "{}", page.body);
    assert_eq!(anna.get(&one(STORE)).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_store_is_shown_and_revoked() {
    let server = world().await;
    let (mut anna, grant) = connected(&server).await;
    server.app.last_access.note(&grant, later(&server, 60));
    let list = anna.get(LIST).await.body;
    for part in [SITE, "MakePay for WordPress", "Not finished", "15 January 2027, 08:01 UTC"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let page = anna.get(&one(STORE)).await.body;
    for part in [
        "Create and change payment links",
        "anna@shop.example",
        "The connection was approved.",
        "Revoke access…",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let end = format!("{}/revoke", one(STORE));
    let asked = anna.get(&end).await.body;
    assert!(asked.contains("press Connect in the store"), "{asked}");
    let csrf = field(&asked, "csrf");
    let post = async |anna: &mut Browser<'_>, grant: &str| {
        anna.post(&end, &[("csrf", &csrf), ("grant", grant)]).await
    };
    assert_eq!(post(&mut anna, "another").await.status, StatusCode::CONFLICT);
    let answer = post(&mut anna, &grant).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let page = anna.get(answer.header("location")).await.body;
    for part in ["Revoked.", "Ended", "Somebody of the company revoked it."] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Revoke access…"), "{page}");
    // Once is enough, and there is nothing more to ask.
    assert_eq!(post(&mut anna, &grant).await.status, StatusCode::CONFLICT);
    assert_eq!(anna.get(&end).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn support_looks_and_changes_nothing() {
    let server = world().await;
    let (_, grant) = connected(&server).await;
    server.app.store.add_membership("ben", "co_a", Role::Support).await.expect("writes");
    let mut ben = Browser::new(&server);
    ben.sign_in("/sign-in", "ben@shop.example").await;
    assert!(ben.get(LIST).await.body.contains(SITE));
    let page = ben.get(&one(STORE)).await.body;
    assert!(page.contains("The connection was approved."), "{page}");
    assert!(!page.contains("/revoke"), "{page}");
    let csrf = field(&page, "csrf");
    let end = format!("{}/revoke", one(STORE));
    for answer in [ben.get(&end).await, ben.post(&end, &[("csrf", &csrf), ("grant", &grant)]).await]
    {
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn an_application_names_its_publisher() {
    let server = world().await;
    let mut anna = Browser::new(&server);
    approve(&mut anna, &partner_link(&[])).await;
    let list = anna.get(LIST).await.body;
    assert!(list.contains("by Bolts Ltd"), "{list}");
    assert!(!list.contains("<b>Sync"), "{list}");
    let page = anna.get(&format!("{}/revoke", one(PARTNER))).await.body;
    assert!(page.contains("The application can do and see nothing"), "{page}");
    // Of another company it is not there.
    let elsewhere = format!("/companies/co_b/connected-apps/{PARTNER}");
    assert_eq!(anna.get(&elsewhere).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_asked_for() {
    let server = world().await;
    let (mut anna, _) = connected(&server).await;
    for (query, found) in [
        ("?q=SHOP.example", true),
        ("?q=elsewhere", false),
        ("?show=connected", true),
        ("?show=ended", false),
        ("?show=unknown&page=0", true),
        ("?page=2", false),
        ("?page=99999999999", true),
    ] {
        let page = anna.get(&format!("{LIST}{query}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.body.contains(STORE), found, "{query}");
        assert!(!page.body.contains("No store and no application"), "{query}");
    }
    let page = anna.get(&format!("{LIST}?q=%22%3E%3Cscript%3E")).await.body;
    assert!(!page.contains("<script"), "{page}");
}
