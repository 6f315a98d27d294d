//! The daemon: proofs, forwarded calls, a renewal that hangs, its start and its memory, beside an ssh-agent.

use std::{fs, io::Write as _, os::unix::net::UnixStream, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use world::{Behaviour, Browser, Daemon, Decision, Front, Server, Settings, Step};

use crate::{
    agent::Agent,
    load::{Connections, Measured, measure, now, read_answer},
    machine::CpuClock,
    report::Report,
    stub,
};

/// Requests in a measurement.
const REQUESTS: usize = 4_000;
/// Calls after which memory is looked at again.
const MANY: usize = 100_000;
/// Starts that are timed.
const STARTS: usize = 10;
/// How long a token lives that is renewed while it is measured, in seconds.
const LIFETIME: &str = "40";

/// One caller may ask as often as he likes.
const UNLIMITED: &str =
    "proofs = true\n[local.limits]\ncalls_per_second = 10000000\ncalls_burst = 10000000";

/// Measures all of it.
pub async fn measure_all(report: &mut Report) -> Result<()> {
    let front = Front::listen().await?;
    let server =
        Server::start_behind(&front, &[("COUNTERFOIL_LIFETIMES_ACCESS_TOKEN", LIFETIME)]).await?;
    let api = stub::start()?;
    let store = format!("api_base = \"{api}/api/partner/v1\"");
    let settings = Settings { store: &store, local: UNLIMITED, ..Settings::default() };
    let mut daemon =
        Daemon::start_with(&front.issuer(), "http://127.0.0.1:19999", settings).await?;
    let idle = memory(&daemon)?;
    let connected = daemon.connect(&mut Browser::new()?, Decision::Approve).await?;
    ensure!(connected.status == 200, "connecting the daemon: {connected:?}");

    let url = format!("{api}/api/partner/v1/makepay/payment-links");
    let proof = request("POST /v1/proofs", &json!({ "method": "GET", "url": url }).to_string());
    let call = request("GET /v1/api/makepay/payment-links", "");
    let agent = Agent::start().await?;
    for connections in [Connections::PerRequest, Connections::Kept] {
        let signed = agent.signatures(connections, REQUESTS)?;
        report.measurement(&format!("ssh-agent, P-256 signature, {connections}"), &signed, None);
        let what = format!("proof over the socket, {connections}");
        let proved = asked(report, &what, &daemon, &proof, connections, REQUESTS)?;
        report.ratio("one signature of the ssh-agent", &proved, &signed);
        let what = format!("forwarded call, {connections}");
        let called = asked(report, &what, &daemon, &call, connections, REQUESTS)?;
        report.ratio("one signature of the ssh-agent", &called, &signed);
    }

    front.script(Step::Refresh, &[Behaviour::Hold; 8]);
    world::until("a renewal hangs", async || (front.count(Step::Refresh) > 0).then_some(()))
        .await?;
    for (what, request) in [("proof", &proof), ("forwarded call", &call)] {
        let what = format!("{what} while a renewal hangs, connection kept");
        asked(report, &what, &daemon, request, Connections::Kept, REQUESTS)?;
    }
    front.be_honest();

    let busy = memory(&daemon)?;
    load(&daemon, &call, Connections::Kept, MANY)?;
    let after = memory(&daemon)?;
    for (when, memory) in [
        ("idle, not connected".to_owned(), idle),
        ("after the measurements above".to_owned(), busy),
        (format!("after {MANY} more forwarded calls (aim: 12 MB)"), after),
    ] {
        report.line(format!("daemon's memory, {when}: {memory}"));
    }

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        daemon.stop().await?;
        starts.push(start(&mut daemon).await?);
    }
    starts.sort_unstable();
    let ms = |at: usize| starts.get(at).map_or(0.0, |start| start.as_secs_f64() * 1e3);
    report.line(format!(
        "daemon's start until status is answered: fastest {:.0} ms, middle {:.0} ms, slowest {:.0} ms (aim: 50 ms)",
        ms(0),
        ms(STARTS / 2),
        ms(STARTS - 1)
    ));
    drop(server);
    Ok(())
}

/// A request of a plugin's, without its final empty line's neighbour `Connection`.
fn request(line: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\ncounterfoil-client: bench/1.0\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn asked(
    report: &mut Report,
    what: &str,
    daemon: &Daemon,
    request: &str,
    connections: Connections,
    count: usize,
) -> Result<Measured> {
    let cpu = CpuClock::of(daemon.pid())?;
    let measured = load(daemon, request, connections, count)?;
    report.measurement(what, &measured, Some(cpu.elapsed_us()? / measured.count()));
    Ok(measured)
}

/// Asks the daemon, one request after another, as a PHP worker does: blocking, without a runtime of its own.
fn load(
    daemon: &Daemon,
    request: &str,
    connections: Connections,
    count: usize,
) -> Result<Measured> {
    let request = match connections {
        Connections::PerRequest => request.replacen("\r\n", "\r\nconnection: close\r\n", 1),
        Connections::Kept => request.to_owned(),
    };
    let socket = daemon.socket();
    measure(
        connections,
        count,
        || Ok(UnixStream::connect(&socket)?),
        |stream| {
            stream.write_all(request.as_bytes())?;
            let answer = read_answer(stream)?;
            ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            Ok(())
        },
    )
}

/// Time from the start of the process until it has answered for the state of the connection.
async fn start(daemon: &mut Daemon) -> Result<Duration> {
    let begun = now();
    daemon.resume().await?;
    let mut stream = UnixStream::connect(daemon.socket())?;
    stream.write_all(request("GET /v1/status", "").as_bytes())?;
    let answer = read_answer(&mut stream)?;
    let took = begun.elapsed();
    ensure!(answer.contains("\"connected\""), "{answer}");
    Ok(took)
}

/// Resident memory: all of it, and what it does not share with other processes (proc(5)).
fn memory(daemon: &Daemon) -> Result<String> {
    let field = |file: &str, name: &str| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", daemon.pid())).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1_024.0)
    };
    let resident = field("status", "VmRSS:").context("VmRSS")?;
    // The daemon cannot be looked into by its own user; root can.
    Ok(match field("smaps_rollup", "Pss:") {
        Some(share) => format!("RSS {resident:.1} MB, PSS {share:.1} MB"),
        None => format!("RSS {resident:.1} MB"),
    })
}
