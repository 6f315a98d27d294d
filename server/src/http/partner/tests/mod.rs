//! Stories at the partner API, told through the router.

mod companies;
mod guard;
mod links;
mod shop;
mod tenancy;
mod webhooks;
