//! A copy is a copy or another store, never half of each; and its original hears nothing of it.

use anyhow::{Context as _, Result, ensure};
use world::{LocalAnswer, Seen};

use crate::{shop::Shop, stage::Stage};

/// Judges what became of a copy, with what the server's front saw of it until now.
pub(crate) async fn was_true(
    stage: &Stage,
    copy: &mut Shop,
    told: Option<LocalAnswer>,
    seen: Vec<Seen>,
) -> Result<()> {
    let original = copy.standing.clone().context("a copy of something")?;
    let first = copy.status().await?;
    let is_copy = first["state"] == "safe_mode" && first["thumbprint"] == *original.thumbprint;
    let is_own = first["state"] == "unregistered"
        && first["thumbprint"] != *original.thumbprint
        && first["client_id"].is_null();
    ensure!(is_copy || is_own, "neither the copy nor another store: {first}");
    if let Some(answer) = told.filter(|answer| answer.status == 200) {
        ensure!(is_own, "it said {answer:?}, and now it is {first}");
    }
    copy.restart(stage).await?;
    let second = copy.status().await?;
    for member in ["state", "thumbprint"] {
        ensure!(first[member] == second[member], "another {member}: {first} became {second}");
    }
    ensure!(seen.is_empty(), "the server was told {seen:?}");
    let known = stage.installation(&original.client_id)?;
    ensure!(known["key"] == *original.thumbprint, "the original's key: {known}");
    ensure!(known["grant"]["grant_id"] == *original.grant_id, "the original's grant: {known}");
    Ok(())
}
