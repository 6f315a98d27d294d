//! The pages people see, and what they are made with: sessions, forms that only we can have shown, one stylesheet.

mod account;
mod applications;
mod asset;
mod color;
mod confirmation;
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
mod hand_over;
mod home;
mod invitation;
pub mod moment;
mod open;
mod password;
mod payment;
pub mod people;
mod problem;
pub mod session;
pub mod sign_in;
pub mod step_up;
mod told;
pub mod visitor;
mod webhooks;

use std::sync::Arc;

use axum::{Router, routing::get};

use self::{
    cookie::Cookie,
    guard::Pages,
    open::{looked_at, posted},
};
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
        .route(
            "/forgotten-password",
            looked_at(forgotten::ask).merge(posted(Cookie::Visit, forgotten::send)),
        )
        .route(
            "/invitation",
            looked_at(invitation::show).merge(posted(Cookie::Visit, invitation::accept)),
        )
        .route("/payment/{uid}", get(payment::show))
        .route(
            "/reset-password",
            looked_at(forgotten::show).merge(posted(Cookie::Visit, forgotten::finish)),
        )
        .route("/sign-in", looked_at(sign_in::show).merge(posted(Cookie::Visit, sign_in::sign_in)))
        .route(
            sign_in::code::PATH,
            looked_at(sign_in::code::show).merge(posted(Cookie::Session, sign_in::code::prove)),
        )
        .route("/sign-in/oidc", posted(Cookie::Visit, sign_in::provider::begin))
        .route("/sign-in/oidc/link", posted(Cookie::Visit, sign_in::provider::link::prove))
        .route("/sign-in/oidc/{name}/callback", looked_at(sign_in::provider::come_back))
        .route("/sign-out", posted(Cookie::Session, sign_in::sign_out))
        .route(hand_over::LEAVE, looked_at(hand_over::leave))
        .route(hand_over::ARRIVE, looked_at(hand_over::arrive))
        .route(hand_over::SIGNED_OUT, looked_at(hand_over::signed_out))
        .merge(guarded().router())
}

#[cfg(test)]
mod tests;
