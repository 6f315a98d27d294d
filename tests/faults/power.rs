//! The power goes at every operation on the disk, and with it all or part of what was not synced.

use anyhow::Result;
use world::Loss;

use crate::{
    flow::Flow,
    matrix::{Task, perform},
};

/// A flow that ends with the power; in a sample at every `stride`th operation.
async fn cuts(flow: Flow, stride: u64) -> Result<()> {
    let task = |cut| Task::of_the_power(cut, stride);
    perform(flow, "power cuts", &Loss::ALL.map(task)).await
}

#[tokio::test]
async fn the_power_goes_at_a_first_start() -> Result<()> {
    cuts(Flow::FirstStart, 19).await
}

#[tokio::test]
async fn the_power_goes_at_a_start() -> Result<()> {
    cuts(Flow::Start, 9).await
}

#[tokio::test]
async fn the_power_goes_at_a_refresh() -> Result<()> {
    cuts(Flow::Refresh, 13).await
}

#[tokio::test]
async fn the_power_goes_at_a_connect() -> Result<()> {
    cuts(Flow::Connect, 33).await
}

#[tokio::test]
async fn the_power_goes_at_a_reconnect() -> Result<()> {
    cuts(Flow::Reconnect, 41).await
}

#[tokio::test]
async fn the_power_goes_at_a_recovery() -> Result<()> {
    cuts(Flow::Recovery, 41).await
}

#[tokio::test]
async fn the_power_goes_at_a_rotation() -> Result<()> {
    cuts(Flow::Rotation, 19).await
}

#[tokio::test]
async fn the_power_goes_at_a_subscription() -> Result<()> {
    cuts(Flow::Subscription, 13).await
}

#[tokio::test]
async fn the_power_goes_at_a_separation() -> Result<()> {
    cuts(Flow::Separation, 33).await
}

#[tokio::test]
async fn the_power_goes_at_a_disconnect() -> Result<()> {
    cuts(Flow::Disconnect, 17).await
}
