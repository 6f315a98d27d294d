//! One real server behind a front, a merchant, and as many stores as a test needs.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use world::{Browser, Decision, Front, Server, until};

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
    /// The store of which there are copies. Its daemon does not run.
    original: Option<Shop>,
}

impl Stage {
    pub(crate) async fn set() -> Result<Self> {
        let front = Front::listen().await?;
        let server = Server::start_behind(&front, &SETTINGS).await?;
        Ok(Self { server, front, browser: Browser::new()?, stores: 0, original: None })
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

    /// A store that is connected, and to which the platform sends notifications.
    pub(crate) async fn notified_shop(&mut self) -> Result<Shop> {
        let mut shop = self.shop()?;
        let file = shop.daemon.path("store.toml");
        let setting = format!("webhook_url = \"{}/hook\"\n", shop.site_url);
        std::fs::write(&file, setting + &std::fs::read_to_string(&file)?)?;
        shop.daemon.resume().await?;
        self.connect(&mut shop).await?;
        until("notifications", || async {
            (shop.status().await.ok()?["webhook"]["state"] == "active").then_some(())
        })
        .await?;
        shop.webhook_secret = self.front.signing_secrets().pop();
        Ok(shop)
    }

    /// A store whose state is a copy of a connected store's.
    pub(crate) async fn copied_shop(&mut self) -> Result<Shop> {
        if self.original.is_none() {
            let mut original = self.connected_shop().await?;
            original.daemon.stop().await?;
            self.original = Some(original);
        }
        let original = self.original.as_ref().context("an original")?;
        let mut copy = Shop::new(&self.front.issuer(), &original.site_url)?;
        let states = [&original.daemon, &copy.daemon].map(|daemon| daemon.path("state"));
        ensure!(Command::new("cp").arg("-a").args(states).status()?.success(), "cp -a");
        copy.standing.clone_from(&original.standing);
        copy.daemon.resume().await?;
        ensure!(copy.daemon.state().await? == "safe_mode", "not known for a copy");
        Ok(copy)
    }

    /// Connects a store honestly, and notes what it then has.
    pub(crate) async fn connect(&mut self, shop: &mut Shop) -> Result<()> {
        self.front.be_honest();
        let answer = shop.daemon.connect(&mut self.browser, Decision::Approve).await?;
        ensure!(answer.status == 200, "an honest connect: {answer:?}");
        shop.note().await
    }

    /// The installations that the server knows for a store.
    pub(crate) fn installations(&self, site_url: &str) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let mut part =
                self.server.operate(&["installation", "list", "--after", &after], None)?;
            let list = part["installations"].as_array_mut().context("a list")?;
            found.extend(list.drain(..).filter(|it| it["site_url"] == site_url));
            match part["next_after"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => return Ok(found),
            }
        }
    }

    /// What the server knows of one installation.
    pub(crate) fn installation(&self, client_id: &str) -> Result<Value> {
        self.server.operate(&["installation", "show", client_id], None)
    }
}
