//! A merchant connects a store, end to end.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::json;
use world::{Browser, Daemon, Decision, Server};

const SITE: &str = "http://127.0.0.1:18080";

#[tokio::test]
async fn connect_pay_and_disconnect() -> Result<()> {
    let server = Server::start().await?;
    let daemon = Daemon::start(&server.issuer(), SITE, "").await?;
    assert_eq!(daemon.state().await?, "unregistered");

    let connected = daemon.connect(&mut Browser::new()?, Decision::Approve).await?;
    assert_eq!(
        (connected.status, connected.body["state"].as_str()),
        (200, Some("connected")),
        "{connected:?}"
    );
    assert_eq!(connected.body["company"]["name"], "Harbour Books");

    let link = json!({ "payload": { "amount": "19.90", "fiatCurrency": "EUR", "orderId": "A-1" } });
    let created =
        daemon.call(hyper_method("POST"), "/v1/api/makepay/payment-links", Some(link)).await?;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.body["paymentLink"]["fiatAmount"], "19.90");

    let gone = daemon.call(hyper_method("POST"), "/v1/disconnect", Some(json!({}))).await?;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(daemon.state().await?, "disconnected");
    let refused = daemon.call(hyper_method("GET"), "/v1/api/makepay/payment-links", None).await?;
    assert!(refused.status >= 400, "{refused:?}");

    let again = daemon.connect(&mut Browser::new()?, Decision::Approve).await?;
    assert_eq!(again.status, 200, "{again:?}");
    Ok(())
}

#[tokio::test]
async fn a_merchant_who_denies_changes_nothing() -> Result<()> {
    let server = Server::start().await?;
    let daemon = Daemon::start(&server.issuer(), SITE, "").await?;
    let denied = daemon.connect(&mut Browser::new()?, Decision::Deny).await?;
    assert_eq!(
        (denied.status / 100, denied.body["code"].as_str()),
        (4, Some("callback_denied")),
        "{denied:?}"
    );

    let mut browser = Browser::new()?;
    assert_eq!(daemon.connect(&mut browser, Decision::Approve).await?.status, 200);
    assert_eq!(daemon.connect(&mut browser, Decision::Deny).await?.status / 100, 4);
    assert_eq!(
        daemon.state().await?,
        "connected",
        "a denied reconnect leaves the connection alone"
    );
    let list = daemon.call(hyper_method("GET"), "/v1/api/makepay/payment-links", None).await?;
    assert_eq!(list.status, 200, "{list:?}");
    Ok(())
}

#[tokio::test]
async fn the_command_that_connects_ends_by_itself_however_it_ends() -> Result<()> {
    let server = Server::start().await?;
    let daemon = Daemon::start(&server.issuer(), SITE, "").await?;
    let mut browser = Browser::new()?;
    // The first connects; those after it find a store that is connected already.
    for (decision, is_good, says) in [
        (Decision::Deny, false, "(callback_denied)"),
        (Decision::Approve, true, "Connected to Harbour Books."),
        (Decision::Approve, true, "Connected to Harbour Books."),
        (Decision::Deny, false, "(callback_denied)"),
        (Decision::Approve, true, "Connected to Harbour Books."),
    ] {
        let mut asking = daemon.begin(&["connect"])?;
        let url = asking.line("http://").await?;
        asking.line("Waiting for the approval, until ").await?;
        let landed = browser.decide(&url, decision).await?;
        let query = landed.split_once('?').map_or("", |(_, query)| query);
        let body = json!({ "query": query });
        let answer = daemon.call(Method::POST, "/v1/callback", Some(body)).await?;
        assert_eq!(answer.status == 200, is_good, "{answer:?}");
        let (status, said) = asking.end().await?;
        assert_eq!(status.success(), is_good, "{said}");
        assert!(said.trim_end().ends_with(says), "{said}");
    }
    assert_eq!(daemon.state().await?, "connected");
    Ok(())
}

#[tokio::test]
async fn what_is_watched_and_followed_is_told_as_it_happens() -> Result<()> {
    let server = Server::start().await?;
    let mut daemon = Daemon::start(&server.issuer(), SITE, "").await?;
    let mut watched = daemon.begin(&["status", "--watch"])?;
    let mut followed = daemon.begin(&["events", "--follow"])?;
    let mut read = daemon.begin(&["events", "--follow", "--json", "--kind", "connected"])?;
    watched.line("  unregistered  ").await?;
    followed.line("  started  ").await?;
    let begun = daemon.call(Method::POST, "/v1/connect", Some(json!({}))).await?;
    let url = begun.body["authorization_url"].as_str().context("an address")?;
    // A state is told as long as it lasts.
    watched.line("  awaiting_approval  ").await?;
    let landed = Browser::new()?.decide(url, Decision::Approve).await?;
    let query = landed.split_once('?').map_or("", |(_, query)| query);
    let connected =
        daemon.call(Method::POST, "/v1/callback", Some(json!({ "query": query }))).await?;
    assert_eq!(connected.status, 200, "{connected:?}");
    watched.line("  connected  Connected to Harbour Books.").await?;
    followed.line("  connected ").await?;
    let record: serde_json::Value = serde_json::from_str(&read.line("{").await?)?;
    assert_eq!(record["summary"], "Connected to Harbour Books.");

    // A watch outlives the daemon; who follows its events is told that it ended.
    daemon.stop().await?;
    watched.line("  unknown  No daemon answers").await?;
    let (status, said) = followed.end().await?;
    assert!(!status.success() && said.contains("the daemon ended"), "{said}");
    daemon.resume().await?;
    watched.line("  connected  Connected to Harbour Books.").await?;
    Ok(())
}

fn hyper_method(name: &str) -> Method {
    name.parse().unwrap_or(Method::GET)
}
