//! `make bench`: real DPoP refreshes against the real server, real proofs from the real daemon, and the machine's own
//! ES256 rate beside them, so that the figures are ratios of one run.

mod load;
mod machine;
mod report;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use world::{Browser, Daemon, Decision, Server, Store};

use crate::{
    load::{Connections, refreshes},
    machine::{CpuClock, es256},
    report::Report,
};

/// Stores that refresh side by side.
const STORES: usize = 32;
/// Refreshes of each store in a measurement.
const REFRESHES: usize = 500;
/// Proofs in a measurement.
const PROOFS: usize = 4_000;
/// A daemon that lets one caller ask as often as it likes.
const UNLIMITED: &str =
    "proofs = true\n[local.limits]\ncalls_per_second = 1000000\ncalls_burst = 1000000";

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
        report.measurement(&format!("refresh, {connections}"), &measured, cpu_us);
        report.line(format!(
            "    = {:.2} times one ES256 verify plus one sign (aim: at most 2.5); {:.2} times with all cores at it",
            cpu_us / (alone.sign_us + alone.verify_us),
            cpu_us / (together.sign_us + together.verify_us)
        ));
    }

    let daemon = Daemon::start(&server.issuer(), "http://127.0.0.1:19999", UNLIMITED).await?;
    let connected = daemon.connect(&mut browser, Decision::Approve).await?;
    ensure!(connected.status == 200, "connecting the daemon: {connected:?}");
    let body = json!({ "method": "GET", "url": format!("{}/api/partner/v1/makepay/payment-links", server.issuer()) });
    for connections in [Connections::PerRequest, Connections::Kept] {
        let cpu = CpuClock::of(daemon.pid())?;
        let measured = load::proofs(&daemon.socket(), &body.to_string(), connections, PROOFS)?;
        let cpu_us = cpu.elapsed_us()? / measured.count();
        report.measurement(&format!("proof over the socket, {connections}"), &measured, cpu_us);
    }
    report.print();
    Ok(())
}
