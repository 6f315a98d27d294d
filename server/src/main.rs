//! The OAuth server of a payment platform: native installations, DPoP-bound tokens, the partner API.

mod app;
mod clock;
mod config;
mod files;
mod http;
mod keys;
mod limits;
mod oauth;
mod profiles;
mod replay;
mod store;
mod vault;

fn main() {}
