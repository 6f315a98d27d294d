//! One store under test: its daemon, its faults, and what it must never lose.

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Method;
use serde_json::Value;
use world::{Behaviour, Daemon, LocalAnswer, Loss, Shim, Step, in_memory, until};

use crate::stage::Stage;

/// A forwarded call.
const CALL: &str = "/v1/api/makepay/payment-links";

/// What a store is to keep through every fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) thumbprint: String,
    pub(crate) client_id: String,
    pub(crate) company: String,
    pub(crate) grant_id: String,
}

/// A store.
pub(crate) struct Shop {
    pub(crate) daemon: Daemon,
    pub(crate) shim: Shim,
    pub(crate) site_url: String,
    pub(crate) standing: Option<Standing>,
    /// What the platform signs its notifications with.
    pub(crate) webhook_secret: Option<String>,
    /// Notifications that were made up; no two are alike.
    pub(crate) deliveries: u32,
}

impl Shop {
    pub(crate) fn new(issuer: &str, site_url: &str) -> Result<Self> {
        let mut daemon = Daemon::prepare(in_memory()?, issuer, site_url, "")?;
        let shim = Shim::below(&daemon.path("state"))?;
        daemon.environment = shim.environment();
        let site_url = site_url.to_owned();
        Ok(Self { daemon, shim, site_url, standing: None, webhook_secret: None, deliveries: 0 })
    }

    /// The end of the daemon's log.
    pub(crate) fn newest_log(&self) -> String {
        let log = self.daemon.log().unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    pub(crate) async fn status(&self) -> Result<Value> {
        Ok(self.daemon.call(Method::GET, "/v1/status", None).await?.body)
    }

    /// Notes what the store has now.
    pub(crate) async fn note(&mut self) -> Result<()> {
        self.standing = Some(self.standing_now().await?);
        Ok(())
    }

    async fn standing_now(&self) -> Result<Standing> {
        let status = self.status().await?;
        ensure!(status["state"] == "connected", "not connected: {status}");
        let text = |value: &Value| value.as_str().map(str::to_owned).context("text");
        Ok(Standing {
            thumbprint: text(&status["thumbprint"])?,
            client_id: text(&status["client_id"])?,
            company: text(&status["company"]["id"])?,
            grant_id: text(&status["grant_id"])?,
        })
    }

    /// A call of the API; `None` if the daemon went away.
    pub(crate) async fn call(&self) -> Option<LocalAnswer> {
        self.daemon.call(Method::GET, CALL, None).await.ok()
    }

    /// A call of the API whose token the API refuses once, so that the daemon fetches another.
    pub(crate) async fn call_with_refresh(&self, stage: &Stage) -> Option<LocalAnswer> {
        stage.front.script(Step::Api, &[Behaviour::RejectToken]);
        self.call().await
    }

    /// Demands tokens until a refresh works again, however long the daemon leaves the server alone.
    pub(crate) async fn reach_a_fresh_token(&self, stage: &Stage) -> Result<()> {
        until("a renewal", || async {
            let answer = self.call_with_refresh(stage).await?;
            (answer.status == 200).then_some(())
        })
        .await
    }

    /// SIGKILL, and a start without faults.
    pub(crate) async fn restart(&mut self, stage: &Stage) -> Result<()> {
        self.restart_after(stage, None).await
    }

    /// SIGKILL, perhaps because the power went, and a start without faults.
    pub(crate) async fn restart_after(&mut self, stage: &Stage, cut: Option<Loss>) -> Result<()> {
        self.daemon.kill()?;
        if let Some(loss) = cut {
            self.shim.cut_power(loss)?;
        }
        self.shim.disarm()?;
        stage.front.be_honest();
        self.daemon.resume().await?;
        let status = self.status().await?;
        ensure!(status["state"] != "degraded", "degraded after a restart: {status}");
        Ok(())
    }

    /// Waits until the daemon is in one of these states.
    pub(crate) async fn reach(&self, states: &[&str]) -> Result<String> {
        let mut last = String::new();
        let reached = until("a state", || async {
            let state = self.daemon.state().await.unwrap_or_default();
            states.contains(&&*state).then_some(state)
        })
        .await;
        if reached.is_err() {
            last = self.status().await?.to_string();
        }
        reached.with_context(|| format!("wanted {states:?}, found {last}"))
    }

    /// The connection works, also for a refresh, and is what it was.
    pub(crate) async fn is_whole(&self, stage: &Stage) -> Result<()> {
        self.reach(&["connected"]).await?;
        for refreshes in [false, true] {
            let answer =
                if refreshes { self.call_with_refresh(stage).await } else { self.call().await };
            match answer {
                Some(answer) if answer.status == 200 => {}
                other => bail!("a call (with a refresh: {refreshes}): {other:?}"),
            }
        }
        let now = self.standing_now().await?;
        let before = self.standing.as_ref().context("was connected")?;
        ensure!(now == *before, "something changed: {before:?} became {now:?}");
        self.has_one_identity(stage)?;
        let known = stage.installation(&now.client_id)?;
        ensure!(known["grant"]["grant_id"] == *now.grant_id, "the server's grant: {known}");
        Ok(())
    }

    /// The server knows one installation of this store, with the daemon's key.
    pub(crate) fn has_one_identity(&self, stage: &Stage) -> Result<()> {
        let known = stage.installations(&self.site_url)?;
        ensure!(known.len() == 1, "not one installation: {known:?}");
        if let Some(standing) = &self.standing {
            ensure!(known[0]["key"] == *standing.thumbprint, "another key: {known:?}");
            ensure!(known[0]["client_id"] == *standing.client_id, "another client: {known:?}");
        }
        Ok(())
    }
}
