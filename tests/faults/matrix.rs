//! Every flow, with every fault, at every operation on the disk, and with every trick of the server.

use anyhow::{Result, ensure};
use world::{Behaviour, EIO, ENOSPC, EROFS, Fault, Forgery, Loss, Step};

use crate::{
    flow::{Flow, Round},
    is_soak,
    shop::Shop,
    stage::Stage,
};

/// More operations than any flow has.
const MANY: u64 = 2_000;

/// How a disk or a process fails.
const FAULTS: [Fault; 8] = [
    Fault::KillBefore,
    Fault::Torn,
    Fault::Fail(ENOSPC),
    Fault::FailForGood(EIO),
    Fault::KillAfter,
    Fault::FailForGood(ENOSPC),
    Fault::Fail(EIO),
    Fault::FailForGood(EROFS),
];

/// What becomes of a request, and how many times.
const TRICKS: [(Behaviour, usize); 14] = [
    (Behaviour::LoseRequest, 1),
    (Behaviour::LoseAnswer, 1),
    (Behaviour::LoseAnswer, 3),
    (Behaviour::Refuse(503), 1),
    (Behaviour::Refuse(500), 3),
    (Behaviour::Refuse(429), 1),
    (Behaviour::Hide(502), 1),
    (Behaviour::Challenge, 1),
    (Behaviour::Challenge, 5),
    (Behaviour::Truncate, 1),
    (Behaviour::Html, 1),
    (Behaviour::WrongJson, 1),
    (Behaviour::Redirect, 1),
    (Behaviour::Reset, 1),
];

/// Answers of the token endpoint that must not be believed.
const LIES: [(Behaviour, usize); 5] = [
    (Behaviour::OldAnswer, 1),
    (Behaviour::Forge(Forgery::Signature), 1),
    (Behaviour::Forge(Forgery::Client), 1),
    (Behaviour::Forge(Forgery::Key), 1),
    (Behaviour::Forge(Forgery::Expired), 1),
];

/// The rounds of one flow, on one stage.
pub(crate) struct Course {
    stage: Stage,
    flow: Flow,
    shop: Option<Shop>,
    rounds: usize,
}

impl Course {
    pub(crate) async fn of(flow: Flow) -> Result<Self> {
        Ok(Self { stage: Stage::set().await?, flow, shop: None, rounds: 0 })
    }

    /// Plays one round: with the store of the last one if that is connected, else with a new one.
    async fn play(&mut self, round: Round<'_>) -> Result<bool> {
        let connected = self.flow.is_of_a_connected_store();
        let mut shop = match (self.shop.take(), self.flow) {
            (Some(shop), _) => shop,
            (None, Flow::Separation) => self.stage.copied_shop().await?,
            (None, Flow::Subscription) => self.stage.notified_shop().await?,
            (None, _) if connected => self.stage.connected_shop().await?,
            (None, _) => self.stage.shop()?,
        };
        if self.flow == Flow::Connect {
            shop.daemon.resume().await?;
        }
        let came = round.play(&mut self.stage, &mut shop).await?;
        // The server recovers a family a few times a day, so a store that lost its own, or lost it to a lie, is used once.
        let spent = round.lies() || matches!(self.flow, Flow::Recovery | Flow::Separation);
        self.shop = Some(shop).filter(|_| connected && !spent);
        self.rounds += 1;
        Ok(came)
    }

    /// Lets a fault come at every operation of the flow, or in a sample at every `stride`th, until it comes no more.
    pub(crate) async fn sweep(
        &mut self,
        spoilt: &[(Step, Behaviour, usize)],
        faults: &[Fault],
        cut: Option<Loss>,
        stride: u64,
    ) -> Result<()> {
        let stride = if is_soak() { 1 } else { stride };
        for (number, fault) in (0..).zip(faults) {
            // Each kind of fault comes at other operations, so that a sample misses none for long.
            let mut at = 1 + (number + self.rounds as u64) % stride;
            let round = Round { flow: self.flow, spoilt, fault: None, cut, lives_on: false };
            while self.play(Round { fault: Some((*fault, at)), ..round }).await? {
                at += stride;
                ensure!(at < MANY, "{:?} has no end", self.flow);
            }
        }
        Ok(())
    }

    /// Lets the server play tricks at a step: alone, and with a kill at every `stride`th operation.
    async fn trick(
        &mut self,
        step: Step,
        tricks: &[(Behaviour, usize)],
        stride: u64,
    ) -> Result<()> {
        for (number, (behaviour, times)) in tricks.iter().enumerate() {
            let spoilt = &[(step, *behaviour, *times)];
            let round = Round { flow: self.flow, spoilt, fault: None, cut: None, lives_on: false };
            self.play(round).await?;
            self.play(Round { lives_on: true, ..round }).await?;
            match number % 3 {
                _ if is_soak() => self.sweep(spoilt, &FAULTS, None, stride).await?,
                0 => self.sweep(spoilt, &[Fault::KillBefore], None, stride).await?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn tell(&self, what: &str) {
        crate::tell(&format!("{:?}, {what}: {} rounds", self.flow, self.rounds));
    }
}

/// A flow with every fault and an honest server.
async fn faults(flow: Flow, stride: u64) -> Result<()> {
    let mut course = Course::of(flow).await?;
    course.sweep(&[], &FAULTS, None, stride).await?;
    course.tell("faults");
    Ok(())
}

/// A flow with a server that plays tricks at some steps.
async fn tricks(
    flow: Flow,
    steps: &[Step],
    tricks: &[(Behaviour, usize)],
    stride: u64,
) -> Result<()> {
    let mut course = Course::of(flow).await?;
    for step in steps {
        course.trick(*step, tricks, stride).await?;
    }
    course.tell("tricks");
    Ok(())
}

#[tokio::test]
async fn a_first_start_with_faults() -> Result<()> {
    faults(Flow::FirstStart, 13).await
}

#[tokio::test]
async fn a_start_with_faults() -> Result<()> {
    faults(Flow::Start, 5).await
}

#[tokio::test]
async fn a_refresh_with_faults() -> Result<()> {
    faults(Flow::Refresh, 5).await
}

#[tokio::test]
async fn a_connect_with_faults() -> Result<()> {
    faults(Flow::Connect, 13).await
}

#[tokio::test]
async fn a_reconnect_with_faults() -> Result<()> {
    faults(Flow::Reconnect, 19).await
}

#[tokio::test]
async fn a_disconnect_with_faults() -> Result<()> {
    faults(Flow::Disconnect, 9).await
}

#[tokio::test]
async fn a_rotation_with_faults() -> Result<()> {
    faults(Flow::Rotation, 11).await
}

#[tokio::test]
async fn a_recovery_with_faults() -> Result<()> {
    faults(Flow::Recovery, 29).await
}

#[tokio::test]
async fn a_subscription_with_faults() -> Result<()> {
    faults(Flow::Subscription, 15).await
}

#[tokio::test]
async fn a_separation_with_faults() -> Result<()> {
    faults(Flow::Separation, 25).await
}

#[tokio::test]
async fn a_recovery_with_a_tricky_server() -> Result<()> {
    tricks(Flow::Recovery, &[Step::Recovery, Step::Jwks], &TRICKS, 120).await
}

#[tokio::test]
async fn a_subscription_with_a_tricky_server() -> Result<()> {
    tricks(Flow::Subscription, &[Step::Webhook], &TRICKS, 20).await
}

#[tokio::test]
async fn a_refresh_with_a_tricky_server() -> Result<()> {
    tricks(Flow::Refresh, &[Step::Refresh, Step::Jwks, Step::Discovery], &TRICKS, 10).await
}

#[tokio::test]
async fn a_connect_with_a_tricky_server() -> Result<()> {
    let steps = [Step::Discovery, Step::Registration, Step::Push, Step::Code, Step::Jwks];
    tricks(Flow::Connect, &steps, &TRICKS, 40).await
}

#[tokio::test]
async fn a_rotation_with_a_tricky_server() -> Result<()> {
    tricks(Flow::Rotation, &[Step::KeyChange], &TRICKS, 20).await
}

#[tokio::test]
async fn a_disconnect_with_a_tricky_server() -> Result<()> {
    tricks(Flow::Disconnect, &[Step::Webhook, Step::Reset], &TRICKS, 20).await
}

/// But which company approved is the server's to say.
#[tokio::test]
async fn a_connect_with_a_lying_server() -> Result<()> {
    tricks(Flow::Connect, &[Step::Code], &LIES, 40).await
}

#[tokio::test]
async fn a_refresh_with_a_lying_server() -> Result<()> {
    let lies = [&LIES[..], &[(Behaviour::Forge(Forgery::Company), 1)]].concat();
    tricks(Flow::Refresh, &[Step::Refresh], &lies, 12).await
}

#[tokio::test]
async fn a_rotation_with_a_lying_server() -> Result<()> {
    tricks(Flow::Rotation, &[Step::KeyChange], &LIES, 40).await
}
