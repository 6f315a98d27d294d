//! Who may what, route by route: made from the table, so a route that is added is tried as well.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::{
    body::Body,
    http::{Request, header},
};
use counterfoil_protocol::scope::ScopeSet;
use serde_json::Value;

use super::shop::{Shop, json, ok, refused};
use crate::{
    audit::Actor,
    http::partner::table::{BASE, ROUTES, Route},
    oauth::{grant::EndReason, scopes},
    partner::wallet::WalletFile,
    store::WalletImport,
    testing::{Answer, TestServer},
};

/// A company with a store whose token opens everything, and one thing of each kind that is its own.
struct Tenant<'a> {
    shop: Shop<'a>,
    company: String,
    link: String,
    customer: String,
    subscription: String,
    delivery: String,
    calls: AtomicU32,
}

/// Whether a route's path names something that another may not have.
fn names_something(route: &Route) -> bool {
    route.path.contains('{')
}

impl<'a> Tenant<'a> {
    async fn settle(server: &'a TestServer, name: &str) -> Self {
        let mut shop = Shop::connect(server, "wordpress", name).await;
        let all = ScopeSet::from_names(scopes::ALL.iter().map(|(name, _)| *name)).expect("scopes");
        shop.token = shop.token_with(|claims| claims.scope = all.clone());
        shop.claims.scope = all;
        let company = format!("co_{name}");
        let made = |answer: &Answer, kind: &str, id: &str| {
            ok(answer, 201)[kind][id].as_str().expect("an id").to_owned()
        };
        let text = r#"{"payload":{"amount":"1","currency":"USDT"}}"#;
        let link = made(&shop.call("POST", "payment-links", text).await, "paymentLink", "uid");
        let text = r#"{"name":"Ann"}"#;
        let customer = made(&shop.call("POST", "customers", text).await, "customer", "id");
        let text = format!(
            r#"{{"customerId":"{customer}","amount":"1","currency":"EUR","interval":"month"}}"#
        );
        let answer = shop.call("POST", "subscriptions", &text).await;
        let subscription = made(&answer, "subscription", "id");
        let text = r#"{"url":"https://shop.example/hook"}"#;
        ok(&shop.call("PUT", "webhook-subscriptions/current", text).await, 201);
        let answer = shop.call("POST", "webhook-subscriptions/current/test", "").await;
        let delivery = ok(&answer, 202)["webhookRequest"]["id"].as_str().expect("an id").to_owned();
        let file = format!(
            r#"{{"wallets":[{{"company":"{company}","as_of":"2027-01-15T08:00:00Z","balances":[],
               "activity":[{{"id":"entry-{name}","at":"2027-01-15T08:00:00Z","kind":"fee","asset":"X","amount":"1",
               "status":"failed"}}]}}]}}"#
        );
        let wallet = WalletFile::parse(&file).expect("a file").wallets.remove(0);
        let import = WalletImport {
            company_id: wallet.company,
            as_of: wallet.as_of,
            balances: wallet.balances,
            activity: wallet.activity,
        };
        server
            .app
            .store
            .import_wallets(vec![import], &Actor::System, server.app.now())
            .await
            .expect("imports");
        Self { shop, company, link, customer, subscription, delivery, calls: AtomicU32::new(0) }
    }

    /// The route's path with this tenant's own things in it.
    fn path(&self, route: &Route) -> String {
        let things = [
            ("/companies/{id}", &self.company),
            ("/customers/{id}", &self.customer),
            ("/payment-links/{uid}", &self.link),
            ("/subscriptions/{id}", &self.subscription),
            ("/webhook-requests/{id}", &self.delivery),
        ];
        let path = things.iter().fold(route.path.to_owned(), |path, (pattern, id)| {
            let kind = pattern.split('{').next().expect("a pattern");
            path.replace(pattern, &format!("{kind}{id}"))
        });
        assert!(!path.contains('{'), "{path}: say here what stands in it");
        format!("{BASE}{path}")
    }

    /// A body with which the route does its work.
    fn body(&self, route: &Route) -> String {
        match (route.method, route.path) {
            ("GET" | "DELETE", _)
            | (
                "POST",
                "/makepay/webhook-requests/{id}/retry"
                | "/makepay/webhook-subscriptions/current/test",
            ) => String::new(),
            ("POST", "/makepay/payment-links") => {
                r#"{"payload":{"amount":"1","currency":"USDT"}}"#.to_owned()
            }
            ("POST" | "PATCH", "/makepay/customers" | "/makepay/customers/{id}") => {
                r#"{"name":"Changed"}"#.to_owned()
            }
            ("POST", "/makepay/subscriptions") => format!(
                r#"{{"customerId":"{}","amount":"1","currency":"EUR","interval":"month"}}"#,
                self.customer
            ),
            ("PATCH", "/makepay/subscriptions/{id}") => r#"{"description":"Changed"}"#.to_owned(),
            ("PATCH", "/makepay/payment-links/{uid}") => r#"{"metadata":{"a":1}}"#.to_owned(),
            ("PUT", "/makepay/settings") => r#"{"displayName":"Changed"}"#.to_owned(),
            ("PUT", "/makepay/webhook-subscriptions/current") => {
                r#"{"url":"https://shop.example/hook2"}"#.to_owned()
            }
            ("POST", "/makepay/webhook-secret") => "{}".to_owned(),
            (method, path) => panic!("{method} {path}: say here what it takes"),
        }
    }

    /// A request to a path with a body, with this tenant's token.
    fn request(&self, route: &Route, path: &str, body: &str) -> Request<Body> {
        let proof = self.shop.proof(route.method, path, &super::shop::Knobs::default());
        let mut request = self.shop.request_with(route.method, path, body, &proof);
        if route.method == "PUT" {
            request.headers_mut().insert(header::IF_MATCH, "*".parse().expect("a header"));
        }
        request
    }

    async fn send(&self, route: &Route, path: &str, body: &str) -> Answer {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.shop.server.send(self.request(route, path, body)).await
    }

    /// Everything that this tenant can see, as one text.
    async fn sees(&self) -> String {
        let mut seen = String::new();
        for route in ROUTES.iter().filter(|route| route.method == "GET") {
            let answer = self.send(route, &self.path(route), "").await;
            assert_eq!(answer.status.as_u16(), 200, "{}: {}", route.path, answer.body);
            seen.push_str(&answer.body);
        }
        seen
    }
}

/// Whether the guard and the owner's rule let a request pass. What waits or is disabled is refused by its state.
fn passed(answer: &Answer) -> bool {
    answer.status.is_success() || answer.status.as_u16() == 409
}

#[tokio::test]
async fn nothing_of_another_company_is_seen_or_changed() {
    let server = TestServer::start();
    let (own, foreign) =
        (Tenant::settle(&server, "own").await, Tenant::settle(&server, "foreign").await);
    let before = foreign.sees().await;
    for route in ROUTES {
        let body = own.body(route);
        if names_something(route) {
            let answer = own.send(route, &foreign.path(route), &body).await;
            assert_eq!(answer.status.as_u16(), 404, "{} {}", route.method, route.path);
            assert!(json(&answer)["error"].as_str().expect("a code").ends_with("_not_found"));
        }
        // The honest case: the same request for one's own.
        let answer = own.send(route, &own.path(route), &body).await;
        assert!(passed(&answer), "{} {}: {}", route.method, route.path, answer.body);
    }
    // Lists do not begin after what is another's, and a subscription is of no other's customer.
    for (list, cursor) in [
        ("/makepay/customers", &foreign.customer),
        ("/makepay/subscriptions", &foreign.subscription),
        ("/makepay/payment-links", &foreign.link),
    ] {
        let path = format!("{BASE}{list}");
        let proof = own.shop.proof("GET", &path, &super::shop::Knobs::default());
        let request = own.shop.request_with("GET", &format!("{path}?cursor={cursor}"), "", &proof);
        refused(&server.send(request).await, 400, "invalid_cursor");
    }
    let answer = own
        .shop
        .call("POST", "subscriptions", &foreign.body(&route("POST", "/makepay/subscriptions")))
        .await;
    refused(&answer, 400, "invalid_request");
    assert_eq!(json(&answer)["field"], "customerId");

    let seen = own.sees().await;
    for id in
        [&foreign.company, &foreign.link, &foreign.customer, &foreign.subscription, "entry-foreign"]
    {
        assert!(!seen.contains(id), "{id} is seen by another");
    }
    assert_eq!(foreign.sees().await, before, "something of another was changed");
}

/// What belongs to the company is all its integrations'; a payment link is its own integration's.
#[tokio::test]
async fn two_applications_of_a_company() {
    let server = TestServer::start();
    let (one, two) = (Tenant::settle(&server, "same").await, Tenant::settle(&server, "same").await);
    assert_ne!(one.shop.grant_id(), two.shop.grant_id());
    for route in ROUTES.iter().filter(|route| names_something(route)) {
        let answer = two.send(route, &one.path(route), &two.body(route)).await;
        let of_a_grant = ["/payment-links/", "/webhook-requests/"];
        let shared = !of_a_grant.iter().any(|kind| route.path.contains(kind));
        assert_eq!(passed(&answer), shared, "{} {}", route.method, route.path);
        if !shared {
            assert_eq!(answer.status.as_u16(), 404, "{} {}", route.method, route.path);
        }
    }
    let links = two.shop.call("GET", "payment-links", "").await;
    assert!(!links.body.contains(&one.link));
}

#[tokio::test]
async fn every_route_wants_its_own_scope() {
    let server = TestServer::start();
    let mut own = Tenant::settle(&server, "own").await;
    let whole = own.shop.token.clone();
    for route in ROUTES {
        own.shop.token = own.shop.without(route.scope);
        let answer = own.send(route, &own.path(route), &own.body(route)).await;
        refused(&answer, 403, "insufficient_scope");
        assert!(answer.header("www-authenticate").contains(route.scope), "{}", route.path);
        // And it alone is enough.
        let alone = ScopeSet::from_names([route.scope]).expect("a scope");
        own.shop.token = own.shop.token_with(|claims| claims.scope = alone);
        let answer = own.send(route, &own.path(route), &own.body(route)).await;
        assert!(passed(&answer), "{} {}: {}", route.method, route.path, answer.body);
        own.shop.token.clone_from(&whole);
    }
}

#[tokio::test]
async fn no_route_takes_a_bound_token_as_bearer_or_none_at_all() {
    let server = TestServer::start();
    let own = Tenant::settle(&server, "own").await;
    let before = own.sees().await;
    for route in ROUTES {
        let (path, body) = (own.path(route), own.body(route));
        let mut bearer = own.request(route, &path, &body);
        let value = format!("Bearer {}", own.shop.token).parse().expect("a header");
        bearer.headers_mut().insert(header::AUTHORIZATION, value);
        refused(&server.send(bearer).await, 401, "invalid_token");
        let mut bare = own.request(route, &path, &body);
        bare.headers_mut().remove(header::AUTHORIZATION);
        refused(&server.send(bare).await, 401, "invalid_token");
        let mut unproven = own.request(route, &path, &body);
        unproven.headers_mut().remove("dpop");
        refused(&server.send(unproven).await, 401, "invalid_dpop_proof");
    }
    assert_eq!(own.sees().await, before);
}

/// Nothing is behind a second spelling of an address, where the guard might not stand.
#[tokio::test]
async fn no_route_has_a_twin() {
    let server = TestServer::start();
    let own = Tenant::settle(&server, "own").await;
    for route in ROUTES {
        let (path, body) = (own.path(route), own.body(route));
        let (parent, last) = path.rsplit_once('/').expect("a path");
        let (first, rest) = last.split_at(1);
        for twin in [
            format!("{path}/"),
            format!("/{path}"),
            format!("{parent}//{last}"),
            format!("{parent}/./{last}"),
            format!("{path}/../{last}"),
            format!("{path};x"),
            format!("{parent}/%{:02x}{rest}", first.as_bytes()[0]),
            path.to_ascii_uppercase(),
        ] {
            let mut bare = own.request(route, &twin, &body);
            bare.headers_mut().remove(header::AUTHORIZATION);
            let status = server.send(bare).await.status.as_u16();
            assert!(matches!(status, 401 | 404 | 405), "{} {twin}: {status}", route.method);
            let status = own.send(route, &twin, &body).await.status.as_u16();
            assert!(matches!(status, 404 | 405), "{} {twin}: {status}", route.method);
        }
    }
}

#[tokio::test]
async fn no_route_outlives_the_grant() {
    let server = TestServer::start();
    let own = Tenant::settle(&server, "own").await;
    let now = server.app.now();
    server
        .app
        .store
        .end_grant(own.shop.grant_id(), EndReason::Revoked, &Actor::System, now)
        .await
        .expect("ends");
    for route in ROUTES {
        let answer = own.send(route, &own.path(route), &own.body(route)).await;
        refused(&answer, 401, "invalid_token");
    }
    assert!(own.calls.load(Ordering::SeqCst) >= u32::try_from(ROUTES.len()).expect("few"));
}

fn route(method: &str, path: &str) -> Route {
    *ROUTES.iter().find(|route| (route.method, route.path) == (method, path)).expect("a route")
}

#[tokio::test]
async fn a_client_has_so_many_requests_a_minute() {
    let server = TestServer::with(|config| config.limits.partner_requests_per_minute = 3);
    let (one, two) = (
        Shop::connect(&server, "wordpress", "one").await,
        Shop::connect(&server, "wordpress", "two").await,
    );
    for _ in 0..3 {
        ok(&one.call("GET", "payment-links", "").await, 200);
    }
    let answer = one.call("GET", "payment-links", "").await;
    refused(&answer, 429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), "20");
    ok(&two.call("GET", "payment-links", "").await, 200);
    server.clock.advance(20);
    let body: Value = ok(&one.call("GET", "payment-links", "").await, 200);
    assert_eq!(body["nextCursor"], Value::Null);
}
