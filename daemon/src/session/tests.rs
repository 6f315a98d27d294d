//! Every state against every event, and the stories that matter.

use counterfoil_protocol::{UnixTime, scope::ScopeSet, secret::Secret};

use super::{
    samples::{self, NOW, World},
    *,
};
use crate::trouble::{Code, Trouble};

fn session(facts: Facts) -> Session {
    Session::resume(facts)
}

fn callback(query: &str) -> Event {
    Event::CallbackReceived { query: Secret::new(query), bind: None }
}

const GOOD: &str =
    "action=counterfoil_callback&code=c-1&state=state-1&iss=https%3A%2F%2Fpay.example";

fn passing() -> Trouble {
    Trouble::of(Code::ServerUnreachable)
}

/// The code of the refusal among some actions.
fn refusal(actions: &[Action]) -> Option<Code> {
    actions.iter().find_map(|action| match action {
        Action::Reply(Err(trouble)) | Action::Settle(_, Err(trouble)) => Some(trouble.code),
        _ => None,
    })
}

/// What whoever asked for a token gets.
fn token(generation: u32) -> Done {
    Done::Token(Secret::new(format!("access-{generation}")))
}

fn refresh_order(actions: &[Action]) -> Option<&RefreshOrder> {
    actions.iter().find_map(|action| match action {
        Action::Refresh(order) => Some(order),
        _ => None,
    })
}

fn lost() -> Facts {
    let mut facts = samples::connected();
    let happened = Happened { trouble: Trouble::of(Code::ReconnectRequired), at: NOW };
    facts.connection.as_mut().expect("connected").lost = Some(happened);
    facts
}

fn disconnecting() -> Facts {
    let disconnect = Disconnect {
        webhook_key: "wordpress-webhook-disconnect-1".to_owned(),
        reset_key: "wordpress-native-reset-1".to_owned(),
        since: NOW,
    };
    Facts { disconnect: Some(disconnect), ..samples::connected() }
}

fn exchanging() -> Facts {
    let world = World::default();
    let mut session = session(samples::awaiting());
    session.apply(callback(GOOD), &world.at(NOW));
    session.facts
}

fn foreign() -> Facts {
    let mut facts = samples::connected();
    facts.binding.as_mut().expect("bound").site_url = "https://other.example".to_owned();
    facts
}

fn states() -> [(State, Facts); 8] {
    [
        (State::Unregistered, Facts::default()),
        (State::Disconnected, samples::registered()),
        (State::AwaitingApproval, samples::awaiting()),
        (State::AwaitingApproval, exchanging()),
        (State::Connected, samples::connected()),
        (State::ReconnectRequired, lost()),
        (State::DisconnectPending, disconnecting()),
        (State::SafeMode, foreign()),
    ]
}

#[test]
fn facts_say_the_state() {
    let world = World::default();
    for (state, facts) in states() {
        assert_eq!(session(facts).state(&world.at(NOW)), state);
    }
    let later = world.at(NOW + ATTEMPT_LIFETIME);
    assert_eq!(session(samples::awaiting()).state(&later), State::Disconnected);
    let again = Facts { pending: Some(samples::attempt()), ..samples::connected() };
    assert_eq!(session(again).state(&world.at(NOW)), State::Connected);
    let anew = Facts { pending: Some(samples::attempt()), ..lost() };
    assert_eq!(session(anew).state(&world.at(NOW)), State::AwaitingApproval);
}

fn events() -> [(&'static str, Event); 10] {
    let final_failure = || Err(Failure::Final(Trouble::of(Code::ReconnectRequired)));
    [
        ("tick", Event::Tick),
        ("connect", Event::ConnectAsked(Ask::default())),
        ("registered", Event::Registered { connect: 9, outcome: Err(passing()) }),
        ("pushed", Event::Pushed { connect: 9, outcome: Err(passing()) }),
        ("callback", callback(GOOD)),
        (
            "redeemed",
            Event::Redeemed { idempotency_key: "other".to_owned(), outcome: final_failure() },
        ),
        ("token", Event::TokenDemanded { rejected: None }),
        ("refreshed", Event::Refreshed { family: 7, outcome: final_failure() }),
        ("disconnect", Event::DisconnectAsked { forget: false }),
        (
            "reset",
            Event::ResetFinished {
                reset_key: "other".to_owned(),
                outcome: ResetOutcome::Confirmed,
            },
        ),
    ]
}

fn first(actions: &[Action]) -> String {
    match actions.first() {
        None => "-".to_owned(),
        Some(Action::Reply(Ok(_))) => "ok".to_owned(),
        Some(Action::Reply(Err(trouble))) => trouble.code.words().code.to_owned(),
        Some(Action::Settle(waiting, Ok(_))) => format!("{waiting:?} ok"),
        Some(Action::Settle(waiting, Err(trouble))) => {
            format!("{waiting:?} {}", trouble.code.words().code)
        }
        Some(Action::Register(_)) => "register".to_owned(),
        Some(Action::Push(_)) => "push".to_owned(),
        Some(Action::Redeem(_)) => "redeem".to_owned(),
        Some(Action::Refresh(_)) => "refresh".to_owned(),
        Some(Action::Reset(_)) => "reset".to_owned(),
    }
}

/// What each state does with each event, by the name of the first action.
#[test]
fn every_state_takes_every_event() {
    let events = events();
    let unknown = "callback_state_unknown";
    let expected: [[&str; 10]; 8] = [
        [
            "-",
            "register",
            "-",
            "-",
            unknown,
            "-",
            "not_connected",
            "-",
            "Connect not_connected",
            "-",
        ],
        [
            "-",
            "register",
            "-",
            "-",
            unknown,
            "-",
            "not_connected",
            "-",
            "Connect not_connected",
            "-",
        ],
        [
            "-",
            "register",
            "-",
            "-",
            "redeem",
            "-",
            "not_connected",
            "-",
            "Connect not_connected",
            "-",
        ],
        [
            "redeem",
            "register",
            "-",
            "-",
            "redeem",
            "-",
            "not_connected",
            "-",
            "callback_pending",
            "-",
        ],
        ["-", "register", "-", "-", unknown, "-", "ok", "-", "Connect not_connected", "-"],
        [
            "-",
            "register",
            "-",
            "-",
            unknown,
            "-",
            "reconnect_required",
            "-",
            "Connect not_connected",
            "-",
        ],
        [
            "reset",
            "register",
            "-",
            "-",
            unknown,
            "-",
            "disconnect_pending",
            "-",
            "Connect not_connected",
            "-",
        ],
        ["-", "safe_mode", "-", "-", unknown, "-", "safe_mode", "-", "safe_mode", "-"],
    ];
    let world = World::default();
    for ((state, facts), row) in states().into_iter().zip(expected) {
        for ((name, event), expected) in events.iter().zip(row) {
            let actions = session(facts.clone()).apply(event.clone(), &world.at(NOW));
            assert_eq!(first(&actions), expected, "{state:?} × {name}");
        }
    }
}

#[test]
fn a_connect_from_nothing_to_company() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut session = session(Facts::default());
    let actions = session.apply(Event::ConnectAsked(Ask::default()), &cx);
    assert_eq!(actions, [Action::Register(RegisterOrder { connect: 1, known: false })]);
    assert!(session.facts.registration_sent, "the intent is a fact before anything is sent");
    assert_eq!(session.apply(Event::ConnectAsked(Ask::default()), &cx), [], "a double click joins");
    let other = Ask { bind: Some(Secret::new("session-2")), scopes: None };
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
        session.apply(Event::ConnectAsked(Ask { bind: None, scopes }), &world.at(NOW));
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
                assert_eq!(next.refresh, Secret::new(format!("refresh-{generation}")));
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
fn a_final_refusal_is_terminal_and_never_a_loop() {
    let world = World::default();
    let mut session = session(samples::connected());
    session.apply(Event::Tick, &world.at(NOW + 1_800));
    let trouble = Trouble::of(Code::ReconnectRequired);
    let outcome = Err(Failure::Final(trouble));
    let actions = session.apply(Event::Refreshed { family: 1, outcome }, &world.at(NOW + 1_800));
    assert_eq!(refusal(&actions), Some(Code::ReconnectRequired));
    assert_eq!(session.state(&world.at(NOW + 1_800)), State::ReconnectRequired);
    assert_eq!(session.next_due(), None);
    for hours in 0..48 {
        assert_eq!(session.apply(Event::Tick, &world.at(NOW + hours * 3_600)), []);
    }
    let mut restarted = super::Session::resume(session.facts);
    assert_eq!(restarted.apply(Event::Tick, &world.at(NOW + 9_999)), []);
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

fn reset_order(actions: &[Action]) -> Option<&ResetOrder> {
    actions.iter().find_map(|action| match action {
        Action::Reset(order) => Some(order),
        _ => None,
    })
}

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
fn a_disconnect_without_any_token_waits_for_a_person() {
    let world = World::default();
    let cx = world.at(NOW + 7_200);
    let mut session = session(samples::connected());
    session.apply(Event::DisconnectAsked { forget: false }, &cx);
    finish(&mut session, ResetOutcome::NeedsToken, &cx);
    let outcome = Err(Failure::Final(Trouble::of(Code::ReconnectRequired)));
    let actions = session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    assert!(actions.iter().any(|it| matches!(it, Action::Settle(Waiting::Disconnect, _))));
    assert_eq!(session.state(&cx), State::DisconnectPending);
    for hours in 3..48 {
        assert_eq!(session.apply(Event::Tick, &world.at(NOW + hours * 3_600)), []);
    }
    let again = session.apply(Event::DisconnectAsked { forget: false }, &cx);
    assert!(reset_order(&again).is_some(), "asked again, tried again");
}

#[test]
fn forgetting_ends_here_and_says_what_stands_there() {
    let world = World::default();
    for facts in [samples::connected(), lost(), disconnecting(), foreign()] {
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

#[test]
fn a_foreign_state_does_nothing_by_itself() {
    let world = World::default();
    let mut session = session(foreign());
    for hours in 0..48 {
        assert_eq!(session.apply(Event::Tick, &world.at(NOW + hours * 3_600)), []);
    }
    assert!(session.valid_tokens(&world.at(NOW)).is_none());
}

#[test]
fn another_server_has_never_heard_of_us() {
    let world = World::default();
    let mut facts = samples::registered();
    facts.binding.as_mut().expect("bound").issuer = "https://former.example".to_owned();
    let mut session = session(facts);
    let actions = session.apply(Event::ConnectAsked(Ask::default()), &world.at(NOW));
    assert_eq!(actions, [Action::Register(RegisterOrder { connect: 1, known: false })]);
    assert_eq!(session.facts.registration, None);
}

#[test]
fn every_state_is_told_in_two_sentences() {
    let world = World::default();
    for (state, facts) in states() {
        let status = session(facts).status(
            counterfoil_protocol::jwk::Thumbprint([0; 32]),
            ServerHealth::default(),
            &world.at(UnixTime(NOW.0)),
        );
        assert_eq!(status.state, state);
        assert!(status.summary.ends_with('.') && !status.next_step.is_empty(), "{status:?}");
    }
}

#[test]
fn a_trouble_is_told_as_long_as_it_lasts() {
    let world = World::default();
    let cx = world.at(NOW + 1_800);
    let mut session = session(samples::connected());
    let told = |session: &Session| session.words(session.state(&cx), &cx).0;
    session.could_not_save(&Trouble::of(Code::StorageFailed), NOW);
    assert!(told(&session).contains("cannot write its state"), "{}", told(&session));
    session.saved();
    assert_eq!(told(&session), "Connected to Ada & Co.");
    session.apply(Event::Tick, &cx);
    let outcome = Err(Failure::Passing(passing()));
    session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    assert!(told(&session).contains("working, but"), "{}", told(&session));
    let outcome = Ok(samples::grant(2, NOW + 1_800));
    session.apply(Event::Refreshed { family: 1, outcome }, &cx);
    assert_eq!(told(&session), "Connected to Ada & Co.");
}
