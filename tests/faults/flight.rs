//! One refresh for all who want one; and nobody who has a valid token waits for it.

use anyhow::{Context as _, Result, ensure};
use world::{Behaviour, Seen, Step, until};

use crate::{shop::Shop, stage::Stage};

/// Callers at one time.
const CALLERS: usize = 200;

/// Those of them whose token the API refuses; the daemon lets about so many of one caller's calls go on at a time.
const REFUSED: usize = 100;

async fn connected() -> Result<(Stage, Shop)> {
    let mut stage = Stage::set().await?;
    let shop = stage.connected_shop().await?;
    drop(stage.front.take_seen());
    Ok((stage, shop))
}

/// Waits until so many requests of a step have come.
async fn came(stage: &Stage, step: Step, number: usize) -> Result<()> {
    until("requests", || async { (stage.front.count(step) >= number).then_some(()) }).await
}

fn refreshes(seen: &[Seen]) -> Vec<&Seen> {
    seen.iter().filter(|it| it.step == Step::Refresh).collect()
}

#[tokio::test]
async fn simultaneous_demands_are_one_refresh() -> Result<()> {
    let (stage, shop) = connected().await?;
    stage.front.script(Step::Refresh, &[Behaviour::Hold]);
    stage.front.script(Step::Api, &[Behaviour::RejectToken; REFUSED]);
    let calls = futures_util::future::join_all((0..CALLERS).map(|_| shop.call()));
    let release = async {
        // The refresh does not end before all of them want it; what is not held yet cannot be let go.
        let all = came(&stage, Step::Api, REFUSED).await;
        let held = came(&stage, Step::Refresh, 1).await;
        stage.front.release();
        all.and(held)
    };
    let (answers, all) = tokio::join!(calls, release);
    all?;
    for answer in answers {
        let answer = answer.context("no answer")?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    let seen = stage.front.take_seen();
    ensure!(refreshes(&seen).len() == 1, "{:?}", refreshes(&seen));
    shop.is_whole(&stage).await
}

#[tokio::test]
async fn a_valid_token_is_used_while_its_renewal_hangs() -> Result<()> {
    let (stage, shop) = connected().await?;
    for hangs in [Behaviour::Hold, Behaviour::HoldAnswer] {
        stage.front.script(Step::Refresh, &[hangs]);
        let before = stage.front.count(Step::Refresh);
        let waiting = shop.call_with_refresh(&stage);
        tokio::pin!(waiting);
        tokio::select! {
            answer = &mut waiting => anyhow::bail!("answered without a token: {answer:?}"),
            began = came(&stage, Step::Refresh, before + 1) => began?,
        }
        for _ in 0..20 {
            tokio::select! {
                answer = &mut waiting => anyhow::bail!("answered without a token: {answer:?}"),
                answer = shop.call() => {
                    ensure!(answer.as_ref().is_some_and(|it| it.status == 200), "{answer:?}");
                }
            }
        }
        stage.front.release();
        let answer = waiting.await.context("no answer")?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    shop.is_whole(&stage).await
}

#[tokio::test]
async fn a_caller_who_goes_away_cancels_nothing() -> Result<()> {
    let (stage, shop) = connected().await?;
    stage.front.script(Step::Refresh, &[Behaviour::HoldAnswer]);
    tokio::select! {
        answer = shop.call_with_refresh(&stage) => anyhow::bail!("not held: {answer:?}"),
        began = came(&stage, Step::Refresh, 1) => began?,
    }
    stage.front.release();
    // The answer was used: keys were fetched to judge it, and the next refresh is another one.
    came(&stage, Step::Jwks, 1).await?;
    until("another refresh", || async {
        shop.call_with_refresh(&stage).await;
        (stage.front.count(Step::Refresh) > 1).then_some(())
    })
    .await?;
    let seen = stage.front.take_seen();
    let keys: Vec<_> = refreshes(&seen).iter().map(|it| it.idempotency_key.clone()).collect();
    ensure!(keys[0] != keys[1], "the same request again: {keys:?}");
    shop.is_whole(&stage).await?;
    ensure!(stage.front.count(Step::Recovery) == 0, "the family was lost");
    Ok(())
}

#[tokio::test]
async fn a_refresh_that_a_kill_cut_is_the_same_request_again() -> Result<()> {
    let (stage, mut shop) = connected().await?;
    for hangs in [Behaviour::Hold, Behaviour::HoldAnswer, Behaviour::LoseAnswer] {
        drop(stage.front.take_seen());
        stage.front.script(Step::Refresh, &[hangs]);
        tokio::select! {
            _ = shop.call_with_refresh(&stage) => {}
            began = came(&stage, Step::Refresh, 1) => began?,
        }
        shop.restart(&stage).await?;
        came(&stage, Step::Refresh, 2).await?;
        shop.reach(&["connected"]).await?;
        let seen = stage.front.take_seen();
        let keys: Vec<_> = refreshes(&seen).iter().map(|it| it.idempotency_key.clone()).collect();
        ensure!(keys[0].is_some() && keys[0] == keys[1], "{hangs:?}: {keys:?}");
        shop.is_whole(&stage).await?;
        ensure!(stage.front.count(Step::Recovery) == 0, "{hangs:?}: the family was lost");
    }
    Ok(())
}
