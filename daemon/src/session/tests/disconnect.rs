//! Disconnecting: confirmed, unconfirmed, forgotten.

use super::*;

fn finish(session: &mut Session, outcome: ResetOutcome, cx: &Context<'_>) -> Vec<Action> {
    let reset_key = session.facts.disconnect.as_ref().expect("begun").reset_key.clone();
    session.apply(Event::ResetFinished { reset_key, outcome }, cx)
}

#[test]
fn a_disconnect_is_over_when_the_server_confirms() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut session = session(samples::connected());
    let actions = session.apply(Event::DisconnectAsked { forget: false }, &cx);
    let order = reset_order(&actions).expect("begun").clone();
    assert_eq!(session.facts.disconnect.as_ref(), Some(&order.disconnect));
    assert_eq!(order.disconnect.reset_key.len(), "wordpress-native-reset-".len() + 40);
    assert_eq!(session.state(&cx), State::DisconnectPending);
    let actions = finish(&mut session, ResetOutcome::Confirmed, &cx);
    assert!(matches!(actions[..], [Action::Settle(Waiting::Disconnect, Ok(_))]));
    assert_eq!(session.state(&cx), State::Disconnected);
    assert_eq!(session.facts.connection, None);
    assert!(session.facts.registration.is_some(), "key and registration stay");
}

#[test]
fn an_unconfirmed_disconnect_keeps_its_keys_and_is_tried_again() {
    let world = World::default();
    let mut session = session(samples::connected());
    let actions = session.apply(Event::DisconnectAsked { forget: false }, &world.at(NOW));
    let order = reset_order(&actions).expect("begun").clone();
    let failed = ResetOutcome::Failed(passing());
    let actions = finish(&mut session, failed, &world.at(NOW));
    assert!(
        matches!(actions[..], [Action::Settle(Waiting::Disconnect, Ok(_))]),
        "the caller hears at once"
    );
    assert_eq!(session.apply(Event::Tick, &world.at(NOW)), []);
    let due = session.next_due().expect("tried again");
    assert_eq!(reset_order(&session.apply(Event::Tick, &world.at(due))), Some(&order));
    let mut restarted = super::Session::resume(session.facts);
    assert_eq!(reset_order(&restarted.apply(Event::Tick, &world.at(due))), Some(&order));
}

#[test]
fn a_disconnect_with_an_old_token_renews_it_and_goes_on() {
    let world = World::default();
    let cx = world.at(NOW + 7_200);
    let mut session = session(samples::connected());
    let actions = session.apply(Event::DisconnectAsked { forget: false }, &cx);
    let first = reset_order(&actions).expect("tried with what there is").clone();
    let actions = finish(&mut session, ResetOutcome::NeedsToken, &cx);
    assert!(refresh_order(&actions).is_some());
    let outcome = Ok(samples::grant(2, NOW + 7_200));
    let actions = session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    let second = reset_order(&actions).expect("goes on");
    assert_eq!(second.access, Secret::new("access-2"));
    assert_eq!(second.disconnect, first.disconnect);
}

#[test]
fn a_server_that_refuses_every_token_at_the_reset_is_not_stormed() {
    let world = World::default();
    let cx = world.at(NOW + 7_200);
    let mut session = session(samples::connected());
    session.apply(Event::DisconnectAsked { forget: false }, &cx);
    finish(&mut session, ResetOutcome::NeedsToken, &cx);
    let outcome = Ok(samples::grant(2, NOW + 7_200));
    session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    let actions = finish(&mut session, ResetOutcome::NeedsToken, &cx);
    assert_eq!((refresh_order(&actions), reset_order(&actions)), (None, None), "it backs off");
    assert_eq!(session.apply(Event::Tick, &cx), []);
    let due = session.next_due().expect("tried again later");
    assert!(reset_order(&session.apply(Event::Tick, &world.at(due))).is_some());
}

#[test]
fn a_disconnect_without_any_token_waits_for_a_person() {
    let world = World::default();
    let cx = world.at(NOW + 7_200);
    let mut session = session(samples::connected());
    session.apply(Event::DisconnectAsked { forget: false }, &cx);
    finish(&mut session, ResetOutcome::NeedsToken, &cx);
    let outcome = Err(Failure::Final(Trouble::of(Code::ReconnectRequired)));
    let actions = session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    assert!(recover_order(&actions).is_some());
    let outcome = Err(Unrecovered::NotOffered);
    let actions = recovery::finish(&mut session, outcome, &cx);
    assert!(actions.iter().any(|it| matches!(it, Action::Settle(Waiting::Disconnect, _))));
    assert_eq!(session.state(&cx), State::DisconnectPending);
    for hours in 3..48 {
        assert_eq!(session.apply(Event::Tick, &world.at(NOW + hours * 3_600)), []);
    }
    let again = session.apply(Event::DisconnectAsked { forget: false }, &cx);
    assert!(reset_order(&again).is_some(), "asked again, tried again");
}

#[test]
fn a_disconnect_with_a_dead_family_recovers_first() {
    let world = World::default();
    let cx = world.at(NOW + 7_200);
    for facts in [disconnecting(), Facts { disconnect: disconnecting().disconnect, ..lost() }] {
        let mut session = session(facts);
        let first = reset_order(&session.apply(Event::Tick, &cx)).expect("tried").clone();
        let mut actions = finish(&mut session, ResetOutcome::NeedsToken, &cx);
        if refresh_order(&actions).is_some() {
            let outcome = Err(Failure::Final(Trouble::of(Code::ReconnectRequired)));
            actions = session.apply(Event::Refreshed { family: 1, outcome }, &cx);
        }
        assert!(recover_order(&actions).is_some(), "{actions:?}");
        let actions = recovery::finish(&mut session, Ok(samples::grant(2, cx.now)), &cx);
        let order = reset_order(&actions).expect("goes on with the new token");
        assert_eq!(
            (&order.access, &order.disconnect),
            (&Secret::new("access-2"), &first.disconnect)
        );
        finish(&mut session, ResetOutcome::Confirmed, &cx);
        assert_eq!(session.state(&cx), State::Disconnected);
    }
}

#[test]
fn a_disconnect_ends_when_the_server_says_that_no_approval_stands() {
    let world = World::default();
    let cx = world.at(NOW + 7_200);
    let mut session = session(Facts { disconnect: disconnecting().disconnect, ..lost() });
    session.apply(Event::Tick, &cx);
    finish(&mut session, ResetOutcome::NeedsToken, &cx);
    let withdrawn = Err(Unrecovered::Final(Trouble::of(Code::ApprovalWithdrawn)));
    let actions = recovery::finish(&mut session, withdrawn, &cx);
    assert!(actions.iter().any(|it| matches!(it, Action::Settle(Waiting::Disconnect, Ok(_)))));
    assert_eq!(session.state(&cx), State::Disconnected);
}

#[test]
fn a_disconnect_ends_at_once_where_the_approval_was_withdrawn_before() {
    let world = World::default();
    for (code, expected) in [
        (Code::ApprovalWithdrawn, State::Disconnected),
        (Code::KeyInTwoPlaces, State::DisconnectPending),
        (Code::RecoveryRefused, State::DisconnectPending),
    ] {
        let mut session = session(lost());
        let happened = crate::trouble::Happened { trouble: Trouble::of(code), at: NOW };
        session.facts.connection.as_mut().expect("a connection").lost = Some(happened);
        let actions = session.apply(Event::DisconnectAsked { forget: false }, &world.at(NOW));
        assert_eq!(session.state(&world.at(NOW)), expected, "{code:?}");
        let ended = expected == State::Disconnected;
        assert_eq!(reset_order(&actions).is_none(), ended, "{actions:?}");
        let told = Action::Settle(
            Waiting::Disconnect,
            Ok(Done::Disconnect(Disconnecting { leftover: None })),
        );
        assert_eq!(actions.contains(&told), ended, "{actions:?}");
    }
}

#[test]
fn forgetting_during_a_refresh_tells_those_who_wait_for_a_token() {
    let world = World::default();
    let cx = world.at(NOW + 3_600);
    let mut session = session(samples::connected());
    session.apply(Event::TokenDemanded { rejected: None }, &cx);
    let actions = session.apply(Event::DisconnectAsked { forget: true }, &cx);
    let told = Action::Settle(Waiting::Token, Err(Trouble::of(Code::NotConnected)));
    assert!(actions.contains(&told), "{actions:?}");
    let outcome = Ok(samples::grant(2, cx.now));
    assert_eq!(session.apply(Event::Refreshed { family: 1, outcome }, &cx), []);
}

#[test]
fn forgetting_ends_here_and_says_what_stands_there() {
    let world = World::default();
    for facts in [samples::connected(), lost(), disconnecting()] {
        let mut session = session(facts);
        let actions = session.apply(Event::DisconnectAsked { forget: true }, &world.at(NOW));
        let leftover = actions.iter().find_map(|action| match action {
            Action::Settle(Waiting::Disconnect, Ok(Done::Disconnect(it))) => it.leftover.clone(),
            _ => None,
        });
        assert_eq!(leftover.expect("told").grant_id, "grant_abc");
        assert_eq!(session.state(&world.at(NOW)), State::Disconnected);
    }
}

#[test]
fn connecting_anew_ends_a_pending_disconnect() {
    let world = World::default();
    let mut session = session(Facts { pending: Some(samples::attempt()), ..disconnecting() });
    assert_eq!(
        session.apply(Event::Tick, &world.at(NOW)),
        [],
        "no reset while the merchant approves"
    );
    session.apply(callback(GOOD), &world.at(NOW));
    let idempotency_key = session.facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    let outcome = Ok(samples::grant(5, NOW));
    session.apply(Event::Redeemed { idempotency_key, outcome }, &world.at(NOW));
    assert_eq!(session.state(&world.at(NOW)), State::Connected);
    assert_eq!(session.facts.disconnect, None);
}
