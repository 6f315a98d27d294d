//! A disk that does not come back: the actor is stuck, and the daemon says so by its silence to the service manager.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use world::{Fault, LocalAnswer, Manager, Step};

use crate::{shop::Shop, stage::Stage};

/// How often the manager wants to hear something, in microseconds.
const WATCHDOG: &str = "200000";

/// Many times as long.
const MANY: Duration = Duration::from_secs(4);

fn is_refused(answer: Option<LocalAnswer>) -> Result<()> {
    let answer = answer.context("the daemon went away")?;
    ensure!((answer.status, &answer.body["code"]) == (503, &json!("storage_stuck")), "{answer:?}");
    Ok(())
}

/// Reads what the manager heard, until there is nothing for a while.
async fn falls_silent(manager: &Manager) -> Result<()> {
    let mut heard = 0;
    while manager.heard_within(MANY).await?.is_some() {
        heard += 1;
        ensure!(heard < 1_000, "the watchdog is fed by a stuck actor");
    }
    Ok(())
}

#[tokio::test]
async fn a_stuck_actor_starves_the_watchdog_and_nobody_else() -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut shop: Shop = stage.shop()?;
    let manager = Manager::of(&mut shop.daemon)?;
    shop.daemon.environment.push(("WATCHDOG_USEC".to_owned(), WATCHDOG.to_owned()));
    shop.daemon.resume().await?;
    stage.connect(&mut shop).await?;
    manager.until("WATCHDOG=1\n").await?;
    let _ = stage.front.take_seen();

    shop.shim.arm(1, Fault::Hang)?;
    let told = async {
        let body = json!({});
        let connect = shop.daemon.call(Method::POST, "/v1/connect", Some(body));
        let (token, connect) = tokio::join!(shop.call_with_refresh(&stage), connect);
        is_refused(token)?;
        is_refused(connect.ok())
    };
    let lives_on = async {
        falls_silent(&manager).await?;
        // Whoever needs nothing of the actor is answered.
        let status = shop.status().await?;
        ensure!(status["state"] == "connected", "{status}");
        let call = shop.call().await.context("the daemon went away")?;
        ensure!(call.status == 200, "{call:?}");
        ensure!(stage.front.count(Step::Refresh) == 0, "sent before it was written down");
        anyhow::Ok(())
    };
    let (told, lives_on) = tokio::join!(told, lives_on);
    lives_on?;
    told?;

    // The disk comes back, and nothing was lost.
    shop.shim.disarm()?;
    manager.until("WATCHDOG=1\n").await?;
    shop.is_whole(&stage).await?;

    // The manager's patience is over instead: what was not written down was not begun.
    shop.shim.arm(1, Fault::Hang)?;
    let demand = shop.call_with_refresh(&stage);
    tokio::select! {
        answer = demand => anyhow::bail!("answered by a stuck actor: {answer:?}"),
        silent = falls_silent(&manager) => silent?,
    }
    shop.restart(&stage).await?;
    shop.is_whole(&stage).await
}
