//! Every route of the partner API with the scope that it needs. The router, the metadata, the description and the
//! tests of who may what are all made from this table, so no route stands outside of the guard or of the tests.

use std::{collections::BTreeSet, pin::Pin};

use axum::{body::Body, response::Response};

use super::{call::Call, customers, deliveries, links, settings, subscriptions, wallets, webhooks};
use crate::http::error::Refusal;

/// What every path of the table begins with.
pub(in crate::http) const BASE: &str = "/api/partner/v1";

/// What a handler comes to.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// A handler: what passed the guard, and the body that was sent.
pub(super) type Handler = fn(Call, Body) -> Answering;

/// One route.
#[derive(Clone, Copy)]
pub(in crate::http) struct Route {
    /// The method, in capitals. `HEAD` goes where `GET` does.
    pub(in crate::http) method: &'static str,
    /// The path below [`BASE`], as the router takes it: `/makepay/payment-links/{uid}`.
    pub(in crate::http) path: &'static str,
    /// The one scope that opens it.
    pub(in crate::http) scope: &'static str,
    /// What answers.
    pub(super) handler: Handler,
}

/// Rows of the table: method, path, scope, handler.
macro_rules! routes {
    ($($method:ident $path:literal $scope:literal $handler:path;)+) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            scope: $scope,
            handler: |call, body| Box::pin($handler(call, body)),
        }),+]
    };
}

/// The table.
pub(in crate::http) const ROUTES: &[Route] = routes! {
    GET    "/company"                               "company:read"                settings::company;
    GET    "/companies/{id}/wallet/balances"        "wallet:balances:read"        wallets::balances;
    GET    "/companies/{id}/wallet/activity"        "wallet:activity:read"        wallets::activity;
    GET    "/makepay/branding"                      "makepay:settings:read"       settings::branding;
    GET    "/makepay/customers"                     "makepay:customers:read"      customers::list;
    POST   "/makepay/customers"                     "makepay:customers:write"     customers::create;
    GET    "/makepay/customers/{id}"                "makepay:customers:read"      customers::read;
    PATCH  "/makepay/customers/{id}"                "makepay:customers:write"     customers::change;
    GET    "/makepay/payment-links"                 "makepay:payment-links:read"  links::list;
    POST   "/makepay/payment-links"                 "makepay:payment-links:write" links::create;
    GET    "/makepay/payment-links/{uid}"           "makepay:payment-links:read"  links::read;
    PATCH  "/makepay/payment-links/{uid}"           "makepay:payment-links:write" links::change;
    GET    "/makepay/webhook-requests"              "makepay:webhooks:read"       deliveries::list;
    POST   "/makepay/webhook-requests/{id}/retry"   "makepay:webhooks:write"      deliveries::retry;
    GET    "/makepay/settings"                      "makepay:settings:read"       settings::read;
    PUT    "/makepay/settings"                      "makepay:settings:write"      settings::put;
    GET    "/makepay/subscriptions"                 "makepay:subscriptions:read"  subscriptions::list;
    POST   "/makepay/subscriptions"                 "makepay:subscriptions:write" subscriptions::create;
    GET    "/makepay/subscriptions/{id}"            "makepay:subscriptions:read"  subscriptions::read;
    PATCH  "/makepay/subscriptions/{id}"            "makepay:subscriptions:write" subscriptions::change;
    POST   "/makepay/webhook-secret"                "makepay:settings:write"      webhooks::rotate_secret;
    GET    "/makepay/webhook-subscriptions/current" "makepay:webhooks:read"       webhooks::read;
    PUT    "/makepay/webhook-subscriptions/current" "makepay:webhooks:write"      webhooks::put;
    DELETE "/makepay/webhook-subscriptions/current" "makepay:webhooks:write"      webhooks::disable;
    POST   "/makepay/webhook-subscriptions/current/test" "makepay:webhooks:write" deliveries::test;
};

/// The paths, each once.
pub(in crate::http) fn paths() -> BTreeSet<&'static str> {
    ROUTES.iter().map(|route| route.path).collect()
}

/// The scopes that open something, each once.
pub(in crate::http) fn scopes() -> BTreeSet<&'static str> {
    ROUTES.iter().map(|route| route.scope).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::scopes;

    #[test]
    fn no_route_is_there_twice() {
        let routes: BTreeSet<_> = ROUTES.iter().map(|route| (route.path, route.method)).collect();
        assert_eq!(routes.len(), ROUTES.len());
    }

    #[test]
    fn every_scope_that_people_read_about_opens_something() {
        let in_words: BTreeSet<_> = scopes::ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(super::scopes(), in_words);
    }

    #[test]
    fn what_reads_needs_no_scope_to_write() {
        for Route { method, path, scope, .. } in ROUTES {
            assert_eq!(*method == "GET", scope.ends_with(":read"), "{method} {path}: {scope}");
        }
    }
}
