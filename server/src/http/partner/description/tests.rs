use std::collections::BTreeSet;

use axum::{body::Body, http::Request};

use super::*;
use crate::{
    http::partner::table::{ROUTES, Route},
    testing::TestServer,
};

fn operation(route: &Route) -> &'static Value {
    &DESCRIPTION["paths"][route.path][route.method.to_ascii_lowercase()]
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn every_route_is_described_and_no_other() {
    let described: BTreeSet<_> = keys(&DESCRIPTION["paths"])
        .into_iter()
        .flat_map(|path| {
            let methods = keys(&DESCRIPTION["paths"][&path]);
            methods.into_iter().map(move |method| (path.clone(), method.to_ascii_uppercase()))
        })
        .collect();
    let offered: BTreeSet<_> =
        ROUTES.iter().map(|route| (route.path.to_owned(), route.method.to_owned())).collect();
    assert_eq!(described, offered);
}

#[test]
fn every_operation_has_a_name_its_scope_examples_and_its_refusals() {
    let mut names = BTreeSet::new();
    for route in ROUTES {
        let (operation, path) = (operation(route), route.path);
        let expected = json!([{ "bearer": [route.scope] }, { "dpop": [route.scope] }]);
        assert_eq!(operation["security"], expected, "{} {path}", route.method);
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name), "{name} twice");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        let mut wanted = vec!["400", "401", "403", "429", "503"];
        if operation.get("requestBody").is_some() {
            wanted.extend(["408", "413", "415"]);
        }
        if path.contains('{') {
            wanted.push("404");
        }
        let answers = keys(&operation["responses"]);
        for status in wanted {
            assert!(answers.contains(status), "{name} has no {status}");
        }
        // The answer to a repetition is that of the first request.
        let made = ["201", "202"].iter().find(|status| answers.contains(**status));
        let repeated = |status: &str| status == "200" && made.is_some();
        if let Some(status) = made {
            let tag =
                |status: &str| operation["responses"][status]["headers"].get("ETag").is_some();
            assert_eq!(
                tag("200"),
                tag(status),
                "{name}: a repeated answer has the tag of the first"
            );
        }
        let bodies = operation["responses"].as_object().expect("answers").iter();
        let bodies = bodies.filter(|(status, _)| !repeated(status)).map(|(_, body)| body);
        for body in bodies.chain(operation.get("requestBody")) {
            let json = body.pointer("/content/application~1json");
            assert!(json.is_none_or(|json| json.get("example").is_some()), "{name}: {body}");
        }
    }
}

#[test]
fn what_reads_takes_no_body_and_what_writes_an_idempotency_key() {
    for route in ROUTES {
        let operation = operation(route);
        let name = operation["operationId"].as_str().expect("a name");
        let parameters = operation["parameters"].to_string();
        let once = parameters.contains("/IdempotencyKey\"");
        assert_eq!(once, route.method != "GET", "{name}");
        assert!(route.method != "GET" || operation.get("requestBody").is_none(), "{name}");
    }
}

#[test]
fn the_page_has_the_same_table() {
    let page = include_str!("../../../../../docs/partner-api.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `/"));
    let rows: BTreeSet<_> = rows
        .map(|row| {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
            let mut cell = || cells.next().expect("a cell").to_owned();
            (format!("/{}", cell()), cell(), cell())
        })
        .collect();
    let owned = |route: &Route| [route.path, route.method, route.scope].map(str::to_owned);
    assert_eq!(rows, ROUTES.iter().map(|route| owned(route).into()).collect());
}

#[test]
fn refusals_of_one_status_are_told_together() {
    let refused = &DESCRIPTION["paths"]["/makepay/payment-links"]["post"]["responses"]["409"];
    let codes = &refused["content"]["application/json"]["schema"]["properties"]["error"]["enum"];
    assert_eq!(*codes, json!(["idempotency_key_conflict", "webhook_subscription_inactive"]));
    let text = refused["description"].as_str().expect("a text");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn every_reference_leads_somewhere() {
    fn follow(value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    let pointer = target.strip_prefix('#').expect("a place in the file");
                    assert!(DESCRIPTION.pointer(pointer).is_some(), "{target}");
                }
                members.values().for_each(follow);
            }
            Value::Array(items) => items.iter().for_each(follow),
            _ => {}
        }
    }
    follow(&DESCRIPTION);
    assert!(!DESCRIPTION.to_string().contains(super::assembly::REFUSALS));
}

#[tokio::test]
async fn anybody_may_read_it() {
    let server = TestServer::start();
    let request = Request::get(PATH).body(Body::empty()).expect("a request");
    let answer = server.send(request).await;
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(body["servers"], json!([{ "url": "https://pay.example/api/partner/v1" }]));
    assert_eq!(body["paths"], DESCRIPTION["paths"]);
    let method = &body["components"]["schemas"]["PaymentMethod"];
    assert_eq!(method["enum"], json!(server.app.config.payment_methods));
}
