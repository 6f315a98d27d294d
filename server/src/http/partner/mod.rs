//! The partner API, the server's own first protected resource.

mod call;
pub(in crate::http) mod challenge;
mod conditional;
mod customers;
mod deliveries;
mod description;
pub(in crate::http) mod guard;
mod links;
mod metadata;
mod page;
mod settings;
mod subscriptions;
mod table;
mod wallets;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    http::Method,
    routing::{MethodFilter, MethodRouter, get},
};

use self::{guard::guarded, table::ROUTES};
use crate::app::App;

/// The routes of the table, each behind the guard, and the metadata and the description, which anybody may read.
pub fn routes() -> Router<Arc<App>> {
    let public = Router::new()
        .route("/.well-known/oauth-protected-resource", get(metadata::resource))
        .route(metadata::PATH, get(metadata::resource))
        .route(description::PATH, get(description::show));
    table::paths().into_iter().fold(public, |router, path| {
        let methods = ROUTES.iter().filter(|route| route.path == path).fold(
            MethodRouter::new(),
            |methods, route| {
                let method: Method = route.method.parse().expect("the table names methods");
                let filter = MethodFilter::try_from(method).expect("the table names plain methods");
                methods.on(filter, guarded(route.scope, route.handler))
            },
        );
        router.route(&format!("{}{path}", table::BASE), methods)
    })
}

#[cfg(test)]
mod tests;
