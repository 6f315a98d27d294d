//! Endpoints of notifications: what a company is shown of them, and what its people do with them.

use axum::http::StatusCode;

use super::{
    browser::{Browser, field},
    world::{PARTNER, later, world},
};
use crate::{
    audit::Actor,
    people::role::Role,
    store::{Claim, Fate, NewEndpoint, Settlement},
    testing::{Answer, TestServer},
    webhooks::{event::Patterns, log::Attempt, secret},
};

const LIST: &str = "/companies/co_b/webhooks";
const ENDPOINT: &str = "/companies/co_b/webhooks/mpwhep_1";

/// The world, in which the partner's application of company B has an endpoint.
async fn with_endpoint() -> TestServer {
    let server = world().await;
    let (_, secret) = secret::new(&server.app.vault, &*server.app.entropy);
    let new = NewEndpoint {
        id: "mpwhep_1".to_owned(),
        client_id: PARTNER.to_owned(),
        url: "https://app.example/hook".to_owned(),
        events: Patterns(vec!["makepay.payment.*".to_owned()]),
        description: "The <b>books</b>".to_owned(),
        secret,
        now: server.app.now(),
    };
    assert!(server.app.store.add_endpoint(new, &Actor::System).await.expect("adds"));
    server
}

async fn somebody<'a>(server: &'a TestServer, name: &str) -> Browser<'a> {
    let mut browser = Browser::new(server);
    browser.sign_in("/sign-in", &format!("{name}@shop.example")).await;
    browser
}

/// Posts an empty form with the token that this browser was shown.
async fn press(browser: &mut Browser<'_>, to: &str) -> Answer {
    let csrf = field(&browser.get("/").await.body, "csrf");
    browser.post(to, &[("csrf", &csrf)]).await
}

/// Settles what is due as if the receiver had answered `status`, or nothing.
async fn settle(server: &TestServer, status: Option<u16>, fate: Fate) {
    let (store, now) = (&server.app.store, server.app.now());
    let claim = Claim { now, until: now + 60, most: 9, per_endpoint: 9 };
    for due in store.claim_deliveries(claim).await.expect("claims") {
        let attempt = Attempt {
            delivery_id: format!("mpwhd_{}", due.id),
            at: now,
            milliseconds: 1_234,
            url: "https://app.example/hook".to_owned(),
            status,
            error: status.is_none().then(|| "connection_failed: Nobody answers.".to_owned()),
            headers: "server: them\n".to_owned(),
            excerpt: "<script>no</script>".to_owned(),
        };
        let settlement = Settlement {
            position: due.position,
            attempts: due.attempts,
            attempt: Some(attempt),
            fate,
            hopeless_before: now - 1_000,
            now,
        };
        store.settle_delivery(settlement).await.expect("settles");
    }
}

fn has(page: &Answer, parts: &[&str]) {
    assert_eq!(page.status, StatusCode::OK);
    for part in parts {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
}

#[tokio::test]
async fn there_is_none() {
    let server = world().await;
    let mut anna = somebody(&server, "anna").await;
    has(&anna.get(LIST).await, &["There is no endpoint here."]);
    has(
        &anna.get("/companies/co_b/applications/mco_app_partner").await,
        &["/webhooks?client=mco_app_partner"],
    );
}

#[tokio::test]
async fn a_test_fails_and_is_sent_once_more() {
    let server = with_endpoint().await;
    let mut anna = somebody(&server, "anna").await;
    has(
        &anna.get(LIST).await,
        &["https://app.example/hook", "Of the application Ledger", "Enabled", "None"],
    );
    let page = anna.get(ENDPOINT).await;
    has(
        &page,
        &[
            "Nothing was sent yet",
            "makecrypto-signature",
            "The &#60;b&#62;books",
            "makepay.payment.*",
        ],
    );
    assert!(!page.body.contains("whsec_"));

    let sent = press(&mut anna, &format!("{ENDPOINT}/test")).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let first = sent.header("location").to_owned();
    let page = anna.get(&first).await;
    has(
        &page,
        &["On its way", "It has not ended yet", "None was made yet", "Somebody tried the endpoint"],
    );
    assert!(!page.body.contains("/retry"));
    // What has not ended is not sent once more.
    let early = press(&mut anna, &format!("{first}/retry")).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert!(early.body.contains("webhook_request_waiting"));

    settle(&server, None, Fate::GivenUp("attempts_exhausted")).await;
    let failed = anna.get(&first).await;
    has(
        &failed,
        &[
            "Failed",
            "Every attempt failed",
            "Nobody answers.",
            "1234 ms",
            "&#34;deliveryId&#34;:&#34;mpwhd_",
        ],
    );
    assert!(!failed.body.contains("<script") && !failed.body.contains("connection_failed"));
    has(&anna.get(LIST).await, &["Failing", "Mend it soon"]);

    later(&server, 60);
    let again = press(&mut anna, &format!("{first}/retry")).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.body);
    let second = again.header("location").to_owned();
    assert_ne!(second, first);
    settle(&server, Some(200), Fate::Delivered).await;
    has(
        &anna.get(&second).await,
        &[
            "Delivered",
            "Answered 200",
            "server: them",
            "&#60;script&#62;no",
            "Somebody sent it once more",
        ],
    );
    has(&anna.get(&first).await, &["Failed"]);
    for (query, shown) in [
        ("", [true, true]),
        ("?show=failed", [true, false]),
        ("?show=delivered", [false, true]),
        ("?show=waiting", [false, false]),
        ("?show=unknown", [true, true]),
        ("?link=pl_other", [false, false]),
        ("?before=2", [true, false]),
        ("?before=x", [true, true]),
    ] {
        let page = anna.get(&format!("{ENDPOINT}{query}")).await;
        let found = [&first, &second].map(|path| page.body.contains(path.as_str()));
        assert_eq!(found, shown, "{query}");
    }
}

#[tokio::test]
async fn the_log_has_pages() {
    let server = with_endpoint().await;
    for _ in 0..27 {
        let (store, now) = (&server.app.store, server.app.now());
        store
            .test_endpoint("mpwhep_1", server.app.event(), &Actor::System, now)
            .await
            .expect("writes");
    }
    let mut anna = somebody(&server, "anna").await;
    let page = anna.get(&format!("{ENDPOINT}?show=waiting")).await;
    let count = |page: &Answer| page.body.matches("/deliveries/mpwhreq_").count();
    assert_eq!(count(&page), 25);
    has(&page, &["?show=waiting&#38;before=3#log"]);
    let older = anna.get(&format!("{ENDPOINT}?show=waiting&before=3")).await;
    assert_eq!(count(&older), 2);
    assert!(!older.body.contains("rel=\"next\""));
}

#[tokio::test]
async fn what_fails_for_days_is_disabled_and_enabled_again() {
    let server = with_endpoint().await;
    let mut anna = somebody(&server, "anna").await;
    press(&mut anna, &format!("{ENDPOINT}/test")).await;
    settle(&server, Some(500), Fate::GivenUp("attempts_exhausted")).await;
    later(&server, 1_000);
    let sent = press(&mut anna, &format!("{ENDPOINT}/test")).await;
    let delivery = sent.header("location").to_owned();
    settle(&server, Some(500), Fate::GivenUp("attempts_exhausted")).await;
    has(&anna.get(LIST).await, &["Disabled: it failed", "send a test, then enable it again"]);
    has(&anna.get(ENDPOINT).await, &["Nothing was taken since", "Enable this endpoint"]);
    // Nothing is sent there but tests.
    has(&anna.get(&delivery).await, &["Nothing can be sent to this endpoint now"]);
    let refused = press(&mut anna, &format!("{delivery}/retry")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("endpoint_disabled"));
    assert_eq!(press(&mut anna, &format!("{ENDPOINT}/test")).await.status, StatusCode::SEE_OTHER);
    let enabled = press(&mut anna, &format!("{ENDPOINT}/enable")).await;
    assert_eq!((enabled.status, enabled.header("location")), (StatusCode::SEE_OTHER, ENDPOINT));
    has(
        &anna.get(ENDPOINT).await,
        &["Enabled", "Disable this endpoint", "Nothing more is sent there"],
    );
    press(&mut anna, &format!("{ENDPOINT}/disable")).await;
    let page = anna.get(ENDPOINT).await;
    has(&page, &["Enable this endpoint"]);
    assert!(!page.body.contains("it failed"));
}

#[tokio::test]
async fn a_developer_operates_and_does_not_manage() {
    let server = with_endpoint().await;
    server.app.store.add_membership("carl", "co_b", Role::Developer).await.expect("writes");
    let mut carl = somebody(&server, "carl").await;
    let page = carl.get(ENDPOINT).await;
    has(&page, &["Send a test"]);
    assert!(!page.body.contains("Disable this endpoint"));
    assert_eq!(press(&mut carl, &format!("{ENDPOINT}/test")).await.status, StatusCode::SEE_OTHER);
    for act in ["enable", "disable"] {
        let refused = press(&mut carl, &format!("{ENDPOINT}/{act}")).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{act}");
    }
    let known = server.app.store.endpoint("mpwhep_1").await.expect("reads").expect("it");
    assert!(known.active);
}

#[tokio::test]
async fn anothers_endpoint_is_not_there() {
    let server = with_endpoint().await;
    let mut anna = somebody(&server, "anna").await;
    let sent = press(&mut anna, &format!("{ENDPOINT}/test")).await;
    let own = sent.header("location").to_owned();
    settle(&server, Some(500), Fate::GivenUp("attempts_exhausted")).await;
    // Anna may act for both companies, but each has its own.
    let foreign = ENDPOINT.replace("co_b", "co_a");
    let delivery = own.replace("co_b", "co_a");
    assert!(!anna.get("/companies/co_a/webhooks").await.body.contains("app.example"));
    let by_client = format!("/companies/co_a/webhooks?client={PARTNER}");
    assert!(!anna.get(&by_client).await.body.contains("app.example"));
    for path in [foreign.as_str(), &delivery, &format!("{ENDPOINT}/deliveries/none")] {
        assert_eq!(anna.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let posts = ["/test", "/enable", "/disable"].map(|act| format!("{foreign}{act}"));
    for path in posts.iter().chain([&format!("{delivery}/retry")]) {
        assert_eq!(press(&mut anna, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let known = server.app.store.endpoint("mpwhep_1").await.expect("reads").expect("it");
    assert!(known.active);
}
