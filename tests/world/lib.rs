//! The stage for the integration tests and the benchmark: the real server and the real daemon as processes, a store
//! with a key of its own, and a merchant with a browser.

mod api;
mod browser;
mod daemon;
mod front;
mod manager;
mod picture;
mod process;
mod raw;
mod server;
mod shim;
mod store;
mod talk;

pub use self::{
    api::{Api, Exchange},
    browser::{Browser, Decision},
    daemon::{Daemon, LocalAnswer, Settings},
    front::{Behaviour, Forgery, Front, Secrets, Seen, Step},
    manager::Manager,
    process::{free_port, in_memory, until},
    raw::{Line, Place, RawAnswer},
    server::{MERCHANT_EMAIL, MERCHANT_PASSWORD, Server},
    shim::{EIO, ENOSPC, EROFS, Fault, Loss, Shim},
    store::{Key, Store, Tokens, now, random_name, read_tokens},
    talk::Talk,
};
