//! Thousands of damaged requests at the sockets of a real daemon: each is answered properly or not at all.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};
use world::{Daemon, in_memory};

use crate::dice::Dice;

/// Mutations of the corpus.
const MUTATIONS: usize = 3_000;

/// A request that never ends is not answered: after this long without a byte it is looked whether the daemon is at leisure,
/// and after as long again no more is expected.
const SILENCE: Duration = Duration::from_millis(8);

/// What is put into requests.
const WORDS: [&str; 12] = [
    "\r\n",
    "\r\n\r\n",
    "Host: localhost\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 5\r\n",
    "HTTP/1.0",
    "//evil.example",
    "/../",
    "%2f",
    "\0",
    "{\"a\":1}",
    "Counterfoil-Site: a; 1; /\r\n",
];

fn corpus() -> Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/surface");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.iter().map(|path| Ok(std::fs::read(path)?)).collect()
}

fn mutate(entry: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = entry.to_vec();
    for _ in 0..=dice.among(3) {
        let at = dice.among(bytes.len() + 1);
        match dice.among(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.among(8),
            1 => bytes.truncate(at),
            2 => drop(bytes.splice(at..at, WORDS[dice.among(WORDS.len())].bytes())),
            3 => drop(bytes.drain(at..(at + dice.among(24)).min(bytes.len()))),
            4 => bytes.extend_from_slice(other),
            _ => {
                let again = bytes[at..(at + dice.among(64)).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, again));
            }
        }
    }
    bytes
}

/// Sends raw bytes and reads what comes until the connection ends, or nothing comes any more.
async fn throw(daemon: &Daemon, socket: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).await.context("the daemon does not listen")?;
    // A refusal may come before everything is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let mut read = timeout(SILENCE, stream.read(&mut part)).await;
        if read.is_err() {
            // Silence of a daemon that is slow means nothing: it must have had time for somebody who came later.
            daemon.owners_call(Method::GET, "/v1/status", None).await?;
            read = timeout(SILENCE, stream.read(&mut part)).await;
        }
        let Ok(Ok(length @ 1..)) = read else { return Ok(answer) };
        answer.extend_from_slice(&part[..length]);
    }
}

#[tokio::test]
async fn damaged_requests_do_no_damage() -> Result<()> {
    let site = "http://127.0.0.1:18088";
    let mut daemon = Daemon::prepare(in_memory()?, "http://127.0.0.1:1", site, "")?;
    daemon.resume().await?;
    let before = daemon.call(Method::GET, "/v1/status", None).await?.body;
    let entries = corpus()?;
    let mut dice = Dice(7);
    let sockets = [daemon.socket(), daemon.path("admin.sock")];
    let mut answered = 0;
    for number in 0..entries.len() * 2 + MUTATIONS {
        let bytes = if let Some(entry) = entries.get(number / 2) {
            entry.clone()
        } else {
            let (entry, other) = (dice.among(entries.len()), dice.among(entries.len()));
            mutate(&entries[entry], &entries[other], &mut dice)
        };
        let answer = throw(&daemon, &sockets[number % 2], &bytes).await?;
        let head = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        let shown = || String::from_utf8_lossy(&bytes).into_owned();
        ensure!(head.is_empty() || head.starts_with("HTTP/1."), "{head} to {}", shown());
        ensure!(!head.ends_with(" 500"), "a failure of its own to {}", shown());
        answered += usize::from(!answer.is_empty());
    }
    ensure!(answered > MUTATIONS / 2, "only {answered} were answered");
    let log = daemon.log()?;
    ensure!(!log.contains("panicked"), "a panic:\n{log}");
    let after = daemon.call(Method::GET, "/v1/status", None).await?.body;
    ensure!(after["thumbprint"] == before["thumbprint"], "{before} became {after}");
    ensure!(after["company"].is_null(), "somebody connected: {after}");
    Ok(())
}
