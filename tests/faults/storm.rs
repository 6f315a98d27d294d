//! SIGKILL at random moments, while calls and refreshes run, and while the daemon starts.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use world::{Behaviour, Step, now};

use crate::{dice::Dice, is_soak, shop::Shop, stage::Stage};

/// Storms at the same time, each over a store and a server of its own.
const STORMS: u64 = 3;

/// Rounds of each in a sample, and in a soak.
const ROUNDS: (u32, u32) = (50, 1_700);

/// The seed of a sample's dice.
const SAMPLE: u64 = 20_260_101;

/// The longest that a daemon lives in a round, in microseconds.
const LONGEST_LIFE: u64 = 60_000;

/// What the server does in a storm: mostly it answers.
const WEATHER: [Behaviour; 6] = [
    Behaviour::Pass,
    Behaviour::Pass,
    Behaviour::Pass,
    Behaviour::LoseAnswer,
    Behaviour::Hide(502),
    Behaviour::Truncate,
];

#[tokio::test]
async fn a_storm_of_kills_loses_nothing() -> Result<()> {
    let given = std::env::var("COUNTERFOIL_SEED").ok().and_then(|seed| seed.parse().ok());
    // A sample throws the same dice each time; a soak throws new ones.
    let new = if is_soak() { now().0.unsigned_abs() } else { SAMPLE };
    let seed: u64 = given.unwrap_or(new);
    crate::tell(&format!("the storms' seed: COUNTERFOIL_SEED={seed}"));
    try_join_all((0..STORMS).map(|number| weather(seed, number))).await?;
    Ok(())
}

/// One storm, from a connected store to a store that is connected all the same.
async fn weather(seed: u64, number: u64) -> Result<()> {
    let mut dice = Dice(seed.wrapping_add(number));
    let mut stage = Stage::set().await?;
    let mut shop = stage.connected_shop().await?;
    let (sample, soak) = ROUNDS;
    let rounds = if is_soak() { soak } else { sample };
    for round in 0..rounds {
        let outcome = storm(&stage, &mut shop, &mut dice).await;
        let place = || format!("seed {seed}, storm {number}, round {round}");
        outcome.with_context(|| format!("{}\n{}", place(), shop.newest_log()))?;
    }
    shop.is_whole(&stage).await?;
    ensure!(stage.front.count(Step::Recovery) == 0, "a family was lost on the way");
    crate::tell(&format!("storm {number}: {rounds} rounds"));
    Ok(())
}

/// One life of the daemon, cut short, and the next one, which must have everything.
async fn storm(stage: &Stage, shop: &mut Shop, dice: &mut Dice) -> Result<()> {
    stage.front.script(Step::Refresh, &[WEATHER[dice.among(WEATHER.len())]]);
    let life = Duration::from_micros(dice.throw(LONGEST_LIFE));
    if dice.throw(4) == 0 {
        // Killed while it starts, and takes up what its last life left.
        shop.daemon.kill()?;
        let _ = tokio::time::timeout(life, shop.daemon.try_resume()).await;
    } else {
        let calls = async { while shop.call_with_refresh(stage).await.is_some() {} };
        let _ = tokio::time::timeout(life, calls).await;
    }
    shop.restart(stage).await?;
    let answer = shop.call().await.context("the daemon went away")?;
    ensure!(answer.status == 200, "{answer:?}");
    if dice.throw(10) == 0 { shop.is_whole(stage).await } else { Ok(()) }
}
