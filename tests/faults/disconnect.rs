//! A disconnect is whole or did not happen, and what was said of it is true.

use anyhow::{Result, ensure};
use world::LocalAnswer;

use crate::{shop::Shop, stage::Stage};

/// Judges a disconnect after the restart, and connects the store again.
pub(crate) async fn was_true(
    stage: &mut Stage,
    shop: &mut Shop,
    told: Option<LocalAnswer>,
) -> Result<()> {
    let done = told.as_ref().is_some_and(|answer| answer.status == 200);
    let pending = told.as_ref().is_some_and(|answer| answer.status == 202);
    let found = shop.reach(&["connected", "disconnected"]).await?;
    if done || pending {
        ensure!(found == "disconnected", "it said {told:?}, and now it is {found}");
    }
    let client_id =
        shop.standing.as_ref().map(|standing| standing.client_id.clone()).unwrap_or_default();
    if found == "connected" {
        return shop.is_whole(stage).await;
    }
    let known = stage.installation(&client_id)?;
    ensure!(known["grant"].is_null(), "the server was not told: {known}");
    let before = shop.standing.take();
    stage.connect(shop).await?;
    let same = before.zip(shop.standing.clone()).is_some_and(|(before, now)| {
        (before.thumbprint, before.client_id) == (now.thumbprint, now.client_id)
    });
    ensure!(same, "a second identity: {:?}", shop.standing);
    shop.is_whole(stage).await
}
