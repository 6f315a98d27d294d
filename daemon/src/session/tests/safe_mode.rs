//! Safe mode: a copy, and a state of another store, do nothing at all until a person decides.

use super::*;
use crate::{
    evidence::{Evidence, FileMark, Place},
    surroundings::Standing,
};

fn place(directory: &str) -> Place {
    Place {
        machine: Some("a".to_owned()),
        root: None,
        directory: directory.to_owned(),
        file: Some(FileMark { inode: 1, born: Some((2, 3)) }),
    }
}

/// The facts, found where they were not bound.
fn copied(facts: Facts) -> Session {
    let facts = Facts { place: Some(place("/original")), ..facts };
    let evidence = vec![
        Evidence::CopiedFile,
        Evidence::OtherDirectory { bound: "/original".to_owned(), seen: "/my copy".to_owned() },
        Evidence::OriginalThere("/original".to_owned()),
    ];
    session(facts).found(Standing { seen: Some(place("/my copy")), flags: None, evidence })
}

fn another(change: impl FnOnce(&mut Binding)) -> Facts {
    let mut facts = samples::connected();
    change(facts.binding.as_mut().expect("bound"));
    facts
}

/// Outcomes that a session would act upon if it were not in safe mode.
fn tempting() -> Vec<Event> {
    let mut events: Vec<_> = events().into_iter().map(|(_, event)| event).collect();
    let exchange = exchanging().exchange.expect("begun");
    events.extend([
        Event::TokenDemanded { rejected: Some(Secret::new("access-1")) },
        Event::DisconnectAsked { forget: true },
        Event::Registered {
            connect: 1,
            outcome: Ok(samples::registered().registration.expect("")),
        },
        Event::Redeemed {
            idempotency_key: exchange.idempotency_key,
            outcome: Ok(samples::grant(1, NOW)),
        },
        Event::Refreshed { family: 1, outcome: Ok(samples::grant(2, NOW)) },
        Event::ResetFinished {
            reset_key: "wordpress-native-reset-1".to_owned(),
            outcome: ResetOutcome::NeedsToken,
        },
    ]);
    events
}

#[test]
fn no_event_makes_a_copy_do_anything() {
    let world = World::default();
    for (state, facts) in states() {
        for later in [0, 1_800, 3_600, 100 * 24 * 3_600] {
            for event in tempting() {
                let cx = world.at(NOW + later);
                let mut session = copied(facts.clone());
                let before = session.facts.clone();
                let actions = session.apply(event.clone(), &cx);
                assert!(!actions.iter().any(Action::is_step), "{state:?} × {event:?}: {actions:?}");
                assert_eq!(session.facts, before, "{state:?} × {event:?}");
                assert!(session.valid_tokens(&cx).is_none());
                assert_eq!(session.state(&cx), State::SafeMode);
                let asks = event.waiting().is_some();
                assert_eq!(refusal(&actions), asks.then_some(Code::SafeMode), "{event:?}");
            }
        }
    }
}

#[test]
fn status_says_why_and_names_the_commands() {
    let world = World::default();
    let cx = world.at(NOW);
    let session = copied(samples::connected());
    let safe_mode = session.safe_mode(&cx).expect("in safe mode");
    let signs = serde_json::to_value(&safe_mode.evidence).expect("JSON");
    assert_eq!(signs[2]["code"], "original_there");
    assert_eq!(signs[2]["message"], "The original is still in /original.");
    let commands: Vec<_> =
        safe_mode.choices.iter().map(|it| (it.name, it.command.as_deref())).collect();
    assert_eq!(
        commands,
        [
            ("adopt", Some("counterfoild adopt --state-dir '/my copy'")),
            ("separate", Some("counterfoild separate --state-dir '/my copy'")),
            ("leave", None),
        ]
    );
    assert_eq!(super::session(samples::connected()).safe_mode(&cx), None);
}

#[test]
fn an_adopted_place_goes_on_as_it_was() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut session = copied(samples::connected());
    let actions = session.apply(Event::AdoptAsked, &cx);
    assert_eq!(actions, [Action::Reply(Ok(Done::Adopted))]);
    assert_eq!(session.facts.place, Some(place("/my copy")), "bound on the disk");
    assert_eq!(session.state(&cx), State::Connected);
    assert_eq!(session.words(State::Connected, &cx).0, "Connected to Ada & Co.");
    assert!(session.valid_tokens(&cx).is_some());
    assert_eq!(session.safe_mode(&cx), None);
    assert!(refresh_order(&session.apply(Event::Tick, &world.at(NOW + 1_900))).is_some());
}

#[test]
fn an_adopted_address_waits_for_the_merchant() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut session = session(foreign());
    assert_eq!(session.apply(Event::AdoptAsked, &cx), [Action::Reply(Ok(Done::Adopted))]);
    assert!(session.valid_tokens(&cx).is_some(), "the tokens are kept");
    let (summary, next_step) = session.words(session.state(&cx), &cx);
    assert!(summary.contains("https://other.example") && next_step.contains("Connect"));

    let actions = session.apply(Event::ConnectAsked(Ask::default()), &cx);
    assert_eq!(
        actions,
        [Action::Register(samples::register_order(true))],
        "the same installation, so its key is proved as the one before"
    );
    let facts = Facts { moved_from: session.facts.moved_from, ..exchanging() };
    let idempotency_key = facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    let mut approved = super::session(facts);
    assert!(approved.facts.moved_from.is_some());
    let outcome = Ok(samples::grant(1, NOW));
    approved.apply(Event::Redeemed { idempotency_key, outcome }, &cx);
    assert_eq!(approved.words(State::Connected, &cx).0, "Connected to Ada & Co.");
}

#[test]
fn the_first_address_is_remembered_until_the_approval() {
    let world = World::default();
    let mut twice =
        session(Facts { moved_from: Some("https://first.example".to_owned()), ..foreign() });
    twice.apply(Event::AdoptAsked, &world.at(NOW));
    assert_eq!(twice.facts.moved_from.as_deref(), Some("https://first.example"));
    let mut back =
        session(Facts { moved_from: Some("https://shop.example".to_owned()), ..foreign() });
    back.apply(Event::AdoptAsked, &world.at(NOW));
    assert_eq!(back.facts.moved_from, None, "back where the server knows it");
}

#[test]
fn another_server_or_platform_is_not_adopted() {
    let world = World::default();
    let cx = world.at(NOW);
    for facts in [
        another(|it| it.issuer = "https://former.example".to_owned()),
        another(|it| it.platform = "medusa".to_owned()),
    ] {
        let mut session = session(facts.clone());
        let actions = session.apply(Event::AdoptAsked, &cx);
        assert_eq!(refusal(&actions), Some(Code::AdoptRefused));
        assert_eq!(session.facts, facts);
        let choices = session.safe_mode(&cx).expect("still").choices;
        assert_eq!(choices[0].name, "put_back");
    }
}

#[test]
fn who_is_at_home_has_nothing_to_adopt() {
    let world = World::default();
    for (state, facts) in states() {
        if state != State::SafeMode {
            let actions = session(facts).apply(Event::AdoptAsked, &world.at(NOW));
            assert_eq!(refusal(&actions), Some(Code::NotInSafeMode), "{state:?}");
        }
    }
}

#[test]
fn the_next_step_names_the_choices() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut moved = samples::connected();
    moved.binding.as_mut().expect("bound").issuer = "https://former.example".to_owned();
    for (session, goes_on) in [
        (session(foreign()), "; if the store moved here, run: counterfoild adopt;"),
        (session(moved), "issuer = \"https://former.example\" back and run: counterfoild reload;"),
    ] {
        let (_, next_step) = session.words(session.state(&cx), &cx);
        assert!(next_step.contains(goes_on), "{next_step}");
        assert!(next_step.ends_with("run: counterfoild separate"), "{next_step}");
    }
}

#[test]
fn a_typing_error_in_the_address_is_put_back_first() {
    let world = World::default();
    let cx = world.at(NOW);
    let typed = session(foreign());
    let former = &typed.facts.binding.as_ref().expect("bound").site_url;
    let put_back = format!("put site_url = \"{former}\" back");
    let (_, next_step) = typed.words(typed.state(&cx), &cx);
    let said = format!(
        "If the store's file was changed by mistake, {put_back} and run: counterfoild reload"
    );
    assert!(next_step.starts_with(&said), "{next_step}");
    let choices = typed.safe_mode(&cx).expect("in safe mode").choices;
    let names: Vec<_> = choices.iter().map(|it| it.name).collect();
    assert_eq!(names, ["put_back", "adopt", "separate", "leave"]);
    assert!(choices[0].message.contains(&put_back), "{}", choices[0].message);

    let staging = copied(foreign());
    let choices = staging.safe_mode(&cx).expect("in safe mode").choices;
    let names: Vec<_> = choices.iter().map(|it| it.name).collect();
    assert_eq!(names, ["adopt", "separate", "leave"], "the file alone does not mend a copy");
    let (_, next_step) = staging.words(staging.state(&cx), &cx);
    assert!(next_step.starts_with("If the store moved here, run: "), "{next_step}");
}
