//! Tokens: demands, refreshes, outages, the end of a family.

use super::*;

#[test]
fn one_refresh_for_a_thousand_demands() {
    let world = World::default();
    let later = world.at(NOW + 3_600);
    let mut session = session(samples::connected());
    let refreshes = (0..1_000)
        .map(|_| session.apply(Event::TokenDemanded { rejected: None }, &later))
        .filter(|actions| refresh_order(actions).is_some())
        .count();
    assert_eq!(refreshes, 1);
    let outcome = Ok(samples::grant(2, NOW + 3_600));
    let actions = session.apply(Event::Refreshed { family: 1, outcome }, &later);
    assert_eq!(actions, [Action::Settle(Waiting::Token, Ok(token(2)))]);
    assert_eq!(session.facts.refresh, None);
}

#[test]
fn a_rejected_token_is_renewed_once_and_its_successor_served() {
    let world = World::default();
    let cx = world.at(NOW);
    let rejected = || Event::TokenDemanded { rejected: Some(Secret::new("access-1")) };
    let mut session = session(samples::connected());
    assert!(refresh_order(&session.apply(rejected(), &cx)).is_some());
    assert_eq!(session.apply(rejected(), &cx), [], "joins");
    let valid = session.apply(Event::TokenDemanded { rejected: None }, &cx);
    assert_eq!(valid, [Action::Reply(Ok(token(1)))], "a valid token is served meanwhile");
    session.apply(Event::Refreshed { family: 1, outcome: Ok(samples::grant(2, NOW)) }, &cx);
    assert_eq!(session.apply(rejected(), &cx), [Action::Reply(Ok(token(2)))]);
}

#[test]
fn a_server_that_rejects_every_token_does_not_make_a_storm() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut session = session(samples::connected());
    let mut refreshes = 0;
    for generation in 1..50 {
        let rejected = Some(Secret::new(format!("access-{generation}")));
        let actions = session.apply(Event::TokenDemanded { rejected }, &cx);
        if refresh_order(&actions).is_none() {
            assert_eq!(actions, [Action::Reply(Ok(token(generation)))]);
            break;
        }
        refreshes += 1;
        let outcome = Ok(samples::grant(generation + 1, NOW));
        session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    }
    assert_eq!(refreshes, MAX_FORCED_PER_MINUTE);
}

#[test]
fn renewal_happens_at_half_life() {
    let world = World::default();
    let mut session = session(exchanging());
    let idempotency_key = session.facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    let outcome = Ok(samples::grant(1, NOW));
    session.apply(Event::Redeemed { idempotency_key, outcome }, &world.at(NOW));
    let renews_at = session.facts.connection.as_ref().expect("connected").tokens.renews_at;
    assert!((1_620..=1_980).contains(&renews_at.since(NOW)), "{}", renews_at.since(NOW));
    assert_eq!(session.next_due(), Some(renews_at));
    assert_eq!(session.apply(Event::Tick, &world.at(renews_at - 1)), []);
    assert!(refresh_order(&session.apply(Event::Tick, &world.at(renews_at))).is_some());
    assert_eq!(session.apply(Event::Tick, &world.at(renews_at + 1)), [], "one at a time");
}

#[test]
fn a_refresh_without_a_result_is_sent_again_with_its_key() {
    let world = World::default();
    let mut before = session(samples::connected());
    let actions = before.apply(Event::Tick, &world.at(NOW + 1_800));
    let order = refresh_order(&actions).expect("begun").clone();
    // Killed here: the facts are on the disk, what was running is not.
    let mut after = session(before.facts);
    let actions = after.apply(Event::Tick, &world.at(NOW + 1_801));
    assert_eq!(refresh_order(&actions), Some(&order));
}

#[test]
fn a_passing_failure_keeps_token_key_and_connection() {
    let world = World::default();
    let due = NOW + 1_800;
    let mut session = session(samples::connected());
    let order = refresh_order(&session.apply(Event::Tick, &world.at(due))).expect("begun").clone();
    let mut now = due;
    for _ in 0..20 {
        let outcome = Err(Failure::Passing(passing()));
        session.apply(Event::Refreshed { family: 1, outcome }, &world.at(now));
        assert_eq!(session.state(&world.at(now)), State::Connected);
        now = session.next_due().expect("tried again");
        let actions = session.apply(Event::Tick, &world.at(now));
        assert_eq!(refresh_order(&actions).expect("begun").idempotency_key, order.idempotency_key);
    }
    assert!(now.since(due) > 1_000, "the waits grow");
    let outcome = Ok(samples::grant(2, now));
    session.apply(Event::Refreshed { family: 1, outcome }, &world.at(now));
    assert!(session.valid_tokens(&world.at(now)).is_some());
}

#[test]
fn in_an_outage_a_valid_token_is_served_and_later_the_outage_is_told() {
    let world = World::default();
    let mut session = session(samples::connected());
    session.apply(Event::Tick, &world.at(NOW + 1_800));
    let trouble = passing().retry_after(120);
    let outcome = Err(Failure::Passing(trouble));
    session.apply(Event::Refreshed { family: 1, outcome }, &world.at(NOW + 3_500));
    let demand = || Event::TokenDemanded { rejected: None };
    let served = session.apply(demand(), &world.at(NOW + 3_500));
    assert_eq!(served, [Action::Reply(Ok(token(1)))]);
    let actions = session.apply(demand(), &world.at(NOW + 3_600));
    let [Action::Reply(Err(trouble))] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((trouble.code, trouble.retry_after), (Code::ServerUnreachable, Some(20)));
    assert_eq!(session.state(&world.at(NOW + 3_600)), State::Connected);
}

/// How the server answers a refresh, in the tests of what follows.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// With a token that is good.
    Good,
    /// With one that had ended when it came.
    Ended,
    /// Not at all.
    Lost,
}

impl Answer {
    fn outcome(self, generation: u32, at: UnixTime) -> Result<Grant, Failure> {
        let grant = samples::grant(generation, at);
        match self {
            Self::Good => Ok(grant),
            Self::Ended => Ok(Grant { expires_at: at, ..grant }),
            Self::Lost => Err(Failure::Passing(passing())),
        }
    }
}

#[test]
fn whoever_waits_for_a_token_gets_one_that_can_be_used_or_hears_why_not() {
    use Answer::{Ended, Good, Lost};
    #[track_caller]
    fn check(answers: &[Answer], expected: &str, last: Option<&str>) {
        let world = World::default();
        let cx = world.at(NOW + 3_600);
        let mut session = session(samples::connected());
        let demand = Event::TokenDemanded { rejected: None };
        let mut order = refresh_order(&session.apply(demand, &cx)).expect("begun").clone();
        for (generation, answer) in (2..).zip(answers) {
            let outcome = answer.outcome(generation, cx.now);
            let actions = session.apply(Event::Refreshed { family: 1, outcome }, &cx);
            assert_eq!(session.state(&cx), State::Connected, "{answers:?}");
            let settled = matches!(actions.first(), Some(Action::Settle(Waiting::Token, _)));
            let is_last = generation as usize == answers.len() + 1;
            assert_eq!(settled, is_last, "{answers:?}: settled once, at the end: {actions:?}");
            if is_last {
                assert_eq!((first(&actions).as_str(), actions.len()), (expected, 1), "{answers:?}");
            } else {
                let next = refresh_order(&actions).expect("renewed at once").clone();
                assert_eq!(next.approved.refresh, Secret::new(format!("refresh-{generation}")));
                assert_ne!(next.idempotency_key, order.idempotency_key, "another token's key");
                order = next;
            }
        }
        let told = session.running.last_error.map(|it| it.trouble.code.words().code);
        assert_eq!(told, last, "{answers:?}");
    }
    check(&[Good], "Token ok", None);
    check(&[Ended, Good], "Token ok", None);
    check(&[Ended, Ended], "Token token_expired", Some("token_expired"));
    check(&[Lost], "Token server_unreachable", Some("server_unreachable"));
    check(&[Ended, Lost], "Token server_unreachable", Some("server_unreachable"));
}

#[test]
fn tokens_that_ended_on_their_way_never_make_a_storm_nor_an_end() {
    use Answer::{Ended, Lost};
    for pattern in [&[Ended][..], &[Ended, Lost], &[Lost, Ended, Ended]] {
        let world = World::default();
        let mut session = session(samples::connected());
        let (mut now, mut refreshes) = (NOW + 3_600, 0_u32);
        let mut actions = session.apply(Event::Tick, &world.at(now));
        for (generation, answer) in (2..).zip(pattern.iter().cycle()) {
            if refresh_order(&actions).is_none() {
                let demand = Event::TokenDemanded { rejected: None };
                let waits = session.apply(demand, &world.at(now));
                let [Action::Reply(Err(trouble))] = &waits[..] else { panic!("{waits:?}") };
                assert!(trouble.retry_after.is_some(), "{trouble:?}");
                now = session.next_due().expect("tried again");
                actions = session.apply(Event::Tick, &world.at(now));
            }
            if now.since(NOW) > 24 * 3_600 {
                break;
            }
            assert!(refresh_order(&actions).is_some(), "{pattern:?}");
            refreshes += 1;
            let outcome = answer.outcome(generation, now);
            actions = session.apply(Event::Refreshed { family: 1, outcome }, &world.at(now));
            assert_eq!(session.state(&world.at(now)), State::Connected);
        }
        assert!((200..800).contains(&refreshes), "{pattern:?}: {refreshes} in a day");
        let outcome = Answer::Good.outcome(1, now);
        session.apply(Event::Refreshed { family: 1, outcome }, &world.at(now));
        assert!(session.valid_tokens(&world.at(now)).is_some(), "{pattern:?}");
        assert_eq!(session.running.refresh_backoff, Backoff::default());
    }
}

#[test]
fn an_approval_whose_token_ended_on_its_way_is_renewed_at_once() {
    let world = World::default();
    let cx = world.at(NOW + 3_600);
    let mut session = session(exchanging());
    let idempotency_key = session.facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    let outcome = Answer::Ended.outcome(1, cx.now);
    let actions = session.apply(Event::Redeemed { idempotency_key, outcome }, &cx);
    let [Action::Settle(Waiting::Callback, Ok(_)), Action::Refresh(_)] = &actions[..] else {
        panic!("{actions:?}")
    };
    let outcome = Answer::Good.outcome(2, cx.now);
    let actions = session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    assert_eq!(actions, [Action::Settle(Waiting::Token, Ok(token(2)))]);
}

#[test]
fn whoever_waits_for_a_token_hears_of_a_disconnect() {
    let world = World::default();
    let cx = world.at(NOW + 3_600);
    for answer in [Answer::Good, Answer::Ended] {
        let mut session = session(samples::connected());
        session.apply(Event::TokenDemanded { rejected: None }, &cx);
        session.apply(Event::DisconnectAsked { forget: false }, &cx);
        let outcome = answer.outcome(2, cx.now);
        let actions = session.apply(Event::Refreshed { family: 1, outcome }, &cx);
        assert_eq!(refusal(&actions), Some(Code::DisconnectPending), "{answer:?}");
        assert!(reset_order(&actions).is_some(), "{answer:?}");
    }
}

#[test]
fn an_older_familys_end_does_not_touch_its_successor() {
    let world = World::default();
    let cx = world.at(NOW + 1_800);
    let mut session = session(Facts { pending: Some(samples::attempt()), ..samples::connected() });
    session.apply(callback(GOOD), &world.at(NOW));
    session.apply(Event::Tick, &cx);
    let idempotency_key = session.facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    session.apply(
        Event::Redeemed { idempotency_key, outcome: Ok(samples::grant(9, NOW + 1_800)) },
        &cx,
    );
    let outcome = Err(Failure::Final(Trouble::of(Code::ReconnectRequired)));
    assert_eq!(session.apply(Event::Refreshed { family: 1, outcome }, &cx), []);
    assert_eq!(session.state(&cx), State::Connected);
    assert_eq!(session.facts.connection.as_ref().expect("connected").family, 2);
}
