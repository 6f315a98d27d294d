//! The pages people see, and what they are made with: sessions, forms that only we can have shown, one stylesheet.

mod applications;
mod asset;
mod color;
mod connections;
pub mod consent;
mod cookie;
mod dashboard;
pub mod error;
pub mod form;
pub mod frame;
pub mod guard;
mod home;
mod moment;
mod payment;
pub mod session;
pub mod sign_in;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use self::guard::Pages;
use crate::app::App;

/// The pages of people who are signed in.
#[must_use]
pub fn guarded() -> Pages {
    applications::pages(connections::pages(home::pages(Pages::default())))
}

/// The routes of the pages.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/assets/icon.svg", get(asset::icon))
        .route("/assets/style.css", get(asset::stylesheet))
        .route("/icons/{name}", get(applications::serve_icon))
        .route("/payment/{uid}", get(payment::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .merge(guarded().router())
}

#[cfg(test)]
mod tests;
