//! What belongs to a company: customers, subscriptions, settings, wallets.

use axum::http::header;
use counterfoil_protocol::scope::ScopeSet;
use serde_json::json;

use super::shop::{Shop, json as body_of, ok, refused};
use crate::{
    oauth::scopes,
    testing::{Answer, TestServer},
};

/// A store whose token opens everything.
async fn shop(server: &TestServer) -> Shop<'_> {
    let mut shop = Shop::connect(server, "wordpress", "Nordwind").await;
    let all = ScopeSet::from_names(scopes::ALL.iter().map(|(name, _)| *name)).expect("scopes");
    shop.token = shop.token_with(|claims| claims.scope = all.clone());
    shop.claims.scope = all;
    shop
}

/// A call with one more header.
async fn with(
    shop: &Shop<'_>,
    (method, path): (&str, &str),
    body: &str,
    (name, value): (&'static str, &str),
) -> Answer {
    let mut request = shop.request(method, path, body);
    request.headers_mut().insert(name, value.parse().expect("a header"));
    shop.server.send(request).await
}

#[tokio::test]
async fn customers_page_by_page() {
    let server = TestServer::start();
    let shop = shop(&server).await;
    for name in ["one", "two", "three"] {
        let text = format!(r#"{{"name":"{name}"}}"#);
        let once = shop.call_once("POST", "customers", &text, &format!("customer-{name}")).await;
        let body = ok(&once, 201);
        assert_eq!((&body["companyId"], &body["ok"]), (&json!("co_Nordwind"), &json!(true)));
        let again = shop.call_once("POST", "customers", &text, &format!("customer-{name}")).await;
        assert_eq!((again.status.as_u16(), again.body), (200, once.body));
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        // A query is no part of what a proof names.
        let proof = shop.proof(
            "GET",
            &format!("{}/customers", super::shop::API),
            &super::shop::Knobs::default(),
        );
        let path = format!("{}/customers?limit=2{cursor}", super::shop::API);
        let list = ok(&server.send(shop.request_with("GET", &path, "", &proof)).await, 200);
        let customers = list["customers"].as_array().expect("a list");
        names.extend(customers.iter().map(|one| one["name"].as_str().expect("a name").to_owned()));
        let Some(next) = list["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        ok(&shop.call("POST", "customers", r#"{"name":"late"}"#).await, 201);
    }
    assert_eq!(names, ["three", "two", "one"]);
}

#[tokio::test]
async fn a_faulty_member_is_named() {
    let server = TestServer::start();
    let shop = shop(&server).await;
    for (path, body, code, field) in [
        ("customers", r#"{"email":"nobody"}"#, "invalid_request", "email"),
        ("customers", r#"{"name":"A","debt":1}"#, "invalid_request", "debt"),
        (
            "subscriptions",
            r#"{"customerId":"x","amount":"1.001","currency":"EUR","interval":"day"}"#,
            "invalid_request",
            "amount",
        ),
        (
            "subscriptions",
            r#"{"customerId":"x","amount":"1","currency":"EUR","interval":"day"}"#,
            "invalid_request",
            "customerId",
        ),
        (
            "payment-links",
            r#"{"payload":{"amount":"x","currency":"X"}}"#,
            "invalid_payment_link",
            "payload.amount",
        ),
    ] {
        let answer = shop.call("POST", path, body).await;
        refused(&answer, 400, code);
        assert_eq!(body_of(&answer)["field"], field, "{body}");
    }
    let answer = shop.call("GET", "customers?limit=0", "").await;
    refused(&answer, 400, "invalid_request");
    assert_eq!(body_of(&answer)["field"], "limit");
}

#[tokio::test]
async fn a_change_is_of_what_its_sender_saw() {
    let server = TestServer::start();
    let shop = shop(&server).await;
    let made = shop.call("POST", "customers", r#"{"name":"Ann"}"#).await;
    let path = format!("customers/{}", body_of(&made)["customer"]["id"].as_str().expect("an id"));
    let read = shop.call("GET", &path, "").await;
    let tag = read.header("etag").to_owned();
    assert_eq!(made.header("etag"), tag);
    let known = with(&shop, ("GET", &path), "", ("if-none-match", &tag)).await;
    assert_eq!(
        (known.status.as_u16(), known.body.as_str(), known.header("etag")),
        (304, "", tag.as_str())
    );

    let change = r#"{"phone":"+4912345678"}"#;
    let changed = with(&shop, ("PATCH", &path), change, ("if-match", &tag)).await;
    let body = ok(&changed, 200);
    assert_eq!(body["customer"]["name"], "Ann");
    assert_ne!(changed.header("etag"), tag);
    let late = with(&shop, ("PATCH", &path), change, ("if-match", &tag)).await;
    refused(&late, 412, "precondition_failed");
    refused(
        &with(&shop, ("PATCH", &path), change, ("if-match", "x")).await,
        400,
        "invalid_request",
    );
    ok(&shop.call("PATCH", &path, r#"{"phone":null}"#).await, 200);
    ok(&with(&shop, ("PATCH", &path), change, ("if-match", "*")).await, 200);
}

#[tokio::test]
async fn links_can_be_changed_conditionally_too() {
    let server = TestServer::start();
    let shop = shop(&server).await;
    let made =
        shop.call("POST", "payment-links", r#"{"payload":{"amount":"1","currency":"X"}}"#).await;
    let path =
        format!("payment-links/{}", body_of(&made)["paymentLink"]["uid"].as_str().expect("a uid"));
    let tag = shop.call("GET", &path, "").await.header("etag").to_owned();
    assert_eq!(made.header("etag"), tag);
    let archive = r#"{"status":"archived"}"#;
    refused(
        &with(&shop, ("PATCH", &path), archive, ("if-match", "\"x\"")).await,
        412,
        "precondition_failed",
    );
    let archived = with(&shop, ("PATCH", &path), archive, ("if-match", &tag)).await;
    ok(&archived, 200);
    assert_eq!(shop.call("GET", &path, "").await.header("etag"), archived.header("etag"));
}

#[tokio::test]
async fn subscriptions_of_a_customer() {
    let server = TestServer::start();
    let shop = shop(&server).await;
    let made = shop.call("POST", "customers", r#"{"name":"Ann"}"#).await;
    let customer = body_of(&made)["customer"]["id"].as_str().expect("an id").to_owned();
    let text = format!(
        r#"{{"customerId":"{customer}","amount":"9.90","currency":"eur","interval":"month","startDate":"2026-12-31"}}"#
    );
    let made = ok(&shop.call("POST", "subscriptions", &text).await, 201);
    let one = &made["subscription"];
    assert_eq!(one["nextPaymentDate"], "2027-01-31");
    assert_eq!(
        (&one["currency"], &one["status"], &one["intervalCount"]),
        (&json!("EUR"), &json!("active"), &json!(1))
    );
    let path = format!("subscriptions/{}", one["id"].as_str().expect("an id"));
    let paused = ok(&shop.call("PATCH", &path, r#"{"status":"paused"}"#).await, 200);
    assert_eq!(paused["subscription"]["nextPaymentDate"], json!(null));
    let ended = ok(&shop.call("PATCH", &path, r#"{"status":"cancelled"}"#).await, 200);
    assert_eq!(ended["subscription"]["status"], "cancelled");
    refused(
        &shop.call("PATCH", &path, r#"{"status":"active"}"#).await,
        409,
        "subscription_cancelled",
    );
}

#[tokio::test]
async fn settings_are_replaced_by_whoever_saw_them() {
    let server = TestServer::start();
    let shop = shop(&server).await;
    let read = shop.call("GET", "settings", "").await;
    let tag = read.header("etag").to_owned();
    let methods = json!(["BTC.BTC", "ETH.ETH", "ETH.USDC", "ETH.USDT"]);
    assert_eq!(ok(&read, 200)["settings"]["allowedPaymentMethods"], methods);
    let settings = r#"{"displayName":"Nord","defaultCurrency":"JPY","allowedPaymentMethods":["ETH.ETH"],"callbacks":{"returnUrl":"https://shop.example/back"}}"#;
    refused(&shop.call("PUT", "settings", settings).await, 428, "precondition_required");
    let put = with(&shop, ("PUT", "settings"), settings, ("if-match", &tag)).await;
    assert_eq!(ok(&put, 200)["settings"]["displayName"], "Nord");
    let late = with(&shop, ("PUT", "settings"), "{}", ("if-match", &tag)).await;
    refused(&late, 412, "precondition_failed");
    assert_eq!(
        shop.call("GET", "settings", "").await.header(header::ETAG.as_str()),
        put.header("etag")
    );

    // What was set has its effect.
    let branding = ok(&shop.call("GET", "branding", "").await, 200);
    assert_eq!(branding["makePaySettings"]["allowedPaymentMethods"], json!(["ETH.ETH"]));
    let link = ok(
        &shop.call("POST", "payment-links", r#"{"payload":{"amount":"1","currency":"X"}}"#).await,
        201,
    );
    assert_eq!(link["paymentLink"]["returnUrl"], "https://shop.example/back");
    let off =
        shop.call("POST", "payment-links", r#"{"payload":{"amount":"1","asset":"BTC.BTC"}}"#).await;
    refused(&off, 400, "invalid_payment_link");
    assert_eq!(body_of(&off)["field"], "payload.asset");
    let made = shop.call("POST", "customers", r#"{"name":"Ann"}"#).await;
    let text = format!(
        r#"{{"customerId":{},"amount":"900","interval":"year"}}"#,
        body_of(&made)["customer"]["id"]
    );
    let yearly = ok(&shop.call("POST", "subscriptions", &text).await, 201);
    assert_eq!(yearly["subscription"]["currency"], "JPY");
    let proof = shop.proof("GET", "/api/partner/v1/company", &super::shop::Knobs::default());
    let request = shop.request_with("GET", "/api/partner/v1/company", "", &proof);
    let company = ok(&server.send(request).await, 200);
    assert_eq!(
        company["settings"],
        json!({ "displayName": "Nord", "supportEmail": null, "defaultCurrency": "JPY" })
    );
    assert_eq!(company["company"]["name"], "Nordwind");
}

#[tokio::test]
async fn a_repeated_answer_has_the_tag_of_the_first() {
    let server = TestServer::start();
    let shop = shop(&server).await;
    let link = r#"{"payload":{"amount":"1.00","fiatCurrency":"EUR"}}"#;
    let made = ok(&shop.call("POST", "payment-links", link).await, 201);
    let made = format!("payment-links/{}", made["paymentLink"]["uid"].as_str().expect("a uid"));
    let ann = ok(&shop.call("POST", "customers", r#"{"name":"Ann"}"#).await, 201);
    let ann = ann["customer"]["id"].as_str().expect("an id");
    let terms =
        format!(r#"{{"customerId":"{ann}","amount":"9.90","currency":"EUR","interval":"month"}}"#);
    let owed = ok(&shop.call("POST", "subscriptions", &terms).await, 201);
    let owed = format!("subscriptions/{}", owed["subscription"]["id"].as_str().expect("an id"));
    let ann = format!("customers/{ann}");
    for (number, (method, path, body)) in [
        ("POST", "payment-links", link),
        ("PATCH", &made, r#"{"metadata":{"cart":"c-78"}}"#),
        ("POST", "customers", r#"{"name":"Ben"}"#),
        ("PATCH", &ann, r#"{"name":"Anna"}"#),
        ("POST", "subscriptions", &terms),
        ("PATCH", &owed, r#"{"status":"paused"}"#),
        ("PUT", "settings", r#"{"displayName":"Books"}"#),
        ("PUT", "webhook-subscriptions/current", r#"{"url":"https://shop.example/hooks"}"#),
    ]
    .into_iter()
    .enumerate()
    {
        let send = async || {
            let mut request = shop.request(method, path, body);
            let key = format!("repeated-{number}").parse().expect("a header");
            request.headers_mut().insert("idempotency-key", key);
            if path == "settings" {
                request.headers_mut().insert(header::IF_MATCH, "*".parse().expect("a header"));
            }
            server.send(request).await
        };
        let first = send().await;
        assert!(first.status.is_success(), "{method} {path}: {}", first.body);
        let again = send().await;
        let what = format!("{method} {path}");
        assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &first.body));
        assert!(first.header("etag").starts_with('"'), "{what}");
        assert_eq!(again.header("etag"), first.header("etag"), "{what}");
    }
}
