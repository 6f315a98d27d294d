//! Connecting: registration, approval, callback, code exchange.

use super::*;

#[test]
fn a_connect_from_nothing_to_company() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut session = session(Facts { keys: Keys::of(samples::KEY), ..Facts::default() });
    let actions = session.apply(Event::ConnectAsked(Ask::default()), &cx);
    assert_eq!(actions, [Action::Register(samples::register_order(false))]);
    assert!(session.facts.registration_sent, "the intent is a fact before anything is sent");
    assert_eq!(session.apply(Event::ConnectAsked(Ask::default()), &cx), [], "a double click joins");
    let other = Ask { bind: Some(Secret::new("session-2")), ..Ask::default() };
    let actions = session.apply(Event::ConnectAsked(other), &cx);
    assert_eq!(refusal(&actions), Some(Code::ConnectInProgress));

    let registration = samples::registered().registration.expect("registered");
    let actions = session.apply(Event::Registered { connect: 1, outcome: Ok(registration) }, &cx);
    let [Action::Push(PushOrder { attempt, .. })] = &actions[..] else { panic!("{actions:?}") };
    let attempt = attempt.clone();
    assert_eq!((attempt.state.expose().len(), attempt.verifier.expose().len()), (43, 86));
    assert_eq!(session.facts.pending, None, "no URL, no attempt");

    let url = "https://pay.example/oauth/authorize?request_uri=x".to_owned();
    let authorization = Authorization { authorization_url: url, expires_at: NOW + 9_000 };
    let actions = session.apply(Event::Pushed { connect: 1, outcome: Ok(authorization) }, &cx);
    let [Action::Settle(Waiting::Connect, Ok(Done::Authorization(told)))] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(told.expires_at, NOW + ATTEMPT_LIFETIME);
    assert_eq!(session.state(&cx), State::AwaitingApproval);

    let query = format!("code=c&state={}&iss=https://pay.example", attempt.state.expose());
    let actions = session.apply(callback(&query), &cx);
    let [Action::Redeem(exchange)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(session.facts.exchange.as_ref(), Some(exchange), "the intent is a fact first");
    assert!(exchange.idempotency_key.starts_with("wordpress-token-"));
    assert_eq!(exchange.idempotency_key.len(), "wordpress-token-".len() + 43);

    let idempotency_key = exchange.idempotency_key.clone();
    let outcome = Ok(samples::grant(1, NOW));
    let actions = session.apply(Event::Redeemed { idempotency_key, outcome }, &cx);
    let told = actions.iter().find_map(|action| match action {
        Action::Settle(Waiting::Callback, Ok(Done::Connected(told))) => Some(told.clone()),
        _ => None,
    });
    let told = told.expect("told");
    assert_eq!(told.company.name.as_deref(), Some("Ada & Co"));
    assert_eq!(session.state(&cx), State::Connected);
    assert_eq!(session.facts.exchange, None);

    let again = session.apply(callback(&query), &cx);
    assert_eq!(
        again,
        [Action::Reply(Ok(Done::Connected(told)))],
        "the same callback, the same answer"
    );
}

#[test]
fn callbacks_end_an_attempt_only_with_its_own_state() {
    #[track_caller]
    fn check(query: &str, expected: Code, ends: bool) {
        let world = World::default();
        let mut session = session(samples::awaiting());
        let actions = session.apply(callback(query), &world.at(NOW));
        assert_eq!(refusal(&actions), Some(expected), "{query}");
        assert_eq!(session.facts.pending.is_none(), ends, "{query}");
        let again = session.apply(callback(query), &world.at(NOW));
        assert_eq!(again, actions, "the same callback, the same answer: {query}");
    }
    let iss = "iss=https%3A%2F%2Fpay.example";
    check(&format!("code=c&state=other&{iss}"), Code::CallbackStateUnknown, false);
    check(&format!("error=access_denied&state=other&{iss}"), Code::CallbackStateUnknown, false);
    check(&format!("code=c&{iss}"), Code::CallbackMalformed, false);
    check(&format!("state=state-1&{iss}"), Code::CallbackMalformed, false);
    check(&format!("code=c&code=d&state=state-1&{iss}"), Code::CallbackMalformed, false);
    check("code=c&state=state-1", Code::CallbackIssuerMismatch, true);
    check("code=c&state=state-1&iss=https://evil.example", Code::CallbackIssuerMismatch, true);
    check("code=c&state=state-1&iss=https://pay.example/", Code::CallbackIssuerMismatch, true);
    check("error=access_denied&state=state-1", Code::CallbackIssuerMismatch, true);
    check(&format!("error=access_denied&state=state-1&{iss}"), Code::CallbackDenied, true);
    check(&format!("error=server_error&state=state-1&{iss}"), Code::CallbackRefused, true);
    check(&format!("error=x&code=c&state=state-1&{iss}"), Code::CallbackRefused, true);
}

#[test]
fn a_callback_comes_within_ten_minutes() {
    let world = World::default();
    let mut early = session(samples::awaiting());
    let actions = early.apply(callback(GOOD), &world.at(NOW + ATTEMPT_LIFETIME - 1));
    assert!(matches!(actions[..], [Action::Redeem(_)]));
    let mut late = session(samples::awaiting());
    let actions = late.apply(callback(GOOD), &world.at(NOW + ATTEMPT_LIFETIME));
    assert_eq!(refusal(&actions), Some(Code::CallbackExpired));
}

#[test]
fn a_bound_attempt_belongs_to_one_person() {
    let world = World::default();
    for (begun, given, good) in [
        (Some("a"), Some("a"), true),
        (Some("a"), Some("b"), false),
        (Some("a"), None, false),
        (None, Some("a"), false),
    ] {
        let attempt = Attempt { bind: begun.map(Secret::new), ..samples::attempt() };
        let mut session = session(Facts { pending: Some(attempt), ..samples::registered() });
        let event =
            Event::CallbackReceived { query: Secret::new(GOOD), bind: given.map(str::to_owned) };
        let actions = session.apply(event, &world.at(NOW));
        assert_eq!(refusal(&actions).is_none(), good, "{begun:?} {given:?}");
        assert_eq!(session.facts.pending.is_some(), !good, "the rightful person can still finish");
    }
}

#[test]
fn fewer_scopes_may_be_asked_and_never_more() {
    let world = World::default();
    for (asked, expected) in [
        ("company:read", None),
        ("company:read company:write", Some(Code::ScopesRefused)),
        ("", Some(Code::ScopesRefused)),
    ] {
        let mut session = session(Facts::default());
        let scopes = Some(ScopeSet::parse(asked).expect("a set"));
        session.apply(Event::ConnectAsked(Ask { scopes, ..Ask::default() }), &world.at(NOW));
        let registration = samples::registered().registration.expect("registered");
        let outcome = Ok(registration);
        let actions = session.apply(Event::Registered { connect: 1, outcome }, &world.at(NOW));
        assert_eq!(refusal(&actions), expected, "{asked}");
    }
}

#[test]
fn an_exchange_without_an_answer_is_sent_again_as_it_was() {
    let world = World::default();
    let facts = exchanging();
    let before = facts.exchange.clone().expect("begun");
    let mut restarted = session(facts);
    let actions = restarted.apply(Event::Tick, &world.at(NOW + 100));
    assert_eq!(actions, [Action::Redeem(before.clone())]);
    let outcome = Err(Failure::Passing(passing()));
    let key = before.idempotency_key.clone();
    restarted.apply(Event::Redeemed { idempotency_key: key, outcome }, &world.at(NOW + 100));
    assert_eq!(restarted.apply(Event::Tick, &world.at(NOW + 100)), [], "not at once");
    assert_eq!(
        restarted.apply(callback(GOOD), &world.at(NOW + 100)),
        [Action::Redeem(before)],
        "a person at the page is not kept waiting"
    );
}

#[test]
fn an_exchange_is_given_up_after_a_day() {
    let world = World::default();
    let mut session = session(exchanging());
    let actions = session.apply(Event::Tick, &world.at(NOW + 24 * 3_600 + 1));
    assert_eq!(refusal(&actions), Some(Code::ExchangeFailed));
    assert_eq!(session.facts.exchange, None);
}

#[test]
fn a_failed_exchange_leaves_the_older_connection_alone() {
    let world = World::default();
    let mut session = session(Facts { pending: Some(samples::attempt()), ..samples::connected() });
    session.apply(callback(GOOD), &world.at(NOW));
    let idempotency_key = session.facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    let outcome = Err(Failure::Final(Trouble::of(Code::ExchangeFailed)));
    let actions = session.apply(Event::Redeemed { idempotency_key, outcome }, &world.at(NOW));
    assert_eq!(refusal(&actions), Some(Code::ExchangeFailed));
    assert_eq!(session.facts.connection, samples::connected().connection);
}
