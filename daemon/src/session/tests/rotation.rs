//! Another key: staged, accepted, refused, approved; and a kill at every point of it.

use counterfoil_protocol::jwk::Thumbprint;

use super::*;

mod crash;

const NEXT: Thumbprint = Thumbprint([2; 32]);

fn rotate_order(actions: &[Action]) -> Option<&RotateOrder> {
    actions.iter().find_map(|action| match action {
        Action::Rotate(order) => Some(order),
        _ => None,
    })
}

fn staged(told: bool, facts: Facts) -> Facts {
    let key = StagedKey { key: NEXT, since: NOW, told };
    Facts { keys: Keys { staged: Some(key), ..Keys::of(samples::KEY) }, ..facts }
}

fn finish(
    session: &mut Session,
    outcome: Result<Grant, Unrotated>,
    cx: &Context<'_>,
) -> Vec<Action> {
    let idempotency_key = session.facts.rotation.as_ref().expect("begun").idempotency_key.clone();
    session.apply(Event::Rotated { idempotency_key, outcome }, cx)
}

/// Asks for another key and has it made.
fn begun(facts: Facts, cx: &Context<'_>) -> (Session, Vec<Action>) {
    let mut session = session(facts);
    assert_eq!(session.apply(Event::RotationAsked, cx), [Action::StageKey]);
    assert_eq!(session.apply(Event::RotationAsked, cx), [], "one at a time; both hear of it");
    let actions = session.apply(Event::KeyStaged { outcome: Ok(NEXT) }, cx);
    (session, actions)
}

#[test]
fn the_new_key_is_in_force_when_the_server_has_taken_it() {
    let world = World::default();
    let cx = world.at(NOW + 60);
    let (mut session, actions) = begun(samples::connected(), &cx);
    let order = rotate_order(&actions).expect("asked");
    assert_eq!((order.current, order.next), (samples::KEY, NEXT));
    assert_eq!(session.facts.keys.current, samples::KEY, "not before");
    let actions = finish(&mut session, Ok(samples::grant(2, cx.now)), &cx);
    let keys = &session.facts.keys;
    assert_eq!((keys.current, &keys.staged, &session.facts.rotation), (NEXT, &None, &None));
    let connection = session.facts.connection.as_ref().expect("connected");
    assert_eq!((connection.family, &*connection.grant_id), (2, "grant_abc"));

    // It proves itself at once: the former key goes when the new one has renewed the tokens.
    let heard = |actions: &[Action]| actions.contains(&settled(NEXT));
    let order = refresh_order(&actions).expect("begun").clone();
    assert_eq!((order.key, heard(&actions)), (NEXT, false));
    assert_eq!(session.apply(Event::RotationAsked, &cx), [], "both hear of the one");
    let outcome = Ok(samples::grant(3, cx.now));
    let actions = session.apply(Event::Refreshed { family: 2, outcome }, &cx);
    assert!(actions.contains(&Action::DestroyKey(samples::KEY)), "{actions:?}");
    assert!(!heard(&actions), "{actions:?}");
    let destroyed = Event::KeyDestroyed { key: samples::KEY, outcome: Ok(()) };
    assert_eq!(session.apply(destroyed, &cx), [settled(NEXT)]);
    assert_eq!(session.facts.keys, Keys { since: Some(cx.now), ..Keys::of(NEXT) });
    assert_eq!(session.apply(Event::RotationAsked, &cx), [Action::StageKey], "and once more");
}

/// Those who asked for another key hear that it is in force.
fn settled(key: Thumbprint) -> Action {
    Action::Settle(Waiting::Rotation, Ok(Done::KeyRotated(key)))
}

#[test]
fn a_key_that_cannot_prove_itself_at_once_is_in_force_all_the_same() {
    let world = World::default();
    let cx = world.at(NOW + 60);
    for failure in [Failure::Passing(passing()), Failure::Final(passing())] {
        let (mut session, _) = begun(samples::connected(), &cx);
        finish(&mut session, Ok(samples::grant(2, cx.now)), &cx);
        let actions = session.apply(Event::Refreshed { family: 2, outcome: Err(failure) }, &cx);
        assert!(actions.contains(&settled(NEXT)), "{actions:?}");
        let again = session.apply(Event::RotationAsked, &cx);
        assert!(refusal(&again).is_some(), "{again:?}");
        assert!(session.facts.keys.former.is_some(), "kept until the next proof");
    }
    // A disk that does not take the proof is not waited for.
    let (mut session, _) = begun(samples::connected(), &cx);
    finish(&mut session, Ok(samples::grant(2, cx.now)), &cx);
    let full = Trouble::of(Code::StorageFailed);
    assert_eq!(session.could_not_save(&full, cx.now), [settled(NEXT)]);
    assert_eq!(session.could_not_save(&full, cx.now), []);

    // Killed meanwhile, it is proved after the start.
    let (mut killed, _) = begun(samples::connected(), &cx);
    finish(&mut killed, Ok(samples::grant(2, cx.now)), &cx);
    killed.facts.refresh = None;
    let mut resumed = Session::resume(killed.facts.clone());
    assert!(resumed.next_due().is_some_and(|due| due <= cx.now));
    assert_eq!(refresh_order(&resumed.apply(Event::Tick, &cx)).map(|it| it.key), Some(NEXT));
}

#[test]
fn the_former_key_goes_after_a_day_at_the_latest() {
    let world = World::default();
    let former = FormerKey { key: samples::KEY, replaced_at: NOW, surpassed: false };
    let keys = Keys { former: Some(former), ..Keys::of(NEXT) };
    let mut session = session(Facts { keys, ..lost() });
    session.running.recovery_refused = true;
    let day = 24 * 3_600;
    assert_eq!(session.next_due(), Some(NOW + day));
    assert_eq!(session.apply(Event::Tick, &world.at(NOW + day - 1)), []);
    assert_eq!(session.apply(Event::Tick, &world.at(NOW - day)), [], "a clock set back");
    let cx = world.at(NOW + day);
    assert_eq!(session.apply(Event::Tick, &cx), [Action::DestroyKey(samples::KEY)]);
    assert_eq!(session.apply(Event::Tick, &cx), [], "one at a time");
    let outcome = Err(Trouble::of(Code::StorageFailed));
    session.apply(Event::KeyDestroyed { key: samples::KEY, outcome }, &cx);
    let later = world.at(session.next_due().expect("tried again"));
    assert_eq!(session.apply(Event::Tick, &later), [Action::DestroyKey(samples::KEY)]);
}

#[test]
fn a_refresh_on_its_way_is_ended_first_and_none_is_begun_in_between() {
    let world = World::default();
    let cx = world.at(NOW + 3_600);
    let mut session = session(samples::connected());
    let first = refresh_order(&session.apply(Event::Tick, &cx)).expect("begun").clone();
    session.apply(Event::RotationAsked, &cx);
    let actions = session.apply(Event::KeyStaged { outcome: Ok(NEXT) }, &cx);
    assert_eq!(rotate_order(&actions), None, "the answer may bring another token");
    // The answer is lost: the same refresh is asked for again before anything else.
    let outcome = Err(Failure::Passing(passing()));
    session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    let later = world.at(session.next_due().expect("tried again"));
    assert_eq!(refresh_order(&session.apply(Event::Tick, &later)), Some(&first));
    let outcome = Ok(samples::grant(2, later.now));
    let actions = session.apply(Event::Refreshed { family: 1, outcome }, &later);
    let order = rotate_order(&actions).expect("now").clone();
    assert_eq!(order.approved.refresh, Secret::new("refresh-2"));
    // And while it is open, nothing else is asked with that token.
    finish(&mut session, Err(Unrotated::Passing(passing())), &later);
    let ended = world.at(later.now + 3_600);
    let actions = session.apply(Event::Tick, &ended);
    assert_eq!((refresh_order(&actions), rotate_order(&actions)), (None, Some(&order)));
    assert_eq!(session.apply(Event::TokenDemanded { rejected: None }, &ended), [], "waits");
    let actions = finish(&mut session, Ok(samples::grant(3, ended.now)), &ended);
    assert!(actions.contains(&Action::Settle(Waiting::Token, Ok(token(3)))), "{actions:?}");
}

#[test]
fn a_refusal_leaves_the_old_key_working() {
    let world = World::default();
    let cx = world.at(NOW + 60);
    for code in [Code::KeyInTwoPlaces, Code::KeyRotationRefused] {
        let (mut session, _) = begun(samples::connected(), &cx);
        let actions = finish(&mut session, Err(Unrotated::Refused(Trouble::of(code))), &cx);
        assert_eq!(refusal(&actions), Some(code));
        assert_eq!(session.facts.keys.current, samples::KEY);
        assert_eq!(session.state(&cx), State::Connected);
        let due = world.at(session.next_due().expect("a renewal"));
        let actions = session.apply(Event::Tick, &due);
        assert_eq!(refresh_order(&actions).map(|it| it.key), Some(samples::KEY));
    }
}

#[test]
fn a_family_that_ended_is_recovered_by_the_old_key() {
    let world = World::default();
    let cx = world.at(NOW + 60);
    let (mut session, _) = begun(samples::connected(), &cx);
    let trouble = Trouble::of(Code::ReconnectRequired);
    let ended = Err(Unrotated::Ended { trouble, accepted: false });
    let actions = finish(&mut session, ended, &cx);
    assert_eq!(refusal(&actions), Some(Code::Recovering));
    assert_eq!(recover_order(&actions).map(|it| it.key), Some(samples::KEY));
    recovery::finish(&mut session, Ok(samples::grant(2, cx.now)), &cx);
    assert_eq!(session.state(&cx), State::Connected);
    // Asked again, the same staged key is used.
    let actions = session.apply(Event::RotationAsked, &cx);
    assert_eq!(rotate_order(&actions).map(|it| it.next), Some(NEXT));
}

#[test]
fn without_an_offer_the_merchant_approves_the_key_that_waits() {
    let world = World::default();
    let cx = world.at(NOW + 60);
    let (mut session, _) = begun(samples::connected(), &cx);
    let actions = finish(&mut session, Err(Unrotated::NotOffered), &cx);
    assert_eq!(actions, [Action::Settle(Waiting::Rotation, Ok(Done::KeyStaged(NEXT)))]);
    assert_eq!((session.facts.rotation.clone(), session.state(&cx)), (None, State::Connected));

    let actions = session.apply(Event::ConnectAsked(Ask::default()), &cx);
    let order = RegisterOrder { connect: 1, known: true, key: NEXT, current: samples::KEY };
    assert_eq!(actions, [Action::Register(order)]);
    let registration = samples::registered().registration.expect("registered");
    let outcome = Ok(registration);
    let actions = session.apply(Event::Registered { connect: 1, outcome }, &cx);
    let [Action::Push(order)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(order.attempt.key, NEXT);
    let state = order.attempt.state.expose().to_owned();
    let authorization_url = "https://pay.example/oauth/authorize".to_owned();
    let outcome = Ok(Authorization { authorization_url, expires_at: cx.now + 300 });
    session.apply(Event::Pushed { connect: 1, outcome }, &cx);

    // Denied, the key in force stays; the other one goes on waiting.
    let mut denied = session.clone();
    let iss = "iss=https%3A%2F%2Fpay.example";
    denied.apply(callback(&format!("error=access_denied&state={state}&{iss}")), &cx);
    assert_eq!(denied.facts.keys.current, samples::KEY);
    let due = world.at(denied.next_due().expect("a renewal"));
    let order = refresh_order(&denied.apply(Event::Tick, &due)).map(|it| it.key);
    assert_eq!(order, Some(samples::KEY));

    session.apply(callback(&format!("code=c-1&state={state}&{iss}")), &cx);
    let exchange = session.facts.exchange.clone().expect("begun");
    assert_eq!((exchange.key, session.facts.keys.current), (NEXT, samples::KEY), "not before");
    let outcome = Ok(samples::grant(5, cx.now));
    let idempotency_key = exchange.idempotency_key;
    session.apply(Event::Redeemed { idempotency_key, outcome }, &cx);
    assert_eq!(session.facts.keys.current, NEXT);
    assert_eq!(session.facts.keys.former.as_ref().map(|it| it.key), Some(samples::KEY));
}

#[test]
fn without_a_connection_the_key_waits() {
    let world = World::default();
    let cx = world.at(NOW);
    for facts in [samples::registered(), Facts { keys: Keys::of(samples::KEY), ..lost() }] {
        let mut session = session(facts);
        assert_eq!(session.apply(Event::RotationAsked, &cx), [Action::StageKey]);
        let actions = session.apply(Event::KeyStaged { outcome: Ok(NEXT) }, &cx);
        let waits = Action::Settle(Waiting::Rotation, Ok(Done::KeyStaged(NEXT)));
        assert!(actions.contains(&waits), "{actions:?}");
        assert_eq!(session.facts.rotation, None);
    }
}

#[test]
fn what_hinders_a_change_of_the_key() {
    let world = World::default();
    let cx = world.at(NOW);
    for (facts, code) in [
        (exchanging(), Code::CallbackPending),
        (samples::awaiting(), Code::ApprovalPending),
        (disconnecting(), Code::DisconnectPending),
    ] {
        let mut session = session(facts.clone());
        assert_eq!(refusal(&session.apply(Event::RotationAsked, &cx)), Some(code));
        assert_eq!(session.facts, facts);
    }
    let mut broken = session(samples::connected());
    broken.apply(Event::RotationAsked, &cx);
    let outcome = Err(Trouble::of(Code::StorageFailed));
    let actions = broken.apply(Event::KeyStaged { outcome }, &cx);
    assert_eq!(refusal(&actions), Some(Code::StorageFailed));
    assert_eq!(broken.apply(Event::RotationAsked, &cx), [Action::StageKey], "asked again");
}

#[test]
fn of_two_keys_recovery_asks_with_the_one_and_the_other() {
    let world = World::default();
    let mut session = session(staged(true, lost()));
    let mut cx = world.at(NOW + 60);
    let mut asked = Vec::new();
    let mut actions = session.apply(Event::Tick, &cx);
    for _ in 0..3 {
        asked.push(recover_order(&actions).expect("asked").key);
        let refused = Err(Unrecovered::Passing(Trouble::of(Code::ProofRefused)));
        recovery::finish(&mut session, refused, &cx);
        cx = world.at(session.next_due().expect("tried again"));
        actions = session.apply(Event::Tick, &cx);
    }
    assert_eq!(asked, [NEXT, samples::KEY, NEXT]);
    // Whichever the server answers is the one.
    let mut other = session.clone();
    recovery::finish(&mut session, Ok(samples::grant(2, cx.now)), &cx);
    assert_eq!(session.facts.keys.current, samples::KEY);
    assert!(!session.facts.keys.staged.as_ref().expect("waits").told);
    let refused = Err(Unrecovered::Passing(Trouble::of(Code::ProofRefused)));
    recovery::finish(&mut other, refused, &cx);
    let cx = world.at(other.next_due().expect("tried again"));
    other.apply(Event::Tick, &cx);
    recovery::finish(&mut other, Ok(samples::grant(2, cx.now)), &cx);
    assert_eq!(other.facts.keys.current, NEXT);
}

#[test]
fn a_disconnect_waits_for_an_open_rotation_where_it_needs_a_token() {
    let world = World::default();
    let cx = world.at(NOW + 60);
    let (mut session, _) = begun(samples::connected(), &cx);
    finish(&mut session, Err(Unrotated::Passing(passing())), &cx);
    let actions = session.apply(Event::DisconnectAsked { forget: false }, &cx);
    let reset_key = reset_order(&actions).expect("tried").disconnect.reset_key.clone();
    let later = world.at(NOW + 120);
    let outcome = ResetOutcome::NeedsToken;
    let actions = session.apply(Event::ResetFinished { reset_key, outcome }, &later);
    assert!(rotate_order(&actions).is_some(), "{actions:?}");
    let actions = finish(&mut session, Ok(samples::grant(2, later.now)), &later);
    let order = reset_order(&actions).expect("goes on");
    assert_eq!((&order.access, order.key), (&Secret::new("access-2"), NEXT));
}

/// Connected with a key that was changed a moment ago.
fn changed(facts: Facts) -> Facts {
    let former = FormerKey { key: NEXT, replaced_at: NOW, surpassed: false };
    Facts { keys: Keys { former: Some(former), ..Keys::of(samples::KEY) }, ..facts }
}

#[test]
fn whatever_hinders_another_key_is_said_by_its_own_name() {
    let world = World::default();
    let cx = world.at(NOW);
    let awaited = Facts { pending: Some(samples::attempt()), ..samples::connected() };
    for (facts, code) in [
        (awaited, Code::ApprovalPending),
        (changed(samples::connected()), Code::KeyUnproven),
        (changed(lost()), Code::ReconnectRequired),
    ] {
        let actions = session(facts).apply(Event::RotationAsked, &cx);
        assert_eq!(refusal(&actions), Some(code));
    }
    let mut preparing = session(samples::connected());
    preparing.apply(Event::ConnectAsked(Ask::default()), &cx);
    let actions = preparing.apply(Event::RotationAsked, &cx);
    assert_eq!(refusal(&actions), Some(Code::ConnectInProgress));
}

#[test]
fn an_approval_with_the_key_in_force_proves_it() {
    let world = World::default();
    let cx = world.at(NOW);
    let awaited = Facts { pending: Some(samples::attempt()), ..changed(samples::connected()) };
    let mut session = session(awaited);
    session.apply(callback(GOOD), &cx);
    let idempotency_key = session.facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    let outcome = Ok(samples::grant(2, NOW));
    session.apply(Event::Redeemed { idempotency_key, outcome }, &cx);
    assert_eq!(session.apply(Event::Tick, &cx), [Action::DestroyKey(NEXT)]);
    session.apply(Event::KeyDestroyed { key: NEXT, outcome: Ok(()) }, &cx);
    assert_eq!(session.apply(Event::RotationAsked, &cx), [Action::StageKey]);
}
