//! Nothing that was answered is lost, whoever is killed and when.

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use world::{Browser, Daemon, Decision, Server, Store, random_name, read_tokens};

const SITE: &str = "http://127.0.0.1:18080";

#[tokio::test]
async fn the_daemon_is_killed_and_goes_on() -> Result<()> {
    let server = Server::start().await?;
    let mut daemon = Daemon::start(&server.issuer(), SITE, "").await?;
    assert_eq!(daemon.connect(&mut Browser::new()?, Decision::Approve).await?.status, 200);
    daemon.kill()?;
    daemon.resume().await?;
    assert_eq!(daemon.state().await?, "connected");
    let list = daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await?;
    assert_eq!(list.status, 200, "{list:?}");
    Ok(())
}

#[tokio::test]
async fn the_server_is_killed_and_remembers() -> Result<()> {
    let mut server = Server::start().await?;
    let mut browser = Browser::new()?;
    let (store, tokens) = Store::connect(&server, SITE, &mut browser).await?;
    let first = tokens.refresh_token.context("a refresh token")?;
    let name = random_name();
    let second = read_tokens(store.refresh(first.expose(), &name).await?).await?;

    server.kill()?;
    server.resume().await?;
    let retried = store.refresh(first.expose(), &name).await?;
    assert_eq!(retried.headers()["idempotent-replayed"], "true");
    assert_eq!(read_tokens(retried).await?, second, "the same answer again");
    let listed = store
        .api(Method::GET, "/makepay/payment-links", second.access_token.expose())?
        .send()
        .await?;
    assert_eq!(listed.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_proof_is_good_once_whatever_happens_between() -> Result<()> {
    let mut server = Server::start().await?;
    let (store, tokens) = Store::connect(&server, SITE, &mut Browser::new()?).await?;
    let request = store.api(Method::GET, "/makepay/payment-links", tokens.access_token.expose())?;
    let same = request.try_clone().context("no stream in it")?;
    assert_eq!(request.send().await?.status(), StatusCode::OK);
    server.kill()?;
    server.resume().await?;
    assert_eq!(same.send().await?.status(), StatusCode::UNAUTHORIZED, "replayed after a restart");
    Ok(())
}
