//! Stories at the partner API, told through the router.

mod guard;
mod links;
mod shop;
mod webhooks;
