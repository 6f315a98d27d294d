//! The stage for the integration tests and the benchmark: the real server and the real daemon as processes, a store
//! with a key of its own, and a merchant with a browser.

mod browser;
mod daemon;
mod process;
mod server;
mod store;

pub use self::{
    browser::{Browser, Decision},
    daemon::{Daemon, LocalAnswer},
    process::{free_port, until},
    server::{MERCHANT_EMAIL, MERCHANT_PASSWORD, Server},
    store::{Key, Store, Tokens, now, random_name, read_tokens},
};
