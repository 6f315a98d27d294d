//! Every crash point, alone and in pairs, against a small model of the server and of the two slots.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::*;

/// What goes wrong with one step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// Killed after the facts were saved, before anything was sent.
    KilledBefore,
    /// Killed when it was done, before the outcome was saved.
    KilledAfter,
    /// The same, and started again two days later: the server keeps no answer that long.
    KilledForDays,
    /// Nothing was sent.
    Unsent,
    /// It was done and the answer lost.
    Unanswered,
}

const FAULTS: [Fault; 5] = [
    Fault::KilledBefore,
    Fault::KilledAfter,
    Fault::KilledForDays,
    Fault::Unsent,
    Fault::Unanswered,
];

/// The server, as far as it matters: one key in force, one family, and its answers.
struct Model {
    key: Thumbprint,
    family_key: Thumbprint,
    generation: u32,
    answers: HashMap<String, (u32, Thumbprint)>,
    offers_rotation: bool,
}

impl Model {
    fn renew(&mut self, idempotency_key: &str, key: Thumbprint, now: UnixTime) -> Grant {
        self.generation += 1;
        self.family_key = key;
        // One answer is kept, until its token is used.
        self.answers = HashMap::from([(idempotency_key.to_owned(), (self.generation, key))]);
        samples::grant(self.generation, now)
    }

    fn again(&self, idempotency_key: &str, now: UnixTime) -> Option<Grant> {
        let (generation, _) = self.answers.get(idempotency_key)?;
        Some(samples::grant(*generation, now))
    }

    fn is_current(&self, refresh: &Secret) -> bool {
        *refresh == Secret::new(format!("refresh-{}", self.generation))
    }

    fn refresh(&mut self, order: &RefreshOrder, now: UnixTime) -> Result<Grant, Failure> {
        if self.is_current(&order.approved.refresh) {
            if order.key != self.family_key {
                return Err(Failure::Passing(Trouble::of(Code::ProofRefused)));
            }
            return Ok(self.renew(&order.idempotency_key, order.key, now));
        }
        let ended = || Failure::Final(Trouble::of(Code::ReconnectRequired));
        self.again(&order.idempotency_key, now).ok_or_else(ended)
    }

    fn rotate(&mut self, order: &RotateOrder, now: UnixTime) -> Result<Grant, Unrotated> {
        if !self.offers_rotation {
            return Err(Unrotated::NotOffered);
        }
        if self.is_current(&order.approved.refresh) {
            assert_eq!(order.current, self.family_key, "vouched for by the key in force");
            self.key = order.next;
            return Ok(self.renew(&order.idempotency_key, order.next, now));
        }
        let trouble = Trouble::of(Code::ReconnectRequired);
        let ended = || Unrotated::Ended { trouble, accepted: false };
        self.again(&order.idempotency_key, now).ok_or_else(ended)
    }

    fn recover(&mut self, order: &RecoverOrder, now: UnixTime) -> Result<Grant, Unrecovered> {
        if order.key != self.key {
            return Err(Unrecovered::Passing(Trouble::of(Code::ProofRefused)));
        }
        let again = self.again(&order.idempotency_key, now);
        Ok(again.unwrap_or_else(|| self.renew(&order.idempotency_key, order.key, now)))
    }

    fn redeem(&mut self, exchange: &Exchange, now: UnixTime) -> Grant {
        let again = self.again(&exchange.idempotency_key, now);
        again.unwrap_or_else(|| self.renew(&exchange.idempotency_key, exchange.key, now))
    }
}

/// A daemon, its disk and its server.
struct Stage {
    world: World,
    now: UnixTime,
    session: Session,
    /// The keys in the slots.
    slots: BTreeSet<Thumbprint>,
    made: u8,
    server: Model,
    queue: VecDeque<Action>,
}

impl Stage {
    fn new(offers_rotation: bool) -> Self {
        let facts = samples::connected();
        let key = facts.keys.current;
        Self {
            world: World::default(),
            now: NOW + 60,
            session: session(facts),
            slots: BTreeSet::from([key]),
            made: 1,
            server: Model {
                key,
                family_key: key,
                generation: 1,
                answers: HashMap::new(),
                offers_rotation,
            },
            queue: VecDeque::new(),
        }
    }

    fn apply(&mut self, event: Event) {
        let actions = self.session.apply(event, &self.world.at(self.now));
        self.queue.extend(actions.into_iter().filter(Action::is_step));
    }

    /// What is on the disk is all that is left.
    fn restart(&mut self) {
        self.queue.clear();
        self.session = session(self.session.facts.clone());
        self.apply(Event::Tick);
    }

    /// Does one step where it is done, and says what came of it.
    fn carry_out(&mut self, action: &Action) -> Event {
        let now = self.now;
        match action {
            Action::StageKey => {
                let current = self.session.facts.keys.current;
                self.slots.retain(|key| *key == current);
                self.made += 1;
                let key = Thumbprint([self.made; 32]);
                self.slots.insert(key);
                Event::KeyStaged { outcome: Ok(key) }
            }
            Action::DestroyKey(key) => {
                self.slots.remove(key);
                Event::KeyDestroyed { key: *key, outcome: Ok(()) }
            }
            Action::Rotate(order) => Event::Rotated {
                idempotency_key: order.idempotency_key.clone(),
                outcome: self.server.rotate(order, now),
            },
            Action::Refresh(order) => {
                Event::Refreshed { family: order.family, outcome: self.server.refresh(order, now) }
            }
            Action::Recover(order) => Event::Recovered {
                idempotency_key: order.idempotency_key.clone(),
                outcome: self.server.recover(order, now),
            },
            Action::Register(order) => {
                let registration = samples::registered().registration.expect("registered");
                Event::Registered { connect: order.connect, outcome: Ok(registration) }
            }
            Action::Push(order) => {
                let authorization_url = "https://pay.example/".to_owned();
                let outcome = Ok(Authorization { authorization_url, expires_at: now + 300 });
                Event::Pushed { connect: order.connect, outcome }
            }
            Action::Redeem(exchange) => Event::Redeemed {
                idempotency_key: exchange.idempotency_key.clone(),
                outcome: Ok(self.server.redeem(exchange, now)),
            },
            other => panic!("{other:?} is no part of this"),
        }
    }

    fn step(&mut self, action: &Action, fault: Option<Fault>) {
        match fault {
            None => {
                let event = self.carry_out(action);
                self.apply(event);
            }
            Some(Fault::KilledBefore) => self.restart(),
            Some(Fault::KilledAfter) => {
                self.carry_out(action);
                self.restart();
            }
            Some(Fault::KilledForDays) => {
                self.carry_out(action);
                self.now = self.now + 2 * 24 * 3_600;
                self.server.answers.clear();
                self.restart();
            }
            Some(Fault::Unsent) => self.fail(action),
            Some(Fault::Unanswered) => {
                self.carry_out(action);
                self.fail(action);
            }
        }
        self.check();
    }

    fn fail(&mut self, action: &Action) {
        let event = match action {
            Action::StageKey => Event::KeyStaged { outcome: Err(Trouble::of(Code::StorageFailed)) },
            Action::DestroyKey(key) => Event::KeyDestroyed { key: *key, outcome: Err(passing()) },
            Action::Rotate(order) => Event::Rotated {
                idempotency_key: order.idempotency_key.clone(),
                outcome: Err(Unrotated::Passing(passing())),
            },
            Action::Refresh(order) => {
                let outcome = Err(Failure::Passing(passing()));
                Event::Refreshed { family: order.family, outcome }
            }
            Action::Recover(order) => Event::Recovered {
                idempotency_key: order.idempotency_key.clone(),
                outcome: Err(Unrecovered::Passing(passing())),
            },
            Action::Register(order) => {
                Event::Registered { connect: order.connect, outcome: Err(passing()) }
            }
            Action::Push(order) => {
                Event::Pushed { connect: order.connect, outcome: Err(passing()) }
            }
            Action::Redeem(exchange) => Event::Redeemed {
                idempotency_key: exchange.idempotency_key.clone(),
                outcome: Err(Failure::Passing(passing())),
            },
            other => panic!("{other:?} is no part of this"),
        };
        self.apply(event);
    }

    /// What must be true whenever the power may fail.
    fn check(&self) {
        let keys = &self.session.facts.keys;
        let (server, staged) = (self.server.key, keys.staged.as_ref().map(|staged| staged.key));
        assert!(self.slots.contains(&keys.current), "the key in force is on the disk");
        assert!(self.slots.contains(&server), "and so is the one that the server knows");
        assert!(server == keys.current || Some(server) == staged, "one of the two works");
        assert!(self.slots.len() <= 2);
    }

    /// Goes on until `steps` were taken that could fail and everything is quiet; answers how many there were.
    fn run(&mut self, faults: &[(usize, Fault)], from: usize, until: UnixTime) -> usize {
        let mut step = from;
        while self.now < until {
            if let Some(action) = self.queue.pop_front() {
                let fault = faults.iter().find(|(at, _)| *at == step).map(|(_, fault)| *fault);
                self.step(&action, fault);
                step += 1;
            } else {
                let due = self.session.next_due().unwrap_or(self.now + 3_600);
                self.now = due.max(self.now + 1).min(until);
                self.apply(Event::Tick);
            }
        }
        step
    }

    /// Everybody is where they should be.
    fn assert_well(&self) {
        let facts = &self.session.facts;
        let cx = self.world.at(self.now);
        assert_eq!(self.session.state(&cx), State::Connected);
        let connection = facts.connection.as_ref().expect("connected");
        assert_eq!((&*connection.grant_id, &*connection.company.id), ("grant_abc", "company_1"));
        assert_eq!(facts.keys.current, self.server.key);
        assert_eq!(self.server.family_key, self.server.key);
        assert_eq!((&facts.rotation, &facts.keys.former), (&None, &None));
        assert!(self.session.valid_tokens(&cx).is_some());
    }
}

/// Every single fault, and every pair, within the first steps.
fn plans(steps: usize) -> Vec<Vec<(usize, Fault)>> {
    let single: Vec<_> = (0..steps).flat_map(|step| FAULTS.map(|fault| (step, fault))).collect();
    let pairs = single.iter().flat_map(|one| {
        single.iter().filter(move |other| other.0 > one.0).map(move |other| vec![*one, *other])
    });
    single.iter().map(|one| vec![*one]).chain(pairs).collect()
}

#[test]
fn a_rotation_that_is_interrupted_anywhere_ends_well() {
    for plan in plans(6) {
        let mut stage = Stage::new(true);
        stage.apply(Event::RotationAsked);
        let until = NOW + 10 * 24 * 3_600;
        stage.run(&plan, 0, until);
        stage.assert_well();
        if stage.session.facts.keys.current == samples::KEY {
            // Ended before it began in earnest: asked again, it is done.
            let early = plan.iter().any(|(step, _)| *step == 0);
            assert!(early, "{plan:?}: only without a staged key nothing is left to go on with");
            stage.apply(Event::RotationAsked);
            stage.run(&[], 0, until + 24 * 3_600);
            stage.assert_well();
        }
        assert_ne!(stage.session.facts.keys.current, samples::KEY, "{plan:?}");
        assert_eq!(stage.slots.len(), 1, "{plan:?}: the former key is gone");
    }
}

#[test]
fn an_approval_of_a_staged_key_that_is_interrupted_anywhere_ends_well() {
    for plan in plans(6) {
        for approves in [true, false] {
            let mut stage = Stage::new(false);
            stage.apply(Event::RotationAsked);
            let steps = stage.run(&plan, 0, stage.now + 1);
            stage.apply(Event::ConnectAsked(Ask::default()));
            let steps = stage.run(&plan, steps, stage.now + 1);
            if let Some(attempt) = stage.session.facts.pending.clone() {
                // The server puts a staged key in force at the approval, whether the callback arrives or not.
                stage.server.key = attempt.key;
                stage.check();
                if approves {
                    let query = format!(
                        "code=c&state={}&iss=https%3A%2F%2Fpay.example",
                        attempt.state.expose()
                    );
                    stage.apply(callback(&query));
                }
            }
            stage.run(&plan, steps, NOW + 10 * 24 * 3_600);
            let cx = stage.world.at(stage.now);
            assert_eq!(stage.session.state(&cx), State::Connected, "{plan:?}");
            assert!(stage.session.valid_tokens(&cx).is_some(), "{plan:?}");
            assert_eq!(stage.server.family_key, stage.session.facts.keys.current, "{plan:?}");

            // And if the family is lost after all, one of the two keys brings it back.
            stage.server.generation += 1;
            let family = stage.session.facts.connection.as_ref().expect("connected").family;
            stage.now = stage.now + 1_900;
            stage.apply(Event::Tick);
            stage.queue.clear();
            let outcome = Err(Failure::Final(Trouble::of(Code::ReconnectRequired)));
            stage.apply(Event::Refreshed { family, outcome });
            let day = stage.now + 24 * 3_600;
            stage.run(&[], 0, day);
            stage.assert_well();
        }
    }
}
