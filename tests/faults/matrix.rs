//! Every flow, with every fault, at every operation on the disk, and with every trick of the server.

use std::{cell::RefCell, cmp::Reverse};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use world::{Behaviour, EIO, ENOSPC, EROFS, Fault, Forgery, Loss, Step};

use crate::{
    flow::{Flow, Round},
    is_soak,
    shop::Shop,
    stage::Stage,
};

/// More operations than any flow has.
const MANY: u64 = 2_000;

/// Courses of one test that go on at the same time. Most of their time they wait: for a process to start or to end, and
/// for the pauses of a daemon that tries again.
const ABREAST: usize = 4;

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

/// Rounds that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    /// What the server does at a step, and how many times; nothing else than it should if `None`.
    trick: Option<(Step, Behaviour, usize)>,
    /// What comes at every `stride`th operation of the flow.
    faults: &'a [Fault],
    /// What is lost when a fault is the power's end.
    cut: Option<Loss>,
    stride: u64,
}

impl Task<'_> {
    /// The power goes, and with it what was not synced.
    pub(crate) const fn of_the_power(cut: Loss, stride: u64) -> Self {
        Self { trick: None, faults: &[Fault::KillBefore], cut: Some(cut), stride }
    }
}

/// The rounds of one flow, on one stage.
struct Course {
    stage: Stage,
    flow: Flow,
    shop: Option<Shop>,
    rounds: usize,
}

impl Course {
    async fn of(flow: Flow) -> Result<Self> {
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

    /// Plays what a task asks for. Each begins at another operation, so that a sample misses none for long.
    async fn perform(&mut self, number: usize, task: Task<'_>) -> Result<()> {
        let (flow, spoilt, cut) = (self.flow, task.trick.as_slice(), task.cut);
        let round = Round { flow, spoilt, fault: None, cut, lives_on: false };
        if task.trick.is_some() {
            self.play(round).await?;
            self.play(Round { lives_on: true, ..round }).await?;
        }
        let stride = if is_soak() { 1 } else { task.stride };
        for (place, fault) in task.faults.iter().enumerate() {
            let mut at = 1 + (number + place) as u64 % stride;
            while self.play(Round { fault: Some((*fault, at)), ..round }).await? {
                at += stride;
                ensure!(at < MANY, "{flow:?} has no end");
            }
        }
        Ok(())
    }
}

/// Has the tasks performed by some courses at the same time: whoever is free takes the next one.
pub(crate) async fn perform(flow: Flow, what: &str, tasks: &[Task<'_>]) -> Result<()> {
    let mut numbered: Vec<_> = tasks.iter().copied().enumerate().collect();
    // What takes longest comes first: the daemon waits longer after every failure.
    numbered.sort_by_key(|(_, task)| Reverse(task.trick.map(|(.., times)| times)));
    let next = RefCell::new(numbered.into_iter());
    let courses = (0..ABREAST.min(tasks.len())).map(async |_| {
        let mut course = Course::of(flow).await?;
        loop {
            let Some((number, task)) = next.borrow_mut().next() else { break };
            course.perform(number, task).await.with_context(|| format!("{task:?}"))?;
        }
        anyhow::Ok(course.rounds)
    });
    let rounds: usize = try_join_all(courses).await?.into_iter().sum();
    crate::tell(&format!("{flow:?}, {what}: {rounds} rounds"));
    Ok(())
}

/// A flow with every fault and an honest server.
async fn faults(flow: Flow, stride: u64) -> Result<()> {
    let task = |faults| Task { trick: None, faults, cut: None, stride };
    perform(flow, "faults", &FAULTS.chunks(1).map(task).collect::<Vec<_>>()).await
}

/// A flow with a server that plays tricks at some steps: alone, and in a sample every third of them with a kill.
async fn tricks(
    flow: Flow,
    steps: &[Step],
    tricks: &[(Behaviour, usize)],
    stride: u64,
) -> Result<()> {
    let mut tasks = Vec::new();
    for step in steps {
        for (number, (behaviour, times)) in tricks.iter().enumerate() {
            let faults: &[Fault] = match number % 3 {
                _ if is_soak() => &FAULTS,
                0 => &[Fault::KillBefore],
                _ => &[],
            };
            tasks.push(Task {
                trick: Some((*step, *behaviour, *times)),
                faults,
                cut: None,
                stride,
            });
        }
    }
    perform(flow, "tricks", &tasks).await
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
