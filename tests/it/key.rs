//! Another key, and the connection stays.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::Value;
use world::{Behaviour, Browser, Daemon, Decision, Front, LocalAnswer, Server, Step, until};

const SITE: &str = "http://127.0.0.1:18084";

async fn status(daemon: &Daemon) -> Result<Value> {
    Ok(daemon.call(Method::GET, "/v1/status", None).await?.body)
}

/// A call whose token the API refuses once, so that the daemon asks for another.
async fn refused_once(front: &Front, daemon: &Daemon) -> Result<LocalAnswer> {
    front.script(Step::Api, &[Behaviour::RejectToken]);
    daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await
}

/// Runs a command; answers its exit code and what it said.
fn command(daemon: &Daemon, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = daemon.command(arguments)?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

/// The key files in the state directory.
fn key_files(daemon: &Daemon) -> Result<Vec<String>> {
    let names = std::fs::read_dir(daemon.path("state"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| name.starts_with("key")).collect())
}

// A second thread for the front, which the daemon asks while this one waits for a command.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_changed_key_keeps_the_approval() -> Result<()> {
    let front = Front::listen().await?;
    let _server = Server::start_behind(&front, &[]).await?;
    let mut daemon = Daemon::start(&front.issuer(), SITE, "").await?;
    assert_eq!(daemon.connect(&mut Browser::new()?, Decision::Approve).await?.status, 200);
    let mut before = status(&daemon).await?;

    // Twice, so that each slot has its turn.
    for _ in 0..2 {
        let mut after = before.clone();
        // And twice in a row.
        for _ in 0..2 {
            let (code, said) = command(&daemon, &["key", "rotate"])?;
            assert_eq!(code, Some(0), "{said}");
            let now = status(&daemon).await?;
            assert_ne!(now["thumbprint"], after["thumbprint"]);
            after = now;
        }
        for member in ["state", "company", "grant_id", "connected_at", "client_id"] {
            assert_eq!(after[member], before[member], "{member}");
        }
        let called = daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await?;
        assert_eq!(called.status, 200, "{called:?}");

        // Killed now, the daemon goes on with the new key; a renewal by it ends the former one.
        daemon.kill()?;
        daemon.resume().await?;
        assert_eq!(refused_once(&front, &daemon).await?.status, 200);
        until("the former key to go", || async {
            let shown = command(&daemon, &["key", "show"]).ok()?.1;
            let gone = key_files(&daemon).ok()?.len() == 1;
            (gone && shown.trim().lines().count() == 1).then_some(())
        })
        .await?;
        let now = status(&daemon).await?;
        assert_eq!(
            (&now["thumbprint"], &now["state"]),
            (&after["thumbprint"], &"connected".into())
        );
        assert_eq!(now["recoveries"]["count"], 0, "nothing had to be recovered");
        before = now;
    }

    // And the server has the new key: a lost family is recovered by it.
    daemon.stop().await?;
    let (journal, backup) = (daemon.path("state/journal.db"), daemon.path("backup.db"));
    std::fs::copy(&journal, &backup)?;
    daemon.resume().await?;
    for _ in 0..2 {
        let before = front.count(Step::Refresh);
        assert_eq!(refused_once(&front, &daemon).await?.status, 200);
        assert_eq!(front.count(Step::Refresh), before + 1);
    }
    daemon.stop().await?;
    std::fs::copy(&backup, &journal)?;
    daemon.resume().await?;
    refused_once(&front, &daemon).await?;
    until("a recovery", || async {
        (status(&daemon).await.ok()?["recoveries"]["count"] == 1).then_some(())
    })
    .await
}

#[tokio::test]
async fn without_a_connection_the_merchant_approves_the_next_key() -> Result<()> {
    let server = Server::start().await?;
    let daemon = Daemon::start(&server.issuer(), SITE, "").await?;
    let mut browser = Browser::new()?;
    assert_eq!(daemon.connect(&mut browser, Decision::Approve).await?.status, 200);
    let before = status(&daemon).await?;
    let gone = daemon.call(Method::POST, "/v1/disconnect", Some(serde_json::json!({}))).await?;
    assert_eq!(gone.status, 200, "{gone:?}");

    let (code, said) = command(&daemon, &["key", "rotate"])?;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("Press Connect"), "{said}");
    let waits = status(&daemon).await?;
    assert_eq!(waits["thumbprint"], before["thumbprint"]);
    let next = waits["next_key"]["thumbprint"].as_str().context("a key")?.to_owned();

    // Denied, the present key stays, and the other one waits on.
    assert_eq!(daemon.connect(&mut browser, Decision::Deny).await?.status / 100, 4);
    assert_eq!(status(&daemon).await?["thumbprint"], before["thumbprint"]);
    let connected = daemon.connect(&mut browser, Decision::Approve).await?;
    assert_eq!(connected.status, 200, "{connected:?}");
    let after = status(&daemon).await?;
    assert_eq!((after["thumbprint"].as_str(), &after["next_key"]), (Some(&*next), &Value::Null));
    assert_eq!(after["client_id"], before["client_id"]);
    let called = daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await?;
    assert_eq!(called.status, 200, "{called:?}");
    Ok(())
}
