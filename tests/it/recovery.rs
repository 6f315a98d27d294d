//! The key, not the refresh token, keeps a merchant connected.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::Value;
use world::{Behaviour, Browser, Daemon, Decision, Front, LocalAnswer, Server, Step, until};

const SITE: &str = "http://127.0.0.1:18083";

/// A connected store, and a front at which its token can be refused.
async fn stage() -> Result<(Server, Front, Daemon, Browser)> {
    let front = Front::listen().await?;
    let server = Server::start_behind(&front, &[]).await?;
    let daemon = Daemon::start(&front.issuer(), SITE, "").await?;
    let mut browser = Browser::new()?;
    assert_eq!(daemon.connect(&mut browser, Decision::Approve).await?.status, 200);
    Ok((server, front, daemon, browser))
}

async fn status(daemon: &Daemon) -> Result<Value> {
    Ok(daemon.call(Method::GET, "/v1/status", None).await?.body)
}

/// Waits until status is as it is wanted.
async fn status_with(
    what: &str,
    daemon: &Daemon,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    until(what, || async {
        let status = status(daemon).await.ok()?;
        wanted(&status).then_some(status)
    })
    .await
}

async fn links(daemon: &Daemon) -> Result<LocalAnswer> {
    daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await
}

/// A call whose token the API refuses once, so that the daemon asks for another.
async fn refused_once(front: &Front, daemon: &Daemon) -> Result<LocalAnswer> {
    front.script(Step::Api, &[Behaviour::RejectToken]);
    links(daemon).await
}

/// Lets `turns` renewals happen.
async fn renewed(front: &Front, daemon: &Daemon, turns: usize) -> Result<()> {
    for _ in 0..turns {
        let before = front.count(Step::Refresh);
        assert_eq!(refused_once(front, daemon).await?.status, 200);
        assert_eq!(front.count(Step::Refresh), before + 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_restored_backup_recovers_once_and_a_second_time_needs_the_merchant() -> Result<()> {
    let (_server, front, mut daemon, mut browser) = stage().await?;
    let connected = status(&daemon).await?;
    assert_eq!(connected["recoveries"]["count"], 0, "{connected}");

    daemon.stop().await?;
    let (journal, backup) = (daemon.path("state/journal.db"), daemon.path("backup.db"));
    std::fs::copy(&journal, &backup)?;
    daemon.resume().await?;
    renewed(&front, &daemon, 2).await?;

    // The refresh token of the backup was used before: the server ends the family.
    daemon.stop().await?;
    std::fs::copy(&backup, &journal)?;
    daemon.resume().await?;
    refused_once(&front, &daemon).await?;
    let recovered = status_with("a recovery", &daemon, |it| it["recoveries"]["count"] == 1).await?;
    for member in ["state", "company", "grant_id", "connected_at", "client_id", "thumbprint"] {
        assert_eq!(recovered[member], connected[member], "{member}: {recovered}");
    }
    renewed(&front, &daemon, 1).await?;
    assert_eq!(links(&daemon).await?.status, 200);

    // The same backup again looks to the server like a copy of the store.
    daemon.stop().await?;
    std::fs::copy(&backup, &journal)?;
    daemon.resume().await?;
    refused_once(&front, &daemon).await?;
    let lost = status_with("the end", &daemon, |it| it["state"] == "reconnect_required").await?;
    assert_eq!(lost["last_error"]["code"], "key_in_two_places", "{lost}");
    assert!(lost["next_step"].as_str().context("words")?.contains("copy of this store"), "{lost}");
    assert_eq!(daemon.connect(&mut browser, Decision::Approve).await?.status, 200);
    let again = status(&daemon).await?;
    assert_eq!(
        (&again["grant_id"], &again["state"]),
        (&connected["grant_id"], &"connected".into())
    );
    assert_eq!(links(&daemon).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_the_merchant_withdrew_is_not_recovered() -> Result<()> {
    let (server, front, daemon, _browser) = stage().await?;
    server.operate(&["company", "close", "Harbour Books", "--yes"], None)?;
    refused_once(&front, &daemon).await?;
    let lost = status_with("the end", &daemon, |it| it["state"] == "reconnect_required").await?;
    assert_eq!(lost["last_error"]["code"], "approval_withdrawn", "{lost}");
    assert_eq!(lost["recoveries"]["count"], 0, "{lost}");
    Ok(())
}
