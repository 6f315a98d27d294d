//! Payment links, as the plugins in the field ask for them.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::json;

use super::shop::{Shop, json as body_of, ok, refused};
use crate::{
    audit::Actor,
    oauth::grant::EndReason,
    store::Page,
    testing::{Answer, TestServer},
};

const ORDER: &str = r#"{"status":"active","sendPaymentRequestEmail":false,"payload":{"amount":"49.90","currency":"USDT","fiatCurrency":"EUR","orderId":"o-1","customerEmail":"buyer@example.org","returnUrl":"https://shop.example/r","successUrl":"https://shop.example/s","failureUrl":"https://shop.example/f","expirationTime":"24h","metadata":{"medusaOrderId":"o-1"}}}"#;
const INVOICE: &str = r#"{"source":"btcpay-server","status":"active","payload":{"amount":0.0015,"currency":"BTC","asset":"BTC.BTC","settlementCurrency":"USDT","label":"Order 7","description":"Order 7","expirationTime":"never","webhookUrl":"https://shop.example/hook","returnRedirectUrl":"https://shop.example/i/1","metadata":{"orderId":"7"},"receiptEmail":"buyer@example.org"},"settlement":{"currency":"USDT","priorities":[{"chain":"ETH","asset":"USDT","address":"0x01"}]}}"#;
const ARCHIVE: &str = r#"{"status":"archived"}"#;

fn uid(answer: &Answer) -> String {
    body_of(answer)["paymentLink"]["uid"].as_str().expect("a uid").to_owned()
}

async fn uids(shop: &Shop<'_>, query: &str) -> Vec<String> {
    let list = ok(&shop.call("GET", &format!("payment-links{query}"), "").await, 200);
    let links = list["paymentLinks"].as_array().expect("a list");
    links.iter().map(|link| link["uid"].as_str().expect("a uid").to_owned()).collect()
}

#[tokio::test]
async fn as_an_order() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let created = shop.call("POST", "payment-links", ORDER).await;
    let body = ok(&created, 201);
    assert_eq!(body["companyId"], "co_Nordwind");
    assert_eq!(body["ok"], true);
    assert_eq!(body["paymentRequestEmailSent"], false);
    assert_eq!(body["paymentRequestEmailError"], json!(null));
    let link = &body["paymentLink"];
    let uid = uid(&created);
    assert_eq!(link["publicUrl"], format!("https://pay.example/payment/{uid}"));
    for (name, expected) in [
        ("status", "active"),
        ("amount", "49.90"),
        ("fiatAmount", "49.90"),
        ("fiatCurrency", "EUR"),
        ("currency", "USDT"),
        ("orderId", "o-1"),
        ("customerEmail", "buyer@example.org"),
    ] {
        assert_eq!(link[name], expected, "{name}");
    }
    assert_eq!(link["metadata"], json!({ "medusaOrderId": "o-1" }));
    assert_eq!(link["payload"]["expirationTime"], "24h");
    for name in ["companyId", "grantId", "installationId"] {
        assert!(link.get(name).is_none(), "{name}");
    }
    let read = ok(&shop.call("GET", &format!("payment-links/{uid}"), "").await, 200);
    assert_eq!(read, json!({ "companyId": "co_Nordwind", "paymentLink": link }));
}

#[tokio::test]
async fn as_an_invoice() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "btcpay-server", "Nordwind").await;
    let first = shop.call("POST", "payment-links", INVOICE).await;
    let link = &ok(&first, 201)["paymentLink"];
    assert_eq!(link["amount"], "0.0015");
    assert_eq!(link["fiatAmount"], json!(null));
    assert_eq!(link["asset"], "BTC.BTC");
    assert_eq!(link["label"], "Order 7");
    assert_eq!(link["customerEmail"], "buyer@example.org");
    assert_eq!(link["returnUrl"], "https://shop.example/i/1");
    assert_eq!(link["settlement"]["priorities"][0]["chain"], "ETH");
    let second = shop.call("POST", "payment-links", INVOICE).await;
    assert_ne!(uid(&first), uid(&second));
}

#[tokio::test]
async fn malformed_ones_leave_nothing() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    for body in ["{}", r#"{"payload":{}}"#, r#"{"payload":{"amount":"0","currency":"X"}}"#] {
        refused(&shop.call("POST", "payment-links", body).await, 400, "invalid_payment_link");
    }
    let large = r#"{"payload":{"amount":1e30,"currency":"X"}}"#;
    refused(&shop.call("POST", "payment-links", large).await, 400, "invalid_payment_link");
    assert!(uids(&shop, "").await.is_empty());
}

#[tokio::test]
async fn once_for_a_key() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let create =
        async |body: &str, key: &str| shop.call_once("POST", "payment-links", body, key).await;
    let first = create(ORDER, "order-key-1").await;
    ok(&first, 201);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = create(ORDER, "order-key-1").await;
    ok(&again, 200);
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), "true");
    for other in [INVOICE, &format!("{ORDER} ")] {
        refused(&create(other, "order-key-1").await, 409, "idempotency_key_conflict");
    }
    let path = format!("payment-links/{}", uid(&first));
    let elsewhere = shop.call_once("PATCH", &path, ARCHIVE, "order-key-1").await;
    refused(&elsewhere, 409, "idempotency_key_conflict");
    for key in ["short", &"x".repeat(201), "with space", "back\\slash", "quote\"quote", ""] {
        refused(&create(ORDER, key).await, 400, "invalid_idempotency_key");
    }
    let mut twice = shop.request("POST", "payment-links", ORDER);
    for key in ["order-key-1", "order-key-1"] {
        twice.headers_mut().append("idempotency-key", key.parse().expect("a header"));
    }
    refused(&server.send(twice).await, 400, "invalid_idempotency_key");
    assert_eq!(uids(&shop, "").await, [uid(&first)]);

    // The same key is another connection's own.
    let other = Shop::connect(&server, "wordpress", "Nordwind").await;
    let theirs = other.call_once("POST", "payment-links", ORDER, "order-key-1").await;
    ok(&theirs, 201);
    assert_ne!(uid(&theirs), uid(&first));
}

#[tokio::test]
async fn once_for_a_key_when_the_connection_was_made_anew() {
    let server = TestServer::start();
    let (store, by) = (&server.app.store, &Actor::System);
    let mut shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let mut other = Shop::connect(&server, "wordpress", "Nordwind").await;
    let first = shop.call_once("POST", "payment-links", ORDER, "order-key-1").await;
    ok(&first, 201);
    for shop in [&mut shop, &mut other] {
        store.revoke_grant(shop.grant_id(), by, server.app.now()).await.expect("revokes");
        let ended = shop.call_once("POST", "payment-links", ORDER, "order-key-1").await;
        refused(&ended, 401, "invalid_token");
    }

    // Another company hears nothing of it, and its key is its own; so is another store's.
    shop.approve("Sudwind").await;
    let elsewhere = shop.call_once("POST", "payment-links", ORDER, "order-key-1").await;
    ok(&elsewhere, 201);
    assert_ne!(uid(&elsewhere), uid(&first));
    other.approve("Nordwind").await;
    let theirs = other.call_once("POST", "payment-links", ORDER, "order-key-1").await;
    ok(&theirs, 201);
    assert_ne!(uid(&theirs), uid(&first));

    let before = shop.grant_id().to_owned();
    shop.approve("Nordwind").await;
    assert_ne!(shop.grant_id(), before);
    let again = shop.call_once("POST", "payment-links", ORDER, "order-key-1").await;
    ok(&again, 200);
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), "true");
    let another = shop.call_once("POST", "payment-links", INVOICE, "order-key-1").await;
    refused(&another, 409, "idempotency_key_conflict");
    assert_eq!(uids(&shop, "").await, [uid(&first)]);
}

#[tokio::test]
async fn a_key_is_remembered_for_a_day() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let first = shop.call_once("POST", "payment-links", ORDER, "order-key-1").await;
    server.clock.advance(24 * 3600 - 1);
    shop.approve("Nordwind").await;
    shop.claims.exp = server.app.now() + 60;
    shop.token = shop.sign(&shop.claims);
    let again = shop.call_once("POST", "payment-links", ORDER, "order-key-1").await;
    assert_eq!(again.body, first.body);
    server.clock.advance(1);
    server.app.store.sweep(server.app.now()).await.expect("sweeps");
    ok(&shop.call_once("POST", "payment-links", ORDER, "order-key-1").await, 201);
}

#[tokio::test]
async fn many_at_once_for_a_key() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let attempt = || shop.call_once("POST", "payment-links", ORDER, "order-key-1");
    let answers = tokio::join!(attempt(), attempt(), attempt(), attempt(), attempt(), attempt());
    let answers = <[Answer; 6]>::from(answers);
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    let created = answers.iter().filter(|answer| answer.status.as_u16() == 201).count();
    assert_eq!(created, 1);
    assert_eq!(uids(&shop, "").await.len(), 1);
}

#[tokio::test]
async fn listed_by_their_own_grant_newest_first() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let other = Shop::connect(&server, "wordpress", "Nordwind").await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.insert(0, uid(&shop.call("POST", "payment-links", ORDER).await));
    }
    assert_eq!(uids(&shop, "").await, made);
    assert_eq!(uids(&shop, "?limit=2").await, made[..2]);
    assert_eq!(uids(&shop, "?limit=1000&unknown=x").await, made);
    assert!(uids(&other, "").await.is_empty());
    for query in ["?limit=0", "?limit=-1", "?limit=x", "?limit=1&limit=2", "?limit=%zz"] {
        let answer = shop.call("GET", &format!("payment-links{query}"), "").await;
        refused(&answer, 400, "invalid_request");
    }
}

#[tokio::test]
async fn changed_by_their_own_grant() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let other = Shop::connect(&server, "wordpress", "Nordwind").await;
    let path = format!("payment-links/{}", uid(&shop.call("POST", "payment-links", ORDER).await));
    for (who, path) in [(&other, path.as_str()), (&shop, "payment-links/unknown")] {
        refused(&who.call("GET", path, "").await, 404, "payment_link_not_found");
        refused(&who.call("PATCH", path, ARCHIVE).await, 404, "payment_link_not_found");
    }
    let change = r#"{"returnUrl":"https://shop.example/new","metadata":{"a":1}}"#;
    let changed = ok(&shop.call("PATCH", &path, change).await, 200);
    assert_eq!(changed["paymentLink"]["returnUrl"], "https://shop.example/new");
    assert_eq!(changed["paymentLink"]["metadata"], json!({ "a": 1 }));
    assert!(changed.get("archivedWithNoSession").is_none());
    for body in ["{}", r#"{"amount":"1"}"#, r#"{"returnUrl":"javascript:x"}"#] {
        refused(&shop.call("PATCH", &path, body).await, 400, "invalid_payment_link");
    }

    let archived = shop.call_once("PATCH", &path, ARCHIVE, "archive-key").await;
    let facts = ok(&archived, 200);
    assert_eq!(facts["paymentLink"]["status"], "archived");
    assert_eq!(facts["archiveEligibility"], "no_session");
    assert_eq!(facts["archivedWithNoSession"], true);
    assert_eq!(facts["latestSession"], json!(null));
    assert_eq!(facts["sessionCreationClaimed"], false);
    let twice = shop.call("PATCH", &path, ARCHIVE).await;
    assert_eq!(ok(&twice, 409), json!({ "errorCode": "payment_link_already_archived" }));
    let retry = shop.call_once("PATCH", &path, ARCHIVE, "archive-key").await;
    assert_eq!((retry.status.as_u16(), retry.body), (200, archived.body));
    let read = ok(&shop.call("GET", &path, "").await, 200);
    assert_eq!(read["paymentLink"]["status"], "archived");
}

#[tokio::test]
async fn that_need_a_subscription() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let create = async |key| shop.call_once("POST", "payment-links", ORDER, key).await;
    refused(&create("order-key-1").await, 409, "webhook_subscription_inactive");
    let subscription = r#"{"url":"https://shop.example/hooks"}"#;
    ok(&shop.call("PUT", "webhook-subscriptions/current", subscription).await, 201);
    let made = create("order-key-1").await;
    ok(&made, 201);
    ok(&shop.call("DELETE", "webhook-subscriptions/current", "").await, 200);
    refused(&create("order-key-2").await, 409, "webhook_subscription_inactive");
    assert_eq!(create("order-key-1").await.body, made.body);
}

#[tokio::test]
async fn survive_a_new_approval_by_the_same_company() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let made = uid(&shop.call("POST", "payment-links", ORDER).await);
    shop.approve("Nordwind").await;
    assert_eq!(uids(&shop, "").await, std::slice::from_ref(&made));
    shop.approve("Sudwind").await;
    assert!(uids(&shop, "").await.is_empty());
    refused(
        &shop.call("GET", &format!("payment-links/{made}"), "").await,
        404,
        "payment_link_not_found",
    );
}

#[tokio::test]
async fn where_they_are_paid() {
    let server = TestServer::with(|config| {
        config.checkout_base = Some("https://checkout.example/".to_owned());
    });
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let created = shop.call("POST", "payment-links", ORDER).await;
    let uid = uid(&created);
    let url = &body_of(&created)["paymentLink"]["publicUrl"];
    assert_eq!(*url, format!("https://checkout.example/payment/{uid}"));

    let page = async |uid: &str| {
        let request = Request::get(format!("/payment/{uid}")).header(header::ACCEPT, "text/html");
        server.send(request.body(Body::empty()).expect("a request")).await
    };
    let shown = page(&uid).await;
    assert_eq!(shown.status.as_u16(), 200);
    assert!(shown.header("content-type").starts_with("text/html"));
    assert!(shown.header("content-security-policy").contains("default-src 'none'"));
    for part in ["49.90 EUR", "Waiting for payment"] {
        assert!(shown.body.contains(part), "{part}");
    }
    for secret in ["buyer@example.org", "medusaOrderId", "o-1", "24h", "shop.example"] {
        assert!(!shown.body.contains(secret), "{secret}");
    }
    ok(&shop.call("PATCH", &format!("payment-links/{uid}"), ARCHIVE).await, 200);
    assert!(page(&uid).await.body.contains("No longer open"));
    let unknown = page("pl_unknown").await;
    assert_eq!(unknown.status.as_u16(), 404);
    assert!(unknown.body.contains("No such payment"));
    assert_eq!(page("%ff%00").await.status.as_u16(), 404);
}

#[tokio::test]
async fn a_grant_that_ends_takes_no_more() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let now = server.app.now();
    server
        .app
        .store
        .end_grant(shop.grant_id(), EndReason::Revoked, &Actor::System, now)
        .await
        .expect("ends");
    refused(&shop.call("POST", "payment-links", ORDER).await, 401, "invalid_token");
    let all = Page { after: None, limit: 100 };
    let links = server
        .app
        .store
        .payment_links(shop.grant_id(), &all)
        .await
        .expect("reads")
        .expect("a list");
    assert!(links.is_empty());
}
