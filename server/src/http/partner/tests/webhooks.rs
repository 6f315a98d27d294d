//! Webhook subscriptions and secrets; what a reset leaves of them.

use axum::http::header;
use counterfoil_protocol::encoding::sha256;
use serde_json::{Value, json};

use super::shop::{Key, Shop, json as json_of, ok, refused};
use crate::{
    audit::Actor,
    store::{Claim, Due, Fate, Reset, Settlement},
    testing::{Answer, TestServer},
};

const CURRENT: &str = "webhook-subscriptions/current";
const WANTED: &str = r#"{"active":true,"description":"Medusa","events":["makepay.payment.*"],"metadata":{"providerId":"makepay"},"rotateSecret":true,"url":"https://shop.example/hooks/makepay/makepay_makepay"}"#;
const KEPT: &str = r#"{"callbackUrl":"https://shop.example/other"}"#;

async fn put(shop: &Shop<'_>, body: &str) -> Value {
    let answer = shop.call("PUT", CURRENT, body).await;
    ok(&answer, answer.status.as_u16())
}

#[tokio::test]
async fn a_subscription_is_put_read_and_disabled() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let none = ok(&shop.call("GET", CURRENT, "").await, 200);
    assert_eq!(none, json!({ "companyId": "co_Nordwind", "subscription": null }));
    refused(&shop.call("DELETE", CURRENT, "").await, 404, "webhook_subscription_not_found");

    let first = ok(&shop.call("PUT", CURRENT, WANTED).await, 201);
    assert_eq!((&first["created"], &first["rotated"]), (&json!(true), &json!(false)));
    let secret = first["signingSecret"].as_str().expect("a secret");
    assert!(secret.len() >= 32);
    let subscription = &first["subscription"];
    assert_eq!(subscription["secretLast4"], secret[secret.len() - 4..]);
    assert_eq!(subscription["url"], "https://shop.example/hooks/makepay/makepay_makepay");
    assert_eq!(subscription["events"], json!(["makepay.payment.*"]));
    assert_eq!(subscription["metadata"], json!({ "providerId": "makepay" }));
    assert_eq!(
        (&subscription["active"], &subscription["status"]),
        (&json!(true), &json!("active"))
    );

    let read = shop.call("GET", CURRENT, "").await;
    assert_eq!(ok(&read, 200)["subscription"], *subscription);
    assert!(!read.body.contains(secret));

    let kept = ok(&shop.call("PUT", CURRENT, KEPT).await, 200);
    assert_eq!((&kept["created"], &kept["rotated"]), (&json!(false), &json!(false)));
    assert_eq!(kept.get("signingSecret"), None, "it is told once");
    assert_eq!(kept["subscription"]["secretLast4"], subscription["secretLast4"]);
    assert_eq!(kept["subscription"]["id"], subscription["id"]);
    assert_eq!(kept["subscription"]["url"], "https://shop.example/other");

    for _ in 0..2 {
        let ended = ok(&shop.call("DELETE", CURRENT, "").await, 200);
        assert_eq!(ended["historicalDeliveryPreserved"], true);
        assert_eq!(ended["signingSecretChanged"], false);
        assert_eq!(ended["subscription"]["id"], subscription["id"]);
        assert_eq!(ended["subscription"]["status"], "disabled");
    }
    let rotated = put(&shop, WANTED).await;
    assert_eq!((&rotated["created"], &rotated["rotated"]), (&json!(false), &json!(true)));
    assert_ne!(rotated["signingSecret"], secret);
    assert_eq!(rotated["subscription"]["id"], subscription["id"]);
    assert_eq!(rotated["subscription"]["status"], "active");
}

#[tokio::test]
async fn malformed_ones_change_nothing() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "medusa", "Nordwind").await;
    for (body, code, field) in [
        ("{}", "missing_callback_url", "url"),
        (r#"{"url":"http://shop.example/"}"#, "invalid_callback_url", "url"),
        (r#"{"webhookUrl":"https://127.0.0.1/"}"#, "invalid_callback_url", "webhookUrl"),
        (r#"{"callbackUrl":"https://shop.example:9/"}"#, "invalid_callback_url", "callbackUrl"),
        (r#"{"url":"https://shop.example/","events":7}"#, "invalid_webhook_subscription", "events"),
    ] {
        let answer = shop.call("PUT", CURRENT, body).await;
        refused(&answer, 400, code);
        assert_eq!(json_of(&answer)["field"], field, "{body}");
    }
    for (events, sentence) in [
        (
            r#"["makepay.payment.*","payment.*"]"#,
            "The member events: no event matches 'payment.*';",
        ),
        (r#"["makepay payment"]"#, "The member events: 'makepay payment' is no event:"),
        ("[]", "The member events: there must be 1 to 32 events."),
    ] {
        let body = format!(r#"{{"url":"https://shop.example/","events":{events}}}"#);
        let answer = shop.call("PUT", CURRENT, &body).await;
        refused(&answer, 400, "invalid_webhook_subscription");
        let answer = json_of(&answer);
        let told = answer["error_description"].as_str().expect("a sentence");
        assert!(answer["field"] == "events" && told.starts_with(sentence), "{answer}");
    }
    assert_eq!(ok(&shop.call("GET", CURRENT, "").await, 200)["subscription"], json!(null));
    // What the clients in the field send stays good.
    for events in [r#"["makepay.payment.*"]"#, r#"["makepay.payment.status_changed"]"#, "null"] {
        let body = format!(r#"{{"url":"https://shop.example/","events":{events}}}"#);
        put(&shop, &body).await;
    }
}

#[tokio::test]
async fn a_subscription_is_replaced_by_whoever_saw_it() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let put = async |body: &str, tag: &str| {
        let mut request = shop.request("PUT", CURRENT, body);
        request.headers_mut().insert("if-match", tag.parse().expect("a header"));
        server.send(request).await
    };
    let none = shop.call("GET", CURRENT, "").await.header("etag").to_owned();
    let first = put(WANTED, &none).await;
    ok(&first, 201);
    refused(&put(KEPT, &none).await, 412, "precondition_failed");
    let seen = shop.call("GET", CURRENT, "").await.header("etag").to_owned();
    assert_eq!(seen, first.header("etag"));
    ok(&put(KEPT, &seen).await, 200);
    refused(&put(WANTED, &seen).await, 412, "precondition_failed");
    // Plugins in the field do not say what they saw.
    ok(&shop.call("PUT", CURRENT, WANTED).await, 200);
}

#[tokio::test]
async fn secrets_are_sealed_at_rest() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let answer = shop.call_once("PUT", CURRENT, WANTED, "webhook-key-1").await;
    let secret = ok(&answer, 201)["signingSecret"].as_str().expect("a secret").to_owned();
    let directory = &server.app.config.data_dir;
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("reads");
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_receipt_is_good_for_ten_minutes() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let once = async |body: &str| shop.call_once("PUT", CURRENT, body, "webhook-key-1").await;
    let first = once(WANTED).await;
    ok(&first, 201);
    for seconds in [0, 600] {
        server.clock.advance(seconds);
        let again = once(WANTED).await;
        assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
        assert_eq!(again.header("idempotent-replayed"), "true");
    }
    refused(&once(KEPT).await, 409, "idempotency_key_conflict");
    server.clock.advance(1);
    refused(&once(WANTED).await, 409, "idempotency_receipt_expired");
    server.app.store.sweep(server.app.now()).await.expect("sweeps");
    refused(&once(WANTED).await, 409, "idempotency_receipt_expired");
    let other_key = shop.call_once("PUT", CURRENT, WANTED, "webhook-key-2").await;
    assert_eq!(ok(&other_key, 200)["rotated"], true);
}

#[tokio::test]
async fn a_receipt_is_for_the_same_key_holder() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let first = ok(&shop.call_once("PUT", CURRENT, WANTED, "webhook-key-1").await, 201);
    shop.key = Key::new();
    let key = shop.key.thumbprint();
    shop.token = shop.token_with(|claims| {
        claims.cnf = Some(counterfoil_protocol::access_token::Confirmation { jkt: key });
    });
    let other = shop.call_once("PUT", CURRENT, WANTED, "webhook-key-1").await;
    refused(&other, 409, "idempotency_key_dpop_mismatch");
    let read = ok(&shop.call("GET", CURRENT, "").await, 200);
    assert_eq!(read["subscription"], first["subscription"]);
}

#[tokio::test]
async fn a_disconnect_can_be_repeated() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "medusa", "Nordwind").await;
    put(&shop, WANTED).await;
    let first = shop.call_once("DELETE", CURRENT, "", "disconnect-key").await;
    server.clock.advance(3_000);
    let again = shop.call_once("DELETE", CURRENT, "", "disconnect-key").await;
    assert_eq!((again.status.as_u16(), again.body), (200, first.body));
}

#[tokio::test]
async fn each_connection_has_its_own_subscription() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let other = Shop::connect(&server, "medusa", "Nordwind").await;
    let (one, two) = (put(&shop, WANTED).await, put(&other, WANTED).await);
    assert_ne!(one["subscription"]["id"], two["subscription"]["id"]);
    assert_ne!(one["signingSecret"], two["signingSecret"]);
    ok(&other.call("DELETE", CURRENT, "").await, 200);
    let read = ok(&shop.call("GET", CURRENT, "").await, 200);
    assert_eq!(read["subscription"]["active"], true);
}

#[tokio::test]
async fn a_secret_for_single_links_at_every_connect() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "btcpay-server", "Nordwind").await;
    let other = Shop::connect(&server, "btcpay-server", "Nordwind").await;
    let mut seen = Vec::new();
    for who in [&shop, &shop, &other] {
        let body = ok(&who.call("POST", "webhook-secret", "{}").await, 200);
        let secret = body["webhookSecret"]["secret"].as_str().expect("a secret").to_owned();
        assert_eq!(body["webhookSecret"]["last4"], secret[secret.len() - 4..]);
        assert!(!seen.contains(&secret));
        seen.push(secret);
    }
    let once = async |key| shop.call_once("POST", "webhook-secret", "{}", key).await;
    assert_eq!(once("secret-key-1").await.body, once("secret-key-1").await.body);
    assert_ne!(once("secret-key-1").await.body, once("secret-key-2").await.body);
    // Nothing is as good as an object without members, and the same request.
    assert_eq!(
        shop.call_once("POST", "webhook-secret", "", "secret-key-1").await.body,
        once("secret-key-1").await.body
    );
    let mut untyped = shop.request("POST", "webhook-secret", "");
    untyped.headers_mut().remove(header::CONTENT_TYPE);
    ok(&server.send(untyped).await, 200);
    let mut other_type = shop.request("POST", "webhook-secret", "{}");
    other_type.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().expect("a header"));
    refused(&server.send(other_type).await, 415, "invalid_request");
    for body in ["[]", " ", "null"] {
        refused(&shop.call("POST", "webhook-secret", body).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn branding_and_settings() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "btcpay-server", "Nordwind Trading").await;
    let branding = ok(&shop.call("GET", "branding", "").await, 200);
    assert_eq!(branding["company"]["name"], "Nordwind Trading");
    assert_eq!(branding["company"]["slug"], "nordwind-trading");
    assert!(branding["makePaySettings"]["allowedPaymentMethods"].is_array());
    ok(&shop.call("GET", "settings", "").await, 200);
}

#[tokio::test]
async fn an_answer_that_told_a_secret_is_not_inherited() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let first = shop.call_once("PUT", CURRENT, WANTED, "webhook-key-1").await;
    ok(&first, 201);
    let (store, now) = (&server.app.store, server.app.now());
    store.revoke_grant(shop.grant_id(), &Actor::System, now).await.expect("revokes");
    shop.approve("Nordwind").await;
    let anew = shop.call_once("PUT", CURRENT, WANTED, "webhook-key-1").await;
    let (first, anew) = (ok(&first, 201), ok(&anew, 201));
    assert_ne!(anew["subscription"]["id"], first["subscription"]["id"]);
    assert_ne!(anew["signingSecret"], first["signingSecret"]);
}

#[tokio::test]
async fn a_reset_keeps_and_names_them() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "medusa", "Nordwind").await;
    let other = Shop::connect(&server, "medusa", "Nordwind").await;
    let mut ids = vec![put(&shop, WANTED).await["subscription"]["id"].clone()];
    put(&other, WANTED).await;
    let first_grant = shop.grant_id().to_owned();
    shop.approve("Sudwind").await;
    ids.push(put(&shop, WANTED).await["subscription"]["id"].clone());
    ids.sort_by_key(Value::to_string);

    let store = &server.app.store;
    let reset = Reset {
        client_id: shop.claims.client_id.clone(),
        idempotency: [1; 32],
        token_hash: sha256(shop.token.as_bytes()),
        key: shop.key.thumbprint(),
        mutation_id: "m".to_owned(),
        now: server.app.now(),
    };
    let body = store.reset(reset.clone()).await.expect("resets");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["preservedWebhookSubscriptionIds"], Value::Array(ids));
    for grant in [&first_grant, shop.grant_id()] {
        let kept = store.webhook_subscription(grant).await.expect("reads").expect("kept");
        assert!(!kept.active);
    }
    refused(&shop.call("PUT", CURRENT, WANTED).await, 401, "invalid_token");
    let untouched = ok(&other.call("GET", CURRENT, "").await, 200);
    assert_eq!(untouched["subscription"]["active"], true);
}

#[tokio::test]
async fn the_log_is_of_the_connection_alone() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let other = Shop::connect(&server, "wordpress", "Sundial").await;
    let log = "webhook-requests";
    let test = "webhook-subscriptions/current/test";
    refused(&shop.call("POST", test, "").await, 404, "webhook_subscription_not_found");
    put(&shop, WANTED).await;
    put(&other, WANTED).await;
    let none = ok(&shop.call("GET", log, "").await, 200);
    assert_eq!(
        none,
        json!({ "companyId": "co_Nordwind", "webhookRequests": [], "nextCursor": null })
    );
    for _ in 0..3 {
        let queued = ok(&shop.call("POST", test, "").await, 202);
        assert_eq!(queued["webhookRequest"]["status"], "waiting");
    }
    let first = ok(&shop.call("GET", "webhook-requests?limit=2", "").await, 200);
    assert_eq!(first["webhookRequests"].as_array().expect("a list").len(), 2);
    let cursor = first["nextCursor"].as_str().expect("a cursor");
    let rest = format!("webhook-requests?limit=2&cursor={cursor}");
    let rest = ok(&shop.call("GET", &rest, "").await, 200);
    assert_eq!(rest["webhookRequests"].as_array().expect("a list").len(), 1);
    assert_eq!(rest["nextCursor"], Value::Null);
    let oldest = &rest["webhookRequests"][0];
    assert_eq!(
        (&oldest["event"], &oldest["origin"]),
        (&json!("makepay.webhook.test"), &json!("test"))
    );
    for (wrong, code) in [
        ("limit=0", "invalid_request"),
        ("limit=x", "invalid_request"),
        ("cursor=x", "invalid_cursor"),
        ("cursor=-1", "invalid_cursor"),
    ] {
        let answer = shop.call("GET", &format!("webhook-requests?{wrong}"), "").await;
        refused(&answer, 400, code);
    }
    // Another's cursor opens nothing.
    let stolen = other.call("GET", &format!("webhook-requests?cursor={cursor}"), "").await;
    refused(&stolen, 400, "invalid_cursor");

    let id = oldest["id"].as_str().expect("an id");
    let retry = format!("webhook-requests/{id}/retry");
    refused(&other.call("POST", &retry, "").await, 404, "webhook_request_not_found");
    refused(&shop.call("POST", &retry, "").await, 409, "webhook_request_waiting");
    refused(
        &shop.call("POST", "webhook-requests/unknown/retry", "").await,
        404,
        "webhook_request_not_found",
    );
    let others = ok(&other.call("GET", log, "").await, 200);
    assert_eq!(others["webhookRequests"], json!([]));
}

#[tokio::test]
async fn a_test_and_a_retry_are_sent_once() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    put(&shop, WANTED).await;
    let test = "webhook-subscriptions/current/test";
    let first = shop.call_once("POST", test, "", "test-key-1").await;
    let id = ok(&first, 202)["webhookRequest"]["id"].as_str().expect("an id").to_owned();
    let retry = format!("webhook-requests/{id}/retry");
    let repeated = async |path: &str, first: &Answer, key: &str| {
        let again = shop.call_once("POST", path, "", key).await;
        assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
        assert_eq!(again.header("idempotent-replayed"), "true");
    };
    repeated(test, &first, "test-key-1").await;
    refused(
        &shop.call_once("POST", &retry, "", "test-key-1").await,
        409,
        "idempotency_key_conflict",
    );
    // A refusal uses no key up: the same request is made once it can be.
    let waits = shop.call_once("POST", &retry, "", "retry-key-1").await;
    refused(&waits, 409, "webhook_request_waiting");
    let (store, now) = (&server.app.store, server.app.now());
    let claim = Claim { now, until: now + 60, most: 9, per_endpoint: 9 };
    for Due { position, attempts, .. } in store.claim_deliveries(claim).await.expect("claims") {
        let fate = Fate::GivenUp("attempts_exhausted");
        let settlement =
            Settlement { position, attempts, attempt: None, fate, hopeless_before: now, now };
        store.settle_delivery(settlement).await.expect("settles");
    }
    let retried = shop.call_once("POST", &retry, "", "retry-key-1").await;
    assert_ne!(ok(&retried, 202)["webhookRequest"]["id"], *id);
    repeated(&retry, &retried, "retry-key-1").await;
    repeated(test, &first, "test-key-1").await;
    let log = ok(&shop.call("GET", "webhook-requests", "").await, 200);
    assert_eq!(log["webhookRequests"].as_array().expect("a list").len(), 2);
    refused(&shop.call_once("POST", test, "", "short").await, 400, "invalid_idempotency_key");
}
