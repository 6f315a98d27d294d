//! The OAuth server of a payment platform: native installations, DPoP-bound tokens, the partner API.

mod app;
mod clock;
mod config;
mod files;
mod http;
mod keys;
mod limits;
mod oauth;
mod password;
mod profiles;
mod replay;
mod store;
#[cfg(test)]
mod testing;
mod vault;

fn main() {}
