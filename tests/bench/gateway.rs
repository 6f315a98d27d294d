//! Gateway mode: calls to an API behind the guard, beside the same calls to the partner API.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use world::{Browser, Server, Store};

use crate::{load::calls, machine::CpuClock, report::Report, stub};

/// Stores that call side by side.
const STORES: usize = 16;
/// Calls of each store in a measurement.
const CALLS: usize = 500;

/// Measures both kinds of call, one after the other.
pub async fn measure(report: &mut Report) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new()?;
    write!(
        file,
        "[[upstream]]\nname = \"stub\"\nprefix = \"/v1/stub\"\nurl = \"{}\"\n\
         rules = [{{ methods = [\"GET\"], scopes = [\"company:read\"] }}]\n",
        stub::start()?
    )?;
    let server = Server::start_with(&[
        ("COUNTERFOIL_CONFIG", file.path().to_str().context("a plain name")?),
        ("COUNTERFOIL_LIMITS_PARTNER_REQUESTS_PER_MINUTE", "10000000"),
        ("COUNTERFOIL_LOG", "warn"),
    ])
    .await?;
    let mut browser = Browser::new()?;
    let mut stores = Vec::new();
    for n in 0..STORES {
        let site = format!("http://127.0.0.1:{}", 21_000 + n);
        let (store, tokens) = Store::connect(&server, &site, &mut browser).await?;
        stores.push((store, tokens.access_token.expose().to_owned()));
    }
    let mut cost = Vec::new();
    for (what, path) in
        [("call, partner API", "/api/partner/v1/company"), ("call, gateway", "/v1/stub/7")]
    {
        let cpu = CpuClock::of(server.pid())?;
        let measured = calls(&server.issuer(), &mut stores, path, CALLS).await?;
        let cpu_us = cpu.elapsed_us()? / measured.count();
        report.measurement(&format!("{what}, connection kept"), &measured, Some(cpu_us));
        cost.push(cpu_us);
    }
    if let [own, forwarded] = cost.as_slice() {
        report.line(format!(
            "    = {:.2} times the CPU of a call of the partner API",
            forwarded / own
        ));
    }
    Ok(())
}
