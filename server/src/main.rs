//! The OAuth server of a payment platform: native installations, DPoP-bound tokens, the partner API.

mod app;
mod audit;
mod backup;
mod cli;
mod clock;
mod config;
mod data;
mod events;
mod files;
mod gateway;
mod http;
mod icon;
mod keys;
mod last_access;
mod limits;
mod mail;
mod oauth;
mod oidc;
mod outbound;
mod ownership;
mod partner;
mod password;
mod payments;
mod people;
mod profiles;
mod replay;
mod serving;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tidy;
mod trail;
mod vault;
mod webhooks;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request is hundreds of small allocations, made on one thread and often freed on another.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
