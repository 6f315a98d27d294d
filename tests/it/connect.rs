//! A merchant connects a store, end to end.

use anyhow::Result;
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

fn hyper_method(name: &str) -> Method {
    name.parse().unwrap_or(Method::GET)
}
