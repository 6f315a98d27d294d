//! One real server behind a front, a merchant, and as many stores as a test needs.

use anyhow::{Context as _, Result};
use serde_json::Value;
use world::{Browser, Decision, Front, Server};

use crate::shop::Shop;

/// No limit is to be what a test runs into.
const SETTINGS: [(&str, &str); 3] = [
    ("COUNTERFOIL_LIMITS_REGISTRATIONS_PER_MINUTE", "1000000"),
    ("COUNTERFOIL_LIMITS_TOKEN_REQUESTS_PER_MINUTE", "1000000"),
    ("COUNTERFOIL_LIMITS_PUSHED_REQUESTS_PER_MINUTE", "1000000"),
];

/// The world of one test.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) front: Front,
    pub(crate) browser: Browser,
    stores: u32,
}

impl Stage {
    pub(crate) async fn set() -> Result<Self> {
        let front = Front::listen().await?;
        let server = Server::start_behind(&front, &SETTINGS).await?;
        Ok(Self { server, front, browser: Browser::new()?, stores: 0 })
    }

    /// A store whose daemon has never been started.
    pub(crate) fn shop(&mut self) -> Result<Shop> {
        self.stores += 1;
        Shop::new(&self.front.issuer(), &format!("http://127.0.0.1:{}", 10_000 + self.stores))
    }

    /// A store that is connected.
    pub(crate) async fn connected_shop(&mut self) -> Result<Shop> {
        let mut shop = self.shop()?;
        shop.daemon.resume().await?;
        self.connect(&mut shop).await?;
        Ok(shop)
    }

    /// Connects a store honestly, and notes what it then has.
    pub(crate) async fn connect(&mut self, shop: &mut Shop) -> Result<()> {
        self.front.be_honest();
        let answer = shop.daemon.connect(&mut self.browser, Decision::Approve).await?;
        anyhow::ensure!(answer.status == 200, "an honest connect: {answer:?}");
        shop.note().await
    }

    /// The installations that the server knows for a store.
    pub(crate) fn installations(&self, site_url: &str) -> Result<Vec<Value>> {
        let list = self.server.operate(&["installation", "list"], None)?;
        let list = list["installations"].as_array().context("a list")?;
        Ok(list.iter().filter(|it| it["site_url"] == site_url).cloned().collect())
    }

    /// What the server knows of one installation.
    pub(crate) fn installation(&self, client_id: &str) -> Result<Value> {
        self.server.operate(&["installation", "show", client_id], None)
    }
}
