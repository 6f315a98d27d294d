//! The pages people see, and what they are made with: sessions, forms that only we can have shown, one stylesheet.

mod account;
mod applications;
mod asset;
mod color;
mod connections;
pub mod consent;
mod cookie;
mod dashboard;
pub mod error;
mod factor;
mod forgotten;
pub mod form;
pub mod frame;
pub mod guard;
mod home;
mod invitation;
mod moment;
mod payment;
pub mod people;
pub mod session;
pub mod sign_in;
pub mod step_up;
mod told;
mod visitor;
mod webhooks;

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
    let pages = account::pages(home::pages(Pages::default()));
    people::pages(webhooks::pages(applications::pages(connections::pages(pages))))
}

/// The routes of the pages.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/assets/icon.svg", get(asset::icon))
        .route("/assets/style.css", get(asset::stylesheet))
        .route("/icons/{name}", get(applications::serve_icon))
        .route("/forgotten-password", get(forgotten::ask).post(forgotten::send))
        .route("/invitation", get(invitation::show).post(invitation::accept))
        .route("/payment/{uid}", get(payment::show))
        .route("/reset-password", get(forgotten::show).post(forgotten::finish))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route(sign_in::code::PATH, get(sign_in::code::show).post(sign_in::code::prove))
        .route("/sign-out", post(sign_in::sign_out))
        .merge(guarded().router())
}

#[cfg(test)]
mod tests;
