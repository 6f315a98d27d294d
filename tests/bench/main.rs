//! `make bench`: real DPoP refreshes against the real server, real proofs and calls through the real daemon, and the
//! machine's own ES256 rate and an ssh-agent beside them, so that the figures are ratios of one run.

mod agent;
mod daemon;
mod gateway;
mod load;
mod machine;
mod report;
mod stub;

use anyhow::{Context as _, Result};
use world::{Browser, Server, Store};

use crate::{
    load::{Connections, refreshes},
    machine::{CpuClock, Es256, es256},
    report::Report,
};

/// Stores that refresh side by side.
const STORES: usize = 32;
/// Refreshes of each store in a measurement.
const REFRESHES: usize = 500;

#[tokio::main]
async fn main() -> Result<()> {
    let mut report = Report::default();
    let cores = std::thread::available_parallelism()?.get();
    let (alone, together) = (es256(1)?, es256(cores)?);
    for (measured, on) in [(&alone, 1), (&together, cores)] {
        report.line(format!(
            "openssl speed, ES256, {on} at a time: sign {:.1} us, verify {:.1} us",
            measured.sign_us, measured.verify_us
        ));
    }

    // `bench server`, `bench gateway` and `bench daemon` measure one part alone.
    let only = std::env::args().nth(1);
    let wanted = |half: &str| only.as_deref().is_none_or(|only| only == half);
    if wanted("server") {
        measure_server(&mut report, &alone, &together).await?;
    }
    if wanted("gateway") {
        gateway::measure(&mut report).await?;
    }
    if wanted("daemon") {
        daemon::measure_all(&mut report).await?;
    }
    report.print();
    Ok(())
}

/// Refreshes against the server, stores side by side.
async fn measure_server(report: &mut Report, alone: &Es256, together: &Es256) -> Result<()> {
    let server = Server::start_with(&[
        ("COUNTERFOIL_LIMITS_REGISTRATIONS_PER_MINUTE", "100000"),
        ("COUNTERFOIL_LIMITS_TOKEN_REQUESTS_PER_MINUTE", "10000000"),
    ])
    .await?;
    let mut browser = Browser::new()?;
    let mut stores = Vec::new();
    for n in 0..STORES {
        let (store, tokens) =
            Store::connect(&server, &format!("http://127.0.0.1:{}", 20_000 + n), &mut browser)
                .await?;
        let token = tokens.refresh_token.context("a refresh token")?.expose().to_owned();
        stores.push((store, token));
    }

    for connections in [Connections::Kept, Connections::PerRequest] {
        let cpu = CpuClock::of(server.pid())?;
        let measured = refreshes(&server.issuer(), &mut stores, connections, REFRESHES).await?;
        let cpu_us = cpu.elapsed_us()? / measured.count();
        report.measurement(&format!("refresh, {connections}"), &measured, Some(cpu_us));
        report.line(format!(
            "    = {:.2} times one ES256 verify plus one sign (aim: at most 2.5); {:.2} times with all cores at it",
            cpu_us / (alone.sign_us + alone.verify_us),
            cpu_us / (together.sign_us + together.verify_us)
        ));
    }
    Ok(())
}
