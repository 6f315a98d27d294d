//! Endpoints of notifications: what a company is shown of them, and what its people do with them.

mod letter;

use axum::http::StatusCode;

use super::{
    browser::{Browser, field},
    world::{PARTNER, later, world},
};
use crate::{
    audit::Actor,
    partner::event::{EventKind, Patterns},
    people::role::Role,
    store::{AddedEndpoint, Claim, Fate, NewEndpoint, Part, Settlement},
    testing::{Answer, TestServer},
    vault::Purpose,
    webhooks::{endpoint::MAX_OF_APPLICATION, log::Attempt, secret},
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
        events: Patterns::of(&[EventKind::StatusChanged]),
        description: "The <b>books</b>".to_owned(),
        secret,
        now: server.app.now(),
    };
    let added = server.app.store.add_endpoint(new, 9, &Actor::System).await;
    assert_eq!(added.expect("adds"), AddedEndpoint::Added);
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
            "makepay.payment.status_changed",
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
    has(&anna.get(&delivery).await, &["The endpoint is disabled, so nothing is sent there"]);
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
    for act in ["enable", "disable", "secret"] {
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
    let posts = ["/test", "/enable", "/disable", "/secret"].map(|act| format!("{foreign}{act}"));
    for path in posts.iter().chain([&format!("{delivery}/retry")]) {
        assert_eq!(press(&mut anna, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let known = server.app.store.endpoint("mpwhep_1").await.expect("reads").expect("it");
    assert!(known.active);
}

/// The fields of a form, but for those that name it.
const GOOD: [(&str, &str); 4] = [
    ("app", PARTNER),
    ("url", "https://app.example/new?x=1"),
    ("description", "Books"),
    ("event:makepay.payment.status_changed", "1"),
];

/// Sends the form of a page with these fields, and those that are hidden in it.
async fn send(browser: &mut Browser<'_>, page: &str, fields: &[(&str, &str)]) -> Answer {
    let shown = browser.get(page).await;
    let hidden = ["csrf", "nonce", "replaces"].map(|name| (name, field(&shown.body, name)));
    let mut all: Vec<_> = hidden.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.retain(|(name, value)| !value.is_empty() && !fields.iter().any(|(own, _)| own == name));
    all.extend(fields);
    browser.post(page, &all).await
}

/// What the page shows as a secret.
fn secret_on(answer: &Answer) -> String {
    let shown = answer.body.split_once("id=\"secret\">").map_or("", |(_, rest)| rest);
    shown.split('<').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_endpoint_is_added_and_its_secret_shown_once() {
    let server = world().await;
    let mut anna = somebody(&server, "anna").await;
    let new = format!("{LIST}/new");
    let page = anna.get(&format!("{new}?client={PARTNER}")).await;
    has(
        &page,
        &["Ledger &#60;b&#62;Sync", "value=\"mco_app_partner\" selected", "A payment moved"],
    );
    let (csrf, nonce) = (field(&page.body, "csrf"), field(&page.body, "nonce"));
    let fields = [&[("csrf", csrf.as_str()), ("nonce", &nonce)], &GOOD[..]].concat();
    let added = anna.post(&new, &fields).await;
    has(&added, &["it is shown this once", "https://app.example/new?x=1"]);
    assert_eq!(added.header("cache-control"), "no-store");
    let first = secret_on(&added);
    assert!(first.starts_with("whsec_") && first.len() > 40, "{first}");
    // The same form again, as when the page is loaded again: no second endpoint, and no secret.
    let again = anna.post(&new, &fields).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    let shown = anna.get(again.header("location")).await;
    has(&shown, &["Nothing was changed", "Books", &first[first.len() - 4..]]);
    assert!(!shown.body.contains("whsec_"));
    let known = server.app.store.endpoints(Some("co_b"), Part::WHOLE).await.expect("reads");
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].events, Patterns::of(&[EventKind::StatusChanged]));
    let kept = server.app.vault.open(Purpose::WebhookSecret, &known[0].secret.sealed);
    assert_eq!(*kept.expect("opens"), *first.as_bytes());

    let path = format!("{LIST}/{}", known[0].id);
    let rotate = format!("{path}/secret");
    for overlap in ["", "2", "-1", "x"] {
        let refused = send(&mut anna, &rotate, &[("overlap", overlap)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{overlap}");
    }
    let page = anna.get(&rotate).await;
    let (csrf, replaces) = (field(&page.body, "csrf"), field(&page.body, "replaces"));
    let fields = [("csrf", csrf.as_str()), ("replaces", &replaces), ("overlap", "24")];
    let rotated = anna.post(&rotate, &fields).await;
    let second = secret_on(&rotated);
    assert!(second.starts_with("whsec_") && second != first, "{second}");
    has(&rotated, &["The secret before signs as well until", "2027-01-16T08:00:00Z"]);
    let again = anna.post(&rotate, &fields).await;
    assert_eq!(again.header("location"), format!("{path}?unchanged=yes"));
    has(&anna.get(&path).await, &["signs as well until"]);
    has(&anna.get(&rotate).await, &["Rotating now ends it"]);
    let now = server.app.store.endpoint(&known[0].id).await.expect("reads").expect("it");
    assert_eq!(now.previous, Some((known[0].secret.sealed.clone(), server.app.now() + 24 * 3_600)));
    let ended = send(&mut anna, &rotate, &[("overlap", "0")]).await;
    has(&ended, &["signs nothing any more"]);
    let trail = server.app.store.connection_events("co_b", PARTNER, None, 9).await.expect("reads");
    let rotations = trail.iter().filter(|it| it.event == "webhook_secret_rotated").count();
    assert_eq!(rotations, 2);
}

#[tokio::test]
async fn what_is_wrong_with_an_endpoint_is_said_where_it_is() {
    let server = world().await;
    let mut anna = somebody(&server, "anna").await;
    let new = format!("{LIST}/new");
    let long = "x".repeat(101);
    for (change, words) in [
        (("app", "mco_app_store"), "Choose one of your company"),
        (("app", ""), "Choose one of your company"),
        (("url", "http://app.example/"), "must begin with https://"),
        (("url", "https://127.0.0.1/"), "not on the public Internet"),
        (("url", "https://[::ffff:10.0.0.1]/"), "not on the public Internet"),
        (("url", "https://me@app.example/"), "no user name"),
        (("url", "https://app.example:22/"), "Port 22 is not called"),
        (("url", "<script>"), "not a URL"),
        (("description", long.as_str()), "at most 100 characters"),
        (("description", "a\u{7}b"), "one line"),
        (("event:makepay.payment.status_changed", ""), "Choose at least one event"),
    ] {
        let mut fields = GOOD.to_vec();
        fields.retain(|(name, _)| *name != change.0);
        if !change.0.starts_with("event:") {
            fields.push(change);
        }
        let answer = send(&mut anna, &new, &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change:?}");
        assert!(answer.body.contains(words), "{change:?}: {}", answer.body);
        assert!(answer.body.contains("Nothing was saved yet") && !answer.body.contains("<script"));
    }
    let unnamed = send(&mut anna, &new, &[&GOOD[..], &[("nonce", "x")]].concat()).await;
    assert_eq!(unnamed.status, StatusCode::FORBIDDEN);
    assert!(server.app.store.endpoints(None, Part::WHOLE).await.expect("reads").is_empty());
    // As many as there may be, and no more.
    for number in 0..MAX_OF_APPLICATION {
        let added = send(&mut anna, &new, &GOOD).await;
        assert_eq!(added.status, StatusCode::OK, "{number}");
    }
    let full = send(&mut anna, &new, &GOOD).await;
    assert!(full.body.contains("as many as it may have"), "{}", full.body);
    // An application of company B gets none from company A.
    let elsewhere = send(&mut anna, "/companies/co_a/webhooks/new", &GOOD).await;
    assert_ne!(elsewhere.status, StatusCode::OK);
    assert!(server.app.store.endpoints(Some("co_a"), Part::WHOLE).await.expect("reads").is_empty());
}
