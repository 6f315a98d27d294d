//! The site that a connection is for: bound once, by what it says of itself.

use super::*;
use crate::{evidence::Evidence, site::Site};

fn site(header: &str) -> Site {
    Site::parse(header).expect(header)
}

fn shop() -> Site {
    site("https://shop.example; 1; /var/www/html/")
}

fn staging() -> Site {
    site("https://staging.shop.example; 1; /var/www/staging/")
}

fn differs(session: &Session, site: &Site, is_callback: bool) -> bool {
    !session.what_tells(site, is_callback, &World::default().at(NOW)).is_empty()
}

#[test]
fn the_site_that_connects_is_the_one() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut session = session(samples::registered());
    let ask = Ask { site: Some(shop()), ..Ask::default() };
    session.apply(Event::ConnectAsked(ask), &cx);
    let registration = samples::registered().registration.expect("registered");
    let actions = session.apply(Event::Registered { connect: 1, outcome: Ok(registration) }, &cx);
    let [Action::Push(PushOrder { attempt, .. })] = &actions[..] else { panic!("{actions:?}") };
    let state = attempt.state.expose().to_owned();
    let url = "https://pay.example/oauth/authorize".to_owned();
    let authorization = Authorization { authorization_url: url, expires_at: NOW + 300 };
    session.apply(Event::Pushed { connect: 1, outcome: Ok(authorization) }, &cx);
    assert!(differs(&session, &staging(), true), "another site's callback");
    assert!(!differs(&session, &staging(), false), "nobody is bound yet");
    assert!(!differs(&session, &shop(), true));

    session.apply(callback(&format!("code=c&state={state}&iss=https://pay.example")), &cx);
    let idempotency_key = session.facts.exchange.as_ref().expect("begun").idempotency_key.clone();
    let outcome = Ok(samples::grant(1, NOW));
    session.apply(Event::Redeemed { idempotency_key, outcome }, &cx);
    assert_eq!(session.facts.site, Some(shop()), "bound with the connection");
    assert!(!session.binds(&world.config));
    assert!(differs(&session, &staging(), false));
    assert!(!differs(&session, &site("http://SHOP.example/; 1; /var/www/html/"), false));

    session.apply(Event::DisconnectAsked { forget: true }, &cx);
    assert_eq!(session.facts.site, None, "the next connection is for whoever makes it");
}

#[test]
fn the_first_to_use_an_unbound_connection_is_the_one() {
    let world = World::default();
    let cx = world.at(NOW);
    let mut session = session(samples::connected());
    assert!(session.binds(&world.config));
    let bound = [Action::Reply(Ok(Done::SiteBound))];
    assert_eq!(session.apply(Event::SiteSeen(shop()), &cx), bound);
    assert_eq!(session.apply(Event::SiteSeen(shop()), &cx), bound, "and again");
    assert_eq!(refusal(&session.apply(Event::SiteSeen(staging()), &cx)), Some(Code::SiteMismatch));
    assert_eq!(session.facts.site, Some(shop()));
    assert!(session.valid_tokens(&cx).is_some(), "the original goes on");

    assert_eq!(session.apply(Event::SiteAdopted(staging()), &cx), bound);
    assert_eq!(session.facts.site, Some(staging()));
    assert!(differs(&session, &shop(), false), "the former one is the stranger now");
}

#[test]
fn nobody_is_bound_without_a_connection_or_in_safe_mode() {
    let world = World::default();
    let cx = world.at(NOW);
    for facts in [Facts::default(), samples::registered(), samples::awaiting(), foreign()] {
        let mut session = session(facts.clone());
        assert!(!session.binds(&world.config));
        session.apply(Event::SiteSeen(shop()), &cx);
        assert_eq!(session.facts, facts);
    }
    let mut copy = session(Facts { site: Some(shop()), ..foreign() });
    assert_eq!(refusal(&copy.apply(Event::SiteAdopted(staging()), &cx)), Some(Code::SafeMode));
    assert!(!differs(&copy, &staging(), false), "safe mode speaks for itself");
}

#[test]
fn a_path_that_changes_at_each_release_is_not_looked_at() {
    let mut world = World::default();
    let session = session(Facts { site: Some(shop()), ..samples::connected() });
    let release = site("https://shop.example; 1; /srv/releases/42/");
    let found = session.what_tells(&release, false, &world.at(NOW));
    assert!(matches!(found[..], [Evidence::OtherPath { .. }]));
    world.config.site.check_path = false;
    assert_eq!(session.what_tells(&release, false, &world.at(NOW)), []);
}

#[test]
fn an_adopted_address_says_anew_how_its_site_is_called() {
    let world = World::default();
    let mut session = session(Facts { site: Some(shop()), ..foreign() });
    session.apply(Event::AdoptAsked, &world.at(NOW));
    assert_eq!(session.facts.site, None);
    assert!(session.binds(&world.config));
}
