//! What a request must look like, and who may send it.

use serde_json::json;

use super::shop::{Ask, PATH, Shop, refused};
use crate::{
    audit::Actor,
    oauth::client::{App, Client, ClientKind},
    testing::{Key, TestServer},
};

#[tokio::test]
async fn a_proof_is_taken_once() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress").await;
    let new = Key::new();
    let ask = shop.ask(&new);
    let body = json!({ "client_id": ask.client_id, "refresh_token": ask.token }).to_string();
    let headers = shop.headers(&ask);
    for status in [200, 400] {
        let answer = shop.post(PATH, "application/json", body.clone(), headers.clone()).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    assert_eq!(shop.rotate(&ask).await.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_platform_without_a_shape_must_be_unguessable_all_the_same() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "btcpay-server").await;
    let new = Key::new();
    for name in [None, Some("x".repeat(42)), Some(format!("{}\"", "x".repeat(43)))] {
        let ask = Ask { idempotency: name, ..shop.ask(&new) };
        refused(&shop.rotate(&ask).await, 400, "invalid_idempotency_key");
    }
    let ask = Ask { idempotency: Some("x".repeat(43)), ..shop.ask(&new) };
    assert_eq!(shop.rotate(&ask).await.status, 200);
}

#[tokio::test]
async fn the_body_has_two_strings_and_nothing_else() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress").await;
    let new = Key::new();
    let (id, token) = (&shop.client_id, shop.held());
    let json = "application/json";
    let good = json!({ "client_id": id, "refresh_token": token }).to_string();
    let more = json!({ "client_id": id, "refresh_token": token, "scope": "x" }).to_string();
    let number = json!({ "client_id": id, "refresh_token": 1 }).to_string();
    let twice = format!(r#"{{"client_id":"{id}","client_id":"{id}","refresh_token":"{token}"}}"#);
    let form = format!("client_id={id}&refresh_token={token}");
    for (path, media_type, body, status) in [
        (PATH, json, &more, 400),
        (PATH, json, &number, 400),
        (PATH, json, &twice, 400),
        (PATH, json, &"[]".to_owned(), 400),
        (PATH, json, &json!({ "client_id": id }).to_string(), 400),
        (PATH, json, &json!({ "client_id": id, "refresh_token": "" }).to_string(), 400),
        (PATH, "application/x-www-form-urlencoded", &form, 415),
        (&format!("{PATH}?client_id={id}"), json, &good, 400),
    ] {
        let answer = shop.post(path, media_type, body.clone(), shop.headers(&shop.ask(&new))).await;
        refused(&answer, status, "invalid_request");
    }
    let answer = shop.post(PATH, json, good, shop.headers(&shop.ask(&new))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn applications_have_no_key_to_change() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress").await;
    let app = App { company_id: "co".to_owned(), ..App::default() };
    let client = server.app.store.client(&shop.client_id, server.app.now()).await;
    let client = client.expect("reads").expect("a client");
    let app = Client { id: "mco_app_till".to_owned(), kind: ClientKind::App(app), ..client };
    server.app.store.add_app(app, &Actor::System, 100).await.expect("adds");
    let new = Key::new();
    let ask = Ask { client_id: "mco_app_till".to_owned(), ..shop.ask(&new) };
    refused(&shop.rotate(&ask).await, 400, "unauthorized_client");
}
