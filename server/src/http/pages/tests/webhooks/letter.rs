//! An endpoint that fails for days is disabled by the sender itself, its people get a letter, and the letter leads to the
//! page that mends it.

use std::{fs, sync::Arc, time::Duration};

use axum::http::StatusCode;
use tokio::{sync::watch, task::yield_now, time::timeout};

use super::{ENDPOINT, LIST, has, press, somebody, with_endpoint};
use crate::{http::pages::tests::world::later, testing::TestServer, webhooks::sender};

const THREE_DAYS: i64 = 3 * 24 * 3_600;

/// Lets the sender work until the condition holds.
async fn send_until(server: &TestServer, holds: impl AsyncFn() -> bool) {
    let (stop, stopped) = watch::channel(false);
    let sending = tokio::spawn(sender::run(Arc::clone(&server.app), stopped));
    let waiting = async {
        while !holds().await {
            yield_now().await;
        }
    };
    timeout(Duration::from_mins(1), waiting).await.expect("it comes to that");
    stop.send(true).expect("it runs");
    sending.await.expect("it ends");
}

/// The reason for which a delivery failed, or how it stands.
async fn state(server: &TestServer, id: &str) -> String {
    let known = server.app.store.delivery(id).await.expect("reads").expect("a delivery");
    known.reason.unwrap_or(known.state)
}

fn letters(server: &TestServer) -> Vec<String> {
    let files = fs::read_dir(server.app.mail.outbox().0).expect("the outbox");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "eml"));
    paths.sort();
    let read = |path| fs::read_to_string(path).expect("a letter").replace("=\r\n", "");
    paths.into_iter().map(read).collect()
}

#[tokio::test]
async fn somebody_is_told_when_an_endpoint_is_disabled() {
    let server = with_endpoint().await;
    let mut anna = somebody(&server, "anna").await;
    let before = letters(&server).len();
    let first = press(&mut anna, &format!("{ENDPOINT}/test")).await.header("location").to_owned();
    let id = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    // Nobody can be reached from here: the name of the receiver is not known.
    send_until(&server, async || state(&server, &id(&first)).await == "attempts_exhausted").await;
    has(&anna.get(ENDPOINT).await, &["Failing", "Nothing was taken since"]);

    // A second short of three days it is still tried.
    later(&server, THREE_DAYS - 1);
    let mut anna = somebody(&server, "anna").await;
    let again = press(&mut anna, &format!("{first}/retry")).await.header("location").to_owned();
    let tried = async |times| {
        let known = server.app.store.delivery(&id(&again)).await.expect("reads");
        known.expect("a delivery").attempts == times
    };
    send_until(&server, async || tried(1).await).await;
    has(&anna.get(ENDPOINT).await, &["Failing", "Disable this endpoint"]);
    assert_eq!(letters(&server).len(), before);

    later(&server, 300);
    send_until(&server, async || letters(&server).len() == before + 2).await;
    assert!(tried(2).await);
    let told = &letters(&server)[before..];
    for to in ["anna@shop.example", "ben@shop.example"] {
        let letter = told.iter().find(|it| it.contains(&format!("To: {to}\r\n"))).expect("one");
        for part in [
            "notifications to one of your addresses were stopped".to_owned(),
            "https://app.example/hook".to_owned(),
            "Bolts Ltd".to_owned(),
            "none since 15 January 2027, 08:00 UTC".to_owned(),
            format!("https://pay.example{ENDPOINT}"),
        ] {
            assert!(letter.contains(&part), "{part}: {letter}");
        }
        assert!(!letter.contains("whsec_"), "{letter}");
    }
    has(&anna.get(LIST).await, &["Disabled: it failed", "send a test, then enable it again"]);
    has(&anna.get(ENDPOINT).await, &["Nothing was taken since", "Enable this endpoint"]);
    // What waited is given up, and nobody is told twice.
    later(&server, 300);
    send_until(&server, async || state(&server, &id(&again)).await == "endpoint_disabled").await;
    assert_eq!(letters(&server).len(), before + 2);
    has(&anna.get(&again).await, &["The endpoint is disabled, so nothing is sent there"]);

    let enabled = press(&mut anna, &format!("{ENDPOINT}/enable")).await;
    assert_eq!(enabled.status, StatusCode::SEE_OTHER, "{}", enabled.body);
    let page = anna.get(ENDPOINT).await;
    has(&page, &["Enabled", "Disable this endpoint"]);
    assert!(!page.body.contains("Nothing was taken since"), "{}", page.body);
    assert_eq!(press(&mut anna, &format!("{again}/retry")).await.status, StatusCode::SEE_OTHER);
}
