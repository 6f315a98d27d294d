//! What a daemon is doing when a fault comes, and how its words are checked afterwards.

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use world::{Behaviour, Decision, Fault, LocalAnswer, Loss, Step};

use crate::{shop::Shop, stage::Stage};

/// What is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flow {
    /// The very first start: key and journal are made.
    FirstStart,
    /// A start of a connected store.
    Start,
    /// The first connect: registration, request, approval, code.
    Connect,
    /// A connected store is approved again.
    Reconnect,
    /// A token is renewed.
    Refresh,
    /// The tokens are lost, and the key asks for others.
    Recovery,
    /// Another key takes the place of the one in force.
    Rotation,
    /// The platform gives another secret for its notifications.
    Subscription,
    /// A copy becomes a store of its own.
    Separation,
    /// The connection is ended.
    Disconnect,
}

/// One fault in one flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round<'a> {
    pub(crate) flow: Flow,
    /// What the server's front does at a step, and how many times.
    pub(crate) spoilt: &'a [(Step, Behaviour, usize)],
    /// What the disk does, and at which operation of the flow.
    pub(crate) fault: Option<(Fault, u64)>,
    /// What of all that was not synced is lost when the daemon is killed.
    pub(crate) cut: Option<Loss>,
    /// What the daemon must do by itself, instead of after a restart.
    pub(crate) lives_on: bool,
}

/// What the daemon said.
#[derive(Debug, Default)]
struct Told {
    /// Its last answer; `None` if it went away instead.
    answer: Option<LocalAnswer>,
    /// The callback that the browser brought, if it came so far.
    query: Option<String>,
    /// What status said of the key.
    thumbprint: Option<Value>,
}

impl Flow {
    /// Whether the flow begins with a connected store, and leaves one.
    pub(crate) fn is_of_a_connected_store(self) -> bool {
        !matches!(self, Self::FirstStart | Self::Connect)
    }
}

impl Round<'_> {
    /// Plays the round and judges it. Answers whether its fault came.
    pub(crate) async fn play(&self, stage: &mut Stage, shop: &mut Shop) -> Result<bool> {
        let outcome = self.try_to_play(stage, shop).await;
        outcome.with_context(|| format!("{self:?}\n{}", shop.newest_log()))
    }

    async fn try_to_play(&self, stage: &mut Stage, shop: &mut Shop) -> Result<bool> {
        if matches!(self.flow, Flow::Start | Flow::FirstStart) {
            shop.daemon.kill()?;
        } else if self.spoilt.iter().any(|(step, ..)| *step == Step::Discovery) {
            // A daemon that knows the server does not ask it for its description.
            shop.restart(stage).await?;
        }
        drop(stage.front.take_seen());
        for (step, behaviour, times) in self.spoilt {
            stage.front.script(*step, &vec![*behaviour; *times]);
        }
        if let Some((fault, at)) = self.fault {
            shop.shim.arm(at, fault)?;
        }
        let told = self.run(stage, shop).await?;
        let came = shop.shim.fired()?;
        ensure!(came || self.fault.is_none() || !shop.daemon.has_ended(), "it ended by itself");
        self.judge(stage, shop, told).await?;
        let recovered = stage.front.count(Step::Recovery) > 0;
        ensure!(
            self.lies() || self.flow == Flow::Recovery || !recovered,
            "tokens were lost, and only the key saved the connection"
        );
        Ok(came)
    }

    async fn run(&self, stage: &mut Stage, shop: &mut Shop) -> Result<Told> {
        let mut told = Told::default();
        match self.flow {
            Flow::FirstStart | Flow::Start => {
                if shop.daemon.try_resume().await?
                    && let Ok(answer) = shop.daemon.call(Method::GET, "/v1/status", None).await
                {
                    told.thumbprint = Some(answer.body["thumbprint"].clone());
                    told.answer = Some(answer);
                }
            }
            Flow::Refresh => told.answer = shop.call_with_refresh(stage).await,
            Flow::Recovery => {
                stage.front.script(Step::Refresh, &[Behaviour::LoseFamily]);
                told.answer = shop.call_with_refresh(stage).await;
            }
            Flow::Rotation => told.answer = crate::rotation::ask(shop).await,
            Flow::Subscription => {
                let path = "/v1/admin/webhook/rotate";
                told.answer = shop.daemon.owners_call(Method::POST, path, None).await.ok();
            }
            Flow::Separation => {
                let path = "/v1/admin/separate";
                told.answer =
                    shop.daemon.owners_call(Method::POST, path, Some(json!({}))).await.ok();
            }
            Flow::Disconnect => {
                let asked = shop.daemon.call(Method::POST, "/v1/disconnect", Some(json!({})));
                told.answer = asked.await.ok();
            }
            Flow::Connect | Flow::Reconnect => {
                let asked = shop.daemon.call(Method::POST, "/v1/connect", Some(json!({})));
                told.answer = asked.await.ok();
                let url = told.answer.as_ref().and_then(|it| it.body["authorization_url"].as_str());
                let Some(url) = url.map(str::to_owned) else { return Ok(told) };
                let landed = stage.browser.decide(&url, Decision::Approve).await?;
                let query = landed.split_once('?').map_or("", |(_, query)| query).to_owned();
                told.answer = hand_over(shop, &query).await;
                told.query = Some(query);
            }
        }
        Ok(told)
    }

    async fn judge(&self, stage: &mut Stage, shop: &mut Shop, told: Told) -> Result<()> {
        let seen = stage.front.take_seen();
        let redeemed = seen.iter().any(|it| it.step == Step::Code && it.answered == Some(200));
        if matches!(self.flow, Flow::Refresh | Flow::Rotation) && self.only_the_disk_fails() {
            self.served_all_the_while(stage, shop).await?;
        }
        if self.lives_on {
            self.wait_for_work(stage, shop, told.query.as_deref()).await?;
        } else {
            shop.restart_after(stage, self.cut).await?;
        }
        match self.flow {
            Flow::FirstStart => was_born_once(stage, shop, told).await,
            Flow::Start => shop.is_whole(stage).await,
            Flow::Refresh => {
                let said = told.answer.map(|answer| answer.status);
                ensure!(matches!(said, None | Some(200 | 401 | 500..)), "it said {said:?}");
                shop.is_whole(stage).await
            }
            Flow::Connect | Flow::Reconnect => {
                self.connect_was_true(stage, shop, told, redeemed).await
            }
            Flow::Recovery => crate::recovery::was_true(stage, shop, told.answer, seen).await,
            Flow::Subscription => crate::subscription::was_true(stage, shop, told.answer).await,
            Flow::Separation => crate::separation::was_true(stage, shop, told.answer, seen).await,
            Flow::Rotation => {
                crate::rotation::was_true(stage, shop, told.answer, seen, self.lies()).await
            }
            Flow::Disconnect => crate::disconnect::was_true(stage, shop, told.answer).await,
        }
    }

    /// An honest server, and a daemon that finds that out by itself.
    async fn wait_for_work(&self, stage: &Stage, shop: &Shop, query: Option<&str>) -> Result<()> {
        stage.front.be_honest();
        match (self.flow, query) {
            (Flow::Refresh | Flow::Recovery, _) => shop.reach_a_fresh_token(stage).await,
            (Flow::Connect, Some(_)) => shop.reach(&["connected", "disconnected"]).await.map(drop),
            _ => Ok(()),
        }
    }

    /// Whether the server gives tokens that nobody may take, so that the code is spent for nothing.
    pub(crate) fn lies(&self) -> bool {
        let lie = |it: &Behaviour| matches!(it, Behaviour::Forge(_) | Behaviour::OldAnswer);
        self.spoilt.iter().any(|(_, behaviour, _)| lie(behaviour))
    }

    fn only_the_disk_fails(&self) -> bool {
        matches!(self.fault, Some((Fault::Fail(_) | Fault::FailForGood(_), _)))
    }

    /// The token that is there and valid is used, whatever became of its renewal.
    async fn served_all_the_while(&self, stage: &Stage, shop: &Shop) -> Result<()> {
        stage.front.be_honest();
        let answer = shop.call().await.context("the daemon went away")?;
        // The tokens of the former key end when the server takes the next one, and the new ones need the disk.
        let lacks = self.flow == Flow::Rotation && answer.body["code"] == "storage_failed";
        ensure!(answer.status == 200 || lacks, "a valid token is not used: {answer:?}");
        Ok(())
    }

    async fn connect_was_true(
        &self,
        stage: &mut Stage,
        shop: &mut Shop,
        told: Told,
        redeemed: bool,
    ) -> Result<()> {
        let company = |answer: &LocalAnswer| answer.body["company"]["id"].clone();
        let said = told.answer.as_ref().filter(|it| told.query.is_some() && it.status == 200);
        if let Some(answer) = said {
            ensure!(shop.daemon.state().await? == "connected", "it said that it was connected");
            let status = shop.status().await?;
            ensure!(status["company"]["id"] == company(answer), "to another company: {status}");
        }
        if let Some(query) = &told.query {
            // The merchant's browser loads the page again.
            let again = hand_over(shop, query).await.context("the daemon went away")?;
            let connected = again.status == 200;
            ensure!(
                connected || !(redeemed && !self.lies() || said.is_some()),
                "the code was redeemed, and the connection is lost: {again:?}"
            );
            if connected {
                shop.reach(&["connected"]).await?;
                if self.flow == Flow::Connect {
                    shop.note().await?;
                }
                return shop.is_whole(stage).await;
            }
        }
        if self.flow == Flow::Connect {
            ensure!(shop.daemon.state().await? != "connected", "nobody approved");
            stage.connect(shop).await?;
        }
        shop.is_whole(stage).await
    }
}

/// Hands a callback to the daemon; `None` if it went away.
async fn hand_over(shop: &Shop, query: &str) -> Option<LocalAnswer> {
    let body = json!({ "query": query });
    shop.daemon.call(Method::POST, "/v1/callback", Some(body)).await.ok()
}

/// An identity that was ever told is the one that stays.
async fn was_born_once(stage: &mut Stage, shop: &mut Shop, told: Told) -> Result<()> {
    let first = shop.status().await?;
    ensure!(first["state"] == "unregistered", "{first}");
    if let Some(thumbprint) = told.thumbprint.filter(|it| !it.is_null()) {
        ensure!(thumbprint == first["thumbprint"], "the daemon had another key when it answered");
    }
    shop.restart(stage).await?;
    let second = shop.status().await?;
    if second["thumbprint"] != first["thumbprint"] {
        bail!("a second identity: {first} became {second}");
    }
    Ok(())
}
