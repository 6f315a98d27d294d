//! Every state against every event, and the stories that matter.

use counterfoil_protocol::{UnixTime, scope::ScopeSet, secret::Secret};

use super::{
    samples::{self, NOW, World},
    *,
};
use crate::{
    key::{Home, StoreKind},
    trouble::{Code, Trouble},
};

mod connect;
mod disconnect;
mod ownership;
mod recovery;
mod rotation;
mod safe_mode;
mod site;
mod time;
mod token;
mod webhook;

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

fn recover_order(actions: &[Action]) -> Option<&RecoverOrder> {
    actions.iter().find_map(|action| match action {
        Action::Recover(order) => Some(order),
        _ => None,
    })
}

fn reset_order(actions: &[Action]) -> Option<&ResetOrder> {
    actions.iter().find_map(|action| match action {
        Action::Reset(order) => Some(order),
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

fn states() -> Vec<(State, Facts)> {
    vec![
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

fn events() -> Vec<(&'static str, Event)> {
    let final_failure = || Err(Failure::Final(Trouble::of(Code::ReconnectRequired)));
    vec![
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
        (
            "recovered",
            Event::Recovered {
                idempotency_key: "other".to_owned(),
                outcome: Err(Unrecovered::NotOffered),
            },
        ),
        ("rotate", Event::RotationAsked),
        (
            "rotated",
            Event::Rotated {
                idempotency_key: "other".to_owned(),
                outcome: Err(Unrotated::NotOffered),
            },
        ),
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
        Some(Action::DestroyKey(_)) => "destroy".to_owned(),
        Some(Action::Recover(_)) => "recover".to_owned(),
        Some(Action::Rotate(_)) => "rotate".to_owned(),
        Some(Action::StageKey) => "stage".to_owned(),
        Some(Action::Reset(_)) => "reset".to_owned(),
        Some(Action::Subscribe(_)) => "subscribe".to_owned(),
    }
}

/// What each state does with each event, by the name of the first action; events in the order of [`events`].
const TABLE: [&str; 8] = [
    "-, register, -, -, callback_state_unknown, -, not_connected, -, -, stage, -, \
     Connect not_connected, -",
    "-, register, -, -, callback_state_unknown, -, not_connected, -, -, stage, -, \
     Connect not_connected, -",
    "-, register, -, -, redeem, -, not_connected, -, -, approval_pending, -, \
     Connect not_connected, -",
    "redeem, register, -, -, redeem, -, not_connected, -, -, callback_pending, -, \
     callback_pending, -",
    "-, register, -, -, callback_state_unknown, -, ok, -, -, stage, -, \
     Connect not_connected, -",
    "recover, register, -, -, callback_state_unknown, -, reconnect_required, -, -, stage, \
     -, Connect not_connected, -",
    "reset, register, -, -, callback_state_unknown, -, disconnect_pending, -, -, \
     disconnect_pending, -, Connect not_connected, -",
    "-, safe_mode, -, -, safe_mode, -, safe_mode, -, -, safe_mode, -, safe_mode, -",
];

#[test]
fn every_state_takes_every_event() {
    let events = events();
    let world = World::default();
    for ((state, facts), row) in states().into_iter().zip(TABLE) {
        for ((name, event), expected) in events.iter().zip(row.split(", ")) {
            let actions = session(facts.clone()).apply(event.clone(), &world.at(NOW));
            assert_eq!(first(&actions), expected, "{state:?} × {name}");
        }
    }
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
    assert_eq!(actions, [Action::Register(samples::register_order(false))]);
    assert_eq!(session.facts.registration, None);
}

#[test]
fn every_state_is_told_in_two_sentences() {
    let world = World::default();
    for (state, facts) in states() {
        let home = Home { store: StoreKind::File, sealed: Some(false) };
        let status = session(facts).status(ServerHealth::default(), home, &world.at(NOW));
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

/// What status tells after an exchange at a time: why it had no answer, or that it had one.
fn status_after(session: &Session, silence: Option<Code>, at: UnixTime, world: &World) -> Status {
    let home = Home { store: StoreKind::File, sealed: Some(false) };
    let unreachable_since = silence.map(|_| at);
    let (reachable, checked_at) = (Some(silence.is_none()), Some(at));
    let server =
        ServerHealth { reachable, checked_at, unreachable_since, silence, ..Default::default() };
    session.status(server, home, &world.at(at))
}

#[test]
fn a_server_that_does_not_answer_is_told_until_it_does() {
    let world = World::default();
    let session = session(samples::connected());
    for code in Code::SILENCES {
        let down = status_after(&session, Some(code), NOW, &world);
        assert_eq!((down.state, down.condition), (State::Connected, Condition::Impaired));
        assert!(down.summary.ends_with(code.words().message), "{}", down.summary);
        let asked_by = "he next call or renewal asks again";
        let as_ever = down.next_step == code.words().next_step;
        assert!(as_ever || down.next_step.contains(asked_by), "{}", down.next_step);
        assert!(!down.next_step.contains("ry again"), "{}", down.next_step);
        let told = serde_json::to_value(&down).expect("status is JSON");
        assert_eq!(told["last_error"]["code"], code.words().code);
        assert_eq!(told["server"].get("silence"), None);
    }
    let up = status_after(&session, None, NOW + 1, &world);
    assert_eq!((up.condition, up.last_error), (Condition::Working, None));
    assert_eq!(up.next_step, "Nothing to do.");
}

#[test]
fn nobody_is_told_to_wait_for_what_is_not_tried_again() {
    let world = World::default();
    let due = NOW + 1_800;
    let mut renewing = session(samples::connected());
    renewing.apply(Event::Tick, &world.at(due));
    let refused = Err(Failure::Passing(passing()));
    renewing.apply(Event::Refreshed { family: 1, outcome: refused }, &world.at(due));
    let (person, next_call) = ("Try again in a moment.", "The next call or renewal asks again.");
    let itself = "Wait; the daemon tries again by itself.";
    for (what, mut session, begin) in [
        ("a first connect that failed", session(Facts::default()), person),
        ("a connect that failed", session(samples::registered()), person),
        ("a call, or a reconnect, that failed", session(samples::connected()), next_call),
        ("a renewal", renewing, itself),
        ("an approval that is being confirmed", session(exchanging()), itself),
    ] {
        session.note(&passing(), &world.at(due));
        let told = status_after(&session, Some(Code::ServerUnreachable), due, &world);
        let told = serde_json::to_value(&told).expect("status is JSON");
        let advice = told["last_error"]["next_step"].as_str().expect("advice");
        assert!(advice.starts_with(begin), "{what}: {advice}");
        assert!(
            advice.ends_with("check the machine's network and name resolution."),
            "{what}: {advice}"
        );
    }
}

#[test]
fn a_store_without_a_connection_is_told_what_stops_the_next_attempt() {
    let world = World::default();
    for (facts, how) in [
        (Facts::default(), "This store has not been connected yet."),
        (samples::registered(), "This store is not connected."),
    ] {
        for code in [
            Code::RegistrationRefused,
            Code::AuthorizationRefused,
            Code::ServerUnacceptable,
            Code::ServerUntrusted,
        ] {
            let mut session = session(facts.clone());
            session.note(&Trouble::of(code), &world.at(NOW));
            let told = status_after(&session, None, NOW, &world);
            assert_eq!(told.next_step, code.words().next_step);
            assert!(told.summary.starts_with(how), "{}", told.summary);
            assert!(told.summary.ends_with(code.words().message), "{}", told.summary);
        }
        let mut session = session(facts);
        session.note(&Trouble::of(Code::CallbackDenied), &world.at(NOW));
        let told = status_after(&session, None, NOW, &world);
        assert_eq!(told.summary, how);
        assert!(told.next_step.starts_with("Press Connect"), "{}", told.next_step);
    }
}

#[test]
fn a_lost_connection_is_told_before_a_silent_server() {
    let world = World::default();
    let mut session = session(samples::connected());
    let trouble = Trouble::of(Code::ApprovalWithdrawn);
    let happened = crate::trouble::Happened { trouble, at: NOW };
    session.facts.connection.as_mut().expect("a connection").lost = Some(happened);
    let status = status_after(&session, Some(Code::ServerUnreachable), NOW + 1, &world);
    assert_eq!(status.condition, Condition::NeedsPerson);
    let told = serde_json::to_value(&status).expect("status is JSON");
    assert_eq!(told["last_error"]["code"], "approval_withdrawn");
}

#[test]
fn nothing_to_do_is_never_said_beside_a_trouble() {
    let world = World::default();
    let pending = Facts { pending: Some(samples::attempt()), ..samples::connected() };
    let mut session = session(pending);
    let denied = "error=access_denied&state=state-1&iss=https%3A%2F%2Fpay.example";
    let actions = session.apply(callback(denied), &world.at(NOW));
    assert_eq!(refusal(&actions), Some(Code::CallbackDenied));
    let told = status_after(&session, None, NOW + 1, &world);
    assert_eq!((told.state, told.condition), (State::Connected, Condition::Working));
    assert_eq!(told.next_step, Code::CallbackDenied.words().next_step);
    assert!(told.summary.ends_with(Code::CallbackDenied.words().message), "{}", told.summary);
}

#[test]
fn an_outage_that_is_over_is_no_trouble_any_more() {
    let world = World::default();
    let mut session = session(samples::connected());
    session.note(&passing(), &world.at(NOW));
    let before = status_after(&session, None, NOW, &world);
    assert_eq!(before.next_step, Code::ServerUnreachable.words().next_step);
    let after = status_after(&session, None, NOW + 1, &world);
    assert_eq!((after.last_error, &*after.next_step), (None, NOTHING_TO_DO));
}

#[test]
fn a_lost_connection_is_not_hidden_by_an_attempt() {
    let world = World::default();
    let anew = Facts { pending: Some(samples::attempt()), ..lost() };
    let told = status_after(&session(anew), None, NOW, &world);
    assert_eq!(told.state, State::AwaitingApproval);
    assert!(told.summary.contains("has ended"), "{}", told.summary);
    assert!(told.summary.contains("waits for the merchant's approval"), "{}", told.summary);
}

#[test]
fn a_disk_that_refuses_is_told_by_the_next_session_too_and_nothing_else_is() {
    let world = World::default();
    let mut former = session(samples::connected());
    former.note(&passing(), &world.at(NOW));
    assert_eq!(former.disk_refusal(), None);
    former.could_not_save(&Trouble::of(Code::StorageFailed), NOW);
    let refusal = former.disk_refusal();
    assert!(refusal.is_some());
    let mut next = session(samples::connected()).on_refusing_disk(refusal);
    let told = status_after(&next, None, NOW + 1, &world);
    assert_eq!(told.condition, Condition::Impaired);
    assert_eq!(told.next_step, Code::StorageFailed.words().next_step);
    next.saved();
    assert_eq!(status_after(&next, None, NOW + 1, &world).next_step, NOTHING_TO_DO);
}
