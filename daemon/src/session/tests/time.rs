//! Days without a server, clocks that step, machines that sleep.

use super::*;

fn renew(session: &mut Session, outcome: Result<Grant, Failure>, cx: &Context<'_>) -> Vec<Action> {
    let family = session.facts.connection.as_ref().expect("connected").family;
    session.apply(Event::Refreshed { family, outcome }, cx)
}

#[test]
fn days_without_a_server_end_nothing_and_it_is_asked_every_five_minutes() {
    let world = World::default();
    let mut session = session(samples::connected());
    let mut now = NOW + 1_800;
    let order = refresh_order(&session.apply(Event::Tick, &world.at(now))).expect("begun").clone();
    let mut asked = 1;
    while now.since(NOW) < 5 * 24 * 3_600 {
        let cx = world.at(now);
        renew(&mut session, Err(Failure::Passing(passing())), &cx);
        assert_eq!(session.state(&cx), State::Connected);
        let answer = session.apply(Event::TokenDemanded { rejected: None }, &cx);
        if now < NOW + 3_590 {
            assert_eq!(answer, [Action::Reply(Ok(token(1)))]);
        } else {
            let [Action::Reply(Err(trouble))] = &answer[..] else { panic!("{answer:?}") };
            assert_eq!(trouble.code, Code::ServerUnreachable);
            assert!(trouble.retry_after.is_some_and(|wait| (1..=300).contains(&wait)));
        }
        now = session.next_due().expect("tried again");
        let actions = session.apply(Event::Tick, &world.at(now));
        assert_eq!(refresh_order(&actions), Some(&order), "the same request");
        asked += 1;
    }
    assert!((5 * 288..5 * 400).contains(&asked), "{asked} times");
    let cx = world.at(now);
    renew(&mut session, Ok(samples::grant(2, now)), &cx);
    assert_eq!(session.words(State::Connected, &cx).0, "Connected to Ada & Co.");
    assert!(session.valid_tokens(&cx).is_some());
}

#[test]
fn a_machine_that_slept_renews_when_it_looks_at_the_clock() {
    let world = World::default();
    for asleep in [2_000, 3_600, 5 * 24 * 3_600] {
        let cx = world.at(NOW + asleep);
        let mut session = session(samples::connected());
        assert!(session.next_due().expect("a renewal") <= cx.now);
        assert!(refresh_order(&session.apply(Event::Tick, &cx)).is_some(), "{asleep}");
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_put_the_renewal_off() {
    let world = World::default();
    let mut session = session(samples::connected());
    assert_eq!(session.apply(Event::Tick, &world.at(NOW - 30)), [], "a correction of seconds");
    for hours in [1, 5, 24 * 365] {
        let cx = world.at(NOW - hours * 3_600);
        assert!(refresh_order(&session.apply(Event::Tick, &cx)).is_some(), "{hours} hours");
        renew(&mut session, Ok(samples::grant(2, cx.now)), &cx);
        let renews_at = session.facts.connection.as_ref().expect("connected").tokens.renews_at;
        assert!((1_000..2_000).contains(&renews_at.since(cx.now)), "by the clock that is");
        assert_eq!(session.apply(Event::Tick, &cx), [], "once");
    }
}

#[test]
fn a_clock_that_steps_does_not_stretch_a_wait() {
    let world = World::default();
    let due = NOW + 1_800;
    for step in [-24 * 3_600, -3_600, 3_600, 24 * 3_600] {
        let mut session = session(samples::connected());
        session.apply(Event::Tick, &world.at(due));
        renew(&mut session, Err(Failure::Passing(passing().retry_after(600))), &world.at(due));
        assert_eq!(session.apply(Event::Tick, &world.at(due + 1)), [], "it waits");
        let actions = session.apply(Event::Tick, &world.at(due + step));
        assert!(refresh_order(&actions).is_some(), "{step}");
    }
}
