//! A lost token family is asked for once by the key, whatever comes between, and the connection is what it was.

use anyhow::{Result, ensure};
use world::{LocalAnswer, Seen, Step};

use crate::{shop::Shop, stage::Stage};

/// Judges a recovery, with what the server's front saw of it until now.
pub(crate) async fn was_true(
    stage: &Stage,
    shop: &Shop,
    told: Option<LocalAnswer>,
    mut seen: Vec<Seen>,
) -> Result<()> {
    let said = told.map(|answer| answer.status);
    ensure!(matches!(said, None | Some(200 | 401 | 500..)), "it said {said:?}");
    shop.is_whole(stage).await?;
    seen.extend(stage.front.take_seen());
    let asked: Vec<_> = seen.iter().filter(|it| it.step == Step::Recovery).collect();
    ensure!(said != Some(200) || !asked.is_empty(), "a call without a token went well");
    ensure!(asked.iter().all(|it| it.idempotency_key.is_some()), "{asked:?}");
    let mut keys: Vec<_> = asked.iter().map(|it| &it.idempotency_key).collect();
    keys.dedup();
    ensure!(keys.len() <= 1, "the server was asked for more than one family: {asked:?}");
    let counted = shop.status().await?["recoveries"]["count"].as_u64();
    ensure!(counted == Some(keys.len() as u64), "{counted:?} are told of {asked:?}");
    Ok(())
}
