//! A lost family and the key that asks for another.

use super::{facts::Recoveries, *};

/// How long recoveries are counted, in seconds.
const DAY: i64 = 24 * 3_600;

pub(super) fn finish(
    session: &mut Session,
    outcome: Result<Grant, Unrecovered>,
    cx: &Context<'_>,
) -> Vec<Action> {
    let idempotency_key = session.facts.recovery.as_ref().expect("begun").idempotency_key.clone();
    session.apply(Event::Recovered { idempotency_key, outcome }, cx)
}

/// Refreshes because it is due, and the server refuses for good.
fn lose(session: &mut Session, code: Code, cx: &Context<'_>) -> Vec<Action> {
    let family = session.facts.connection.as_ref().expect("connected").family;
    session.apply(Event::Tick, cx);
    let outcome = Err(Failure::Final(Trouble::of(code)));
    session.apply(Event::Refreshed { family, outcome }, cx)
}

fn refused(code: Code) -> Result<Grant, Unrecovered> {
    Err(Unrecovered::Final(Trouble::of(code)))
}

#[test]
fn a_lost_family_is_replaced_and_the_connection_stays() {
    let world = World::default();
    for code in [Code::ReconnectRequired, Code::TokenUnacceptable] {
        let cx = world.at(NOW + 1_800);
        let mut session = session(samples::connected());
        let actions = lose(&mut session, code, &cx);
        let order = recover_order(&actions).expect("the key asks").clone();
        assert_eq!(actions.len(), 1, "nobody is told that it is over: {actions:?}");
        assert_eq!(
            (&*order.approved.company_id, &*order.approved.grant_id),
            ("company_1", "grant_abc")
        );
        assert_eq!(session.state(&cx), State::Connected);
        let served = session.apply(Event::TokenDemanded { rejected: None }, &cx);
        assert_eq!(served, [Action::Reply(Ok(token(1)))], "a valid token is served meanwhile");
        let rejected = Some(Secret::new("access-1"));
        assert_eq!(session.apply(Event::TokenDemanded { rejected }, &cx), [], "others wait");
        let before = session.facts.connection.clone().expect("connected");
        let actions = finish(&mut session, Ok(samples::grant(2, cx.now)), &cx);
        assert_eq!(actions, [Action::Settle(Waiting::Token, Ok(token(2)))]);
        let after = session.facts.connection.clone().expect("connected");
        assert_eq!((after.family, after.lost.is_none()), (2, true), "a new family");
        assert_eq!((after.grant_id, after.connected_at), (before.grant_id, before.connected_at));
        assert_eq!(session.facts.recoveries, Recoveries { count: 1, times: vec![cx.now] });
        assert_eq!(session.facts.recovery, None);
        // The end of the family before means nothing any more.
        let outcome = Err(Failure::Final(Trouble::of(Code::ReconnectRequired)));
        assert_eq!(session.apply(Event::Refreshed { family: 1, outcome }, &cx), []);
        assert_eq!(session.state(&cx), State::Connected);
    }
}

#[test]
fn a_recovery_without_a_result_is_sent_again_with_its_key() {
    let world = World::default();
    let cx = world.at(NOW + 1_800);
    let mut before = session(samples::connected());
    let order = recover_order(&lose(&mut before, Code::ReconnectRequired, &cx)).cloned();
    // Killed here: the facts are on the disk, what was running is not.
    let mut after = session(before.facts);
    let actions = after.apply(Event::Tick, &cx);
    assert_eq!(recover_order(&actions), order.as_ref());
    assert_eq!(after.apply(Event::Tick, &cx), [], "one at a time");
}

#[test]
fn a_passing_failure_is_waited_out_with_the_same_key() {
    let world = World::default();
    let mut now = NOW + 3_700;
    let mut session = session(samples::connected());
    let order =
        recover_order(&lose(&mut session, Code::ReconnectRequired, &world.at(now))).cloned();
    for _ in 0..20 {
        let outcome = Err(Unrecovered::Passing(passing()));
        let actions = finish(&mut session, outcome, &world.at(now));
        assert_eq!(refusal(&actions), Some(Code::ServerUnreachable));
        let waits = session.apply(Event::TokenDemanded { rejected: None }, &world.at(now));
        assert_eq!(refusal(&waits), Some(Code::ServerUnreachable));
        assert_eq!(session.state(&world.at(now)), State::Connected);
        now = session.next_due().expect("tried again");
        let actions = session.apply(Event::Tick, &world.at(now));
        assert_eq!(recover_order(&actions), order.as_ref());
    }
    assert!(now.since(NOW) > 4_000, "the waits grow");
}

#[test]
fn a_refusal_ends_it_in_its_own_words_and_is_never_a_loop() {
    let world = World::default();
    for code in [Code::ApprovalWithdrawn, Code::KeyInTwoPlaces, Code::RecoveryRefused] {
        let cx = world.at(NOW + 3_700);
        let mut session = session(samples::connected());
        lose(&mut session, Code::ReconnectRequired, &cx);
        let actions = finish(&mut session, refused(code), &cx);
        let [Action::Settle(Waiting::Token, Err(told))] = &actions[..] else {
            panic!("{actions:?}")
        };
        assert_eq!((told.code, &*told.message), (Code::ReconnectRequired, code.words().message));
        assert_eq!(session.state(&cx), State::ReconnectRequired);
        let (summary, next_step) = session.words(State::ReconnectRequired, &cx);
        assert!(summary.contains(code.words().message), "{summary}");
        assert_eq!(next_step, code.words().next_step);
        assert_eq!(session.next_due(), None);
        let mut restarted = super::Session::resume(session.facts.clone());
        for hours in 0..48 {
            let later = world.at(NOW + hours * 3_600);
            assert_eq!(session.apply(Event::Tick, &later), []);
            assert_eq!(restarted.apply(Event::Tick, &later), []);
        }
    }
}

#[test]
fn without_an_offer_the_family_is_lost_for_its_own_reason() {
    let world = World::default();
    let cx = world.at(NOW + 3_700);
    let mut session = session(samples::connected());
    lose(&mut session, Code::TokenUnacceptable, &cx);
    finish(&mut session, Err(Unrecovered::NotOffered), &cx);
    let lost = session.facts.connection.as_ref().and_then(|it| it.lost.clone()).expect("lost");
    assert_eq!(lost.trouble.code, Code::TokenUnacceptable);
    assert_eq!(session.apply(Event::Tick, &cx), [], "not asked again while it runs");
    // An upgrade of either side restarts the daemon, or is followed by a restart some day.
    let mut restarted = super::Session::resume(session.facts);
    assert!(recover_order(&restarted.apply(Event::Tick, &cx)).is_some());
}

#[test]
fn a_refusal_of_what_was_sent_before_is_asked_once_more_with_another_key() {
    let world = World::default();
    let cx = world.at(NOW + 3_700);
    let mut session = session(samples::connected());
    let first = recover_order(&lose(&mut session, Code::ReconnectRequired, &cx)).cloned();
    finish(&mut session, Err(Unrecovered::Passing(passing())), &cx);
    let later = world.at(session.next_due().expect("tried again"));
    session.apply(Event::Tick, &later);
    let actions = finish(&mut session, refused(Code::ApprovalWithdrawn), &later);
    let second = recover_order(&actions).expect("asked anew");
    assert_ne!(Some(&second.idempotency_key), first.as_ref().map(|it| &it.idempotency_key));
    finish(&mut session, refused(Code::ApprovalWithdrawn), &later);
    assert_eq!(session.state(&later), State::ReconnectRequired);
    assert_eq!(session.apply(Event::Tick, &world.at(NOW + DAY)), []);
}

#[test]
fn the_servers_limit_is_waited_out_and_the_rest_of_the_tokens_life_used() {
    let world = World::default();
    let cx = world.at(NOW + 1_800);
    for (asked, waited) in [(10_000, 10_000), (1_000, 3_600), (10 * DAY, DAY)] {
        let mut session = session(samples::connected());
        let order = recover_order(&lose(&mut session, Code::ReconnectRequired, &cx)).cloned();
        let trouble = Trouble::of(Code::RecoveryCapped).retry_after(asked);
        finish(&mut session, Err(Unrecovered::Capped(trouble)), &cx);
        assert_eq!(session.state(&cx), State::ReconnectRequired);
        assert!(session.valid_tokens(&cx).is_some(), "until it ends");
        let mut session = super::Session::resume(session.facts);
        assert_eq!(session.apply(Event::Tick, &world.at(cx.now + waited - 1)), []);
        assert_eq!(session.next_due(), Some(cx.now + waited));
        let actions = session.apply(Event::Tick, &world.at(cx.now + waited));
        assert_eq!(
            recover_order(&actions).map(|it| &it.idempotency_key),
            order.as_ref().map(|it| &it.idempotency_key)
        );
        finish(&mut session, Ok(samples::grant(2, cx.now + waited)), &world.at(cx.now + waited));
        assert_eq!(session.state(&world.at(cx.now + waited)), State::Connected);
    }
}

#[test]
fn our_own_limit_is_three_in_a_day_whatever_the_clock_does() {
    let world = World::default();
    let mut session = session(samples::connected());
    let mut now = NOW;
    for generation in 2..5 {
        now = now + 3_600;
        lose(&mut session, Code::ReconnectRequired, &world.at(now));
        finish(&mut session, Ok(samples::grant(generation, now)), &world.at(now));
    }
    now = now + 3_600;
    let actions = lose(&mut session, Code::ReconnectRequired, &world.at(now));
    assert_eq!(recover_order(&actions), None);
    assert_eq!(refusal(&actions), Some(Code::ReconnectRequired));
    let told = session.words(State::ReconnectRequired, &world.at(now)).0;
    assert!(told.contains("too often within a day"), "{told}");
    let mut restarted = super::Session::resume(session.facts.clone());
    assert_eq!(restarted.apply(Event::Tick, &world.at(now)), []);
    assert_eq!(restarted.apply(Event::Tick, &world.at(now - 7_200)), [], "a clock set back");
    let due = NOW + 3_600 + DAY;
    assert_eq!(restarted.apply(Event::Tick, &world.at(due - 1)), []);
    assert!(recover_order(&restarted.apply(Event::Tick, &world.at(due))).is_some());
}

#[test]
fn an_approval_on_its_way_comes_first() {
    let world = World::default();
    let cx = world.at(NOW + 3_700);
    let facts = Facts { exchange: exchanging().exchange, ..lost() };
    let mut session = session(facts);
    assert_eq!(first(&session.apply(Event::Tick, &cx)), "redeem");
    assert_eq!(session.facts.recovery, None);
    let idempotency_key = session.facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    session.apply(Event::Redeemed { idempotency_key, outcome: Ok(samples::grant(5, cx.now)) }, &cx);
    assert_eq!(session.state(&cx), State::Connected);
    assert_eq!(session.apply(Event::Tick, &cx), []);
}
