use axum::{body::Body, http::Request};

use super::*;
use crate::testing::{Answer, TestServer};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn open() -> TestServer {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), format!("{TOKEN}\n")).expect("writes");
    TestServer::with(|config| config.engine.token_file = Some(file.path().to_owned()))
}

async fn post(server: &TestServer, uid: &str, authorization: &str, body: &str) -> Answer {
    let request = Request::post(format!("/operator/v1/payment-links/{uid}/status"))
        .header("authorization", authorization)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .expect("a request");
    server.send(request).await
}

#[tokio::test]
async fn the_door_is_closed_without_a_token() {
    let server = TestServer::start();
    let answer = post(&server, "x", &format!("Bearer {TOKEN}"), r#"{"status":"complete"}"#).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn only_the_engine_comes_in() {
    let server = open();
    for wrong in ["", "Bearer", "Bearer ", "Bearer x", &format!("Basic {TOKEN}"), TOKEN] {
        let answer = post(&server, "x", wrong, r#"{"status":"complete"}"#).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(answer.body.contains("invalid_token"), "{}", answer.body);
    }
    let answer = post(&server, "x", &format!("Bearer {TOKEN}"), r#"{"status":"paid"}"#).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("The member status must be"), "{}", answer.body);
    let answer = post(&server, "x", &format!("bearer {TOKEN}"), r#"{"status":"complete"}"#).await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("payment_link_not_found"), "{}", answer.body);
}

#[test]
fn tokens_that_are_none() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for text in
        ["", "short", "0123456789abcdef 0123456789abcdef", "0123456789abcdef\n0123456789abcdef"]
    {
        fs::write(file.path(), text).expect("writes");
        assert!(Engine::open(Some(file.path())).is_err(), "{text:?}");
    }
    assert!(Engine::open(None).is_ok());
}
