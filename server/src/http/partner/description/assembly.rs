//! The description put together: what people wrote in `server/openapi/`, a file a tag, and what the rest of
//! the server knows: each operation's scope, how it is refused, the currencies.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{http::partner::table::ROUTES, partner::currency};

/// What is said once: the document without its paths, and the refusals that every route, body or parameter brings.
const DOCUMENT: &str = include_str!("../../../../openapi/document.json");

/// The operations and schemas of each tag.
const PARTS: [(&str, &str); 7] = [
    ("company", include_str!("../../../../openapi/company.json")),
    ("customers", include_str!("../../../../openapi/customers.json")),
    ("payment-links", include_str!("../../../../openapi/payment-links.json")),
    ("settings", include_str!("../../../../openapi/settings.json")),
    ("subscriptions", include_str!("../../../../openapi/subscriptions.json")),
    ("wallets", include_str!("../../../../openapi/wallets.json")),
    ("webhooks", include_str!("../../../../openapi/webhooks.json")),
];

/// Where the written files keep refusals: status, code, sentence. They become answers, and the member goes.
pub(super) const REFUSALS: &str = "x-refusals";

/// The headers that come with a refusal of a status.
const HEADERS: [(&str, &[&str]); 4] = [
    ("400", &["WWW-Authenticate"]),
    ("401", &["WWW-Authenticate", "DPoP-Nonce"]),
    ("403", &["WWW-Authenticate"]),
    ("429", &["Retry-After"]),
];

/// Codes by status, each with its sentence.
type Refusals = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// The whole description.
pub(super) fn assemble() -> Value {
    let mut document = read(DOCUMENT);
    let shared = document.as_object_mut().and_then(|members| members.remove(REFUSALS));
    let shared = shared.expect("the document says how requests are refused");
    let mut paths = Map::new();
    for (tag, part) in PARTS {
        let mut part = read(part);
        if let Some(schemas) = part.get_mut("schemas").and_then(Value::as_object_mut) {
            let all = &mut document["components"]["schemas"];
            all.as_object_mut().expect("an object").append(schemas);
        }
        for (path, mut operations) in members(part["paths"].take()) {
            for (method, operation) in operations.as_object_mut().expect("an object") {
                complete(operation, tag, scope(&path, method), &shared);
            }
            paths.insert(path, operations);
        }
    }
    document["paths"] = paths.into();
    let currencies: Vec<_> = currency::codes().collect();
    document["components"]["schemas"]["Currency"]["enum"] = json!(currencies);
    document
}

/// Adds to an operation what is not written with it.
fn complete(operation: &mut Value, tag: &str, scope: &str, shared: &Value) {
    let own = operation.as_object_mut().and_then(|members| members.remove(REFUSALS));
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters =
        parameters.filter_map(|one| one["$ref"].as_str()?.rsplit('/').next()).map(str::to_owned);
    let body = operation.get("requestBody").map(|_| "body".to_owned());
    let brought = ["every".to_owned()].into_iter().chain(body).chain(parameters);
    let mut refusals = Refusals::new();
    for source in brought.filter_map(|name| shared.get(&name)).chain(&own) {
        for (status, codes) in source.as_object().expect("statuses") {
            for (code, sentence) in codes.as_object().expect("codes") {
                let sentence = sentence.as_str().expect("a sentence").to_owned();
                let codes = refusals.entry(status.clone()).or_default();
                codes.entry(code.clone()).or_default().push(sentence);
            }
        }
    }
    operation["tags"] = json!([tag]);
    operation["security"] = json!([{ "bearer": [scope] }, { "dpop": [scope] }]);
    let answers = operation["responses"].as_object_mut().expect("answers");
    for (status, codes) in refusals {
        let answer = answer(&status, &codes);
        answers.entry(status).or_insert(answer);
    }
}

/// A refusal as an answer: every code that it can have, and what each means.
fn answer(status: &str, codes: &BTreeMap<String, Vec<String>>) -> Value {
    let lines =
        codes.iter().map(|(code, sentences)| format!("- `{code}`: {}", sentences.join(" ")));
    let names: Vec<_> = codes.keys().collect();
    let (code, sentences) = codes.first_key_value().expect("a code");
    let mut answer = json!({
        "description": lines.collect::<Vec<_>>().join("\n"),
        "content": { "application/json": {
            "schema": {
                "allOf": [{ "$ref": "#/components/schemas/Error" }],
                "properties": { "error": { "enum": names } },
            },
            "example": { "error": code, "error_description": sentences[0] },
        } },
    });
    if let Some((_, headers)) = HEADERS.iter().find(|(known, _)| *known == status) {
        let headers = headers.iter().map(|name| {
            ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
        });
        answer["headers"] = headers.collect::<Map<_, _>>().into();
    }
    answer
}

/// The scope of a route; none for one that the table does not have, which a test refuses.
fn scope(path: &str, method: &str) -> &'static str {
    let route =
        ROUTES.iter().find(|route| route.path == path && route.method.eq_ignore_ascii_case(method));
    route.map_or("", |route| route.scope)
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("the file is JSON")
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
