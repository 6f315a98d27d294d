//! Notifications: asked for at each connect, again until there is an answer, and judged by the secrets that we have.

use counterfoil_protocol::webhook;

use super::*;
use crate::{
    config::Config,
    session::webhook::{RetiredSecret, Subscription, WebhookIntent},
};

const URL: &str = "https://shop.example/hook";

/// A store that wants notifications at `url`.
fn store(url: &str) -> World {
    let text = format!("webhook_url = \"{url}\"\n{}", samples::STORE);
    World { config: Config::parse(&text).expect("a store"), ..World::default() }
}

fn subscription() -> Subscription {
    Subscription {
        id: Some("sub_1".to_owned()),
        secret: Secret::new("whsec_1"),
        url: URL.to_owned(),
        events: vec!["makepay.payment.*".to_owned()],
        grant_id: "grant_abc".to_owned(),
        since: NOW,
    }
}

/// Connected, and notified.
fn notified() -> Facts {
    let webhook = Webhook { subscription: Some(subscription()), ..Webhook::default() };
    Facts { webhook, ..samples::connected() }
}

fn order(actions: &[Action]) -> Option<&SubscribeOrder> {
    actions.iter().find_map(|action| match action {
        Action::Subscribe(order) => Some(order),
        _ => None,
    })
}

fn given(secret: &str) -> Subscribed {
    Subscribed {
        id: Some("sub_1".to_owned()),
        secret: Secret::new(secret),
        events: vec!["makepay.payment.*".to_owned()],
    }
}

fn finish(
    session: &mut Session,
    outcome: Result<Subscribed, Unsubscribed>,
    cx: &Context<'_>,
) -> Vec<Action> {
    let intent = session.facts.webhook.intent.as_ref().expect("begun");
    let idempotency_key = intent.idempotency_key.clone();
    session.apply(Event::Subscribed { idempotency_key, outcome }, cx)
}

fn failing() -> Result<Subscribed, Unsubscribed> {
    Err(Unsubscribed::Failed(Failure::Passing(passing())))
}

fn refusing() -> Result<Subscribed, Unsubscribed> {
    Err(Unsubscribed::Failed(Failure::Final(Trouble::of(Code::WebhookRefused))))
}

fn word(session: &Session, cx: &Context<'_>) -> String {
    let view = serde_json::to_value(session.webhook(cx)).expect("JSON");
    view["state"].as_str().expect("a word").to_owned()
}

/// Redeems a code for the grant `grant_id`.
fn connect(facts: Facts, grant_id: &str, world: &World) -> (Session, Vec<Action>) {
    let cx = world.at(NOW);
    let pending = Some(samples::attempt());
    let mut session = session(Facts { pending, receipt: None, ..facts });
    session.apply(callback(GOOD), &cx);
    let exchange = session.facts.exchange.as_ref().expect("begun");
    let grant = Grant { grant_id: grant_id.to_owned(), ..samples::grant(1, NOW) };
    let idempotency_key = exchange.idempotency_key.clone();
    let actions = session.apply(Event::Redeemed { idempotency_key, outcome: Ok(grant) }, &cx);
    (session, actions)
}

#[test]
fn every_connect_asks_for_a_new_secret_and_answers_without_waiting_for_it() {
    let world = store(URL);
    let (mut session, actions) = connect(samples::registered(), "grant_abc", &world);
    assert_eq!(first(&actions), "Callback ok");
    let sent = order(&actions).expect("asked").clone();
    assert_eq!((sent.url.as_str(), sent.access.expose()), (URL, "access-1"));
    assert_eq!(sent.idempotency_key.len(), "wordpress-webhook-".len() + 40);
    assert_eq!(word(&session, &world.at(NOW)), "pending");
    finish(&mut session, Ok(given("whsec_1")), &world.at(NOW));
    assert_eq!(word(&session, &world.at(NOW)), "active");
    assert_eq!(session.facts.webhook.subscription, Some(subscription()));

    let (again, actions) = connect(session.facts, "grant_abc", &world);
    let second = order(&actions).expect("asked again");
    assert_ne!(second.idempotency_key, sent.idempotency_key);
    assert_eq!(again.facts.webhook.subscription, Some(subscription()), "until there is another");
    let (other, _) = connect(again.facts, "grant_other", &world);
    assert_eq!(other.facts.webhook.subscription, None, "another approval has none yet");
}

#[test]
fn a_store_that_wants_none_asks_for_none() {
    let world = World::default();
    let (session, actions) = connect(samples::registered(), "grant_abc", &world);
    assert_eq!(order(&actions), None);
    assert_eq!(word(&session, &world.at(NOW)), "off");
    let mut silenced = super::session(notified());
    assert_eq!(silenced.apply(Event::Tick, &world.at(NOW)), []);
    assert_eq!(word(&silenced, &world.at(NOW)), "off");
}

#[test]
fn the_same_request_is_sent_until_there_is_an_answer() {
    let world = store(URL);
    let (mut session, actions) = connect(samples::registered(), "grant_abc", &world);
    let sent = order(&actions).expect("asked").clone();
    assert_eq!(session.apply(Event::Tick, &world.at(NOW)), [], "one at a time");
    let actions = finish(&mut session, failing(), &world.at(NOW));
    assert_eq!(first(&actions), "Webhook server_unreachable");
    assert_eq!(session.state(&world.at(NOW)), State::Connected, "the connection stands");
    assert_eq!(session.apply(Event::Tick, &world.at(NOW)), []);
    let due = session.next_due().expect("tried again");
    assert_eq!(order(&session.apply(Event::Tick, &world.at(due))), Some(&sent));
    let mut restarted = super::session(session.facts);
    assert_eq!(order(&restarted.apply(Event::Tick, &world.at(due))), Some(&sent));
}

#[test]
fn a_spent_key_is_replaced() {
    let world = store(URL);
    let (mut session, actions) = connect(samples::registered(), "grant_abc", &world);
    let sent = order(&actions).expect("asked").clone();
    finish(&mut session, Err(Unsubscribed::KeySpent), &world.at(NOW));
    let due = session.next_due().expect("tried again");
    let actions = session.apply(Event::Tick, &world.at(due));
    assert_ne!(order(&actions).expect("asked").idempotency_key, sent.idempotency_key);
}

#[test]
fn a_token_that_is_not_taken_is_renewed() {
    let world = store(URL);
    let (mut session, _) = connect(samples::registered(), "grant_abc", &world);
    let rejected = Err(Unsubscribed::NeedsToken(Secret::new("access-1")));
    let actions = finish(&mut session, rejected, &world.at(NOW));
    assert!(refresh_order(&actions).is_some(), "{actions:?}");
    let family = session.facts.families;
    let outcome = Ok(samples::grant(2, NOW + 5));
    let actions = session.apply(Event::Refreshed { family, outcome }, &world.at(NOW + 5));
    assert_eq!(order(&actions).expect("asked").access.expose(), "access-2");
}

#[test]
fn a_refusal_is_kept_until_a_person_changes_something() {
    let world = store(URL);
    let (mut session, _) = connect(samples::registered(), "grant_abc", &world);
    let actions = finish(&mut session, refusing(), &world.at(NOW));
    assert_eq!(first(&actions), "Webhook webhook_refused");
    assert_eq!(word(&session, &world.at(NOW)), "refused");
    let mut restarted = super::session(session.facts.clone());
    assert_eq!(order(&restarted.apply(Event::Tick, &world.at(NOW))), None);

    let rotated =
        super::session(session.facts.clone()).apply(Event::WebhookRotationAsked, &world.at(NOW));
    assert!(order(&rotated).is_some(), "asked for by hand");
    let elsewhere = store("https://shop.example/other");
    let moved = super::session(session.facts.clone()).apply(Event::Tick, &elsewhere.at(NOW));
    assert_eq!(order(&moved).expect("another address").url, "https://shop.example/other");
    let (_, anew) = connect(session.facts, "grant_abc", &world);
    assert!(order(&anew).is_some(), "connected anew");
}

#[test]
fn another_address_is_another_subscription() {
    let elsewhere = store("https://shop.example/other");
    let cx = elsewhere.at(NOW);
    let mut session = session(notified());
    let actions = session.apply(Event::Tick, &cx);
    assert_eq!(order(&actions).expect("asked").url, "https://shop.example/other");
    assert_eq!(session.facts.webhook.subscription, Some(subscription()), "good until then");
    // Back before there was an answer: nothing is wanted any more, and the late answer is nobody's.
    let late = session.facts.webhook.intent.clone().expect("begun").idempotency_key;
    let world = store(URL);
    let mut back = super::session(session.facts);
    assert_eq!(order(&back.apply(Event::Tick, &world.at(NOW))), None);
    back.apply(
        Event::Subscribed { idempotency_key: late, outcome: Ok(given("x")) },
        &world.at(NOW),
    );
    assert_eq!(back.facts.webhook.subscription, Some(subscription()));
}

#[test]
fn an_inactive_subscription_is_asked_for_anew_but_not_in_a_storm() {
    let world = store(URL);
    let mut session = session(notified());
    let inactive = |session: &mut Session, at: UnixTime| {
        let asked = order(&session.apply(Event::WebhookInactive, &world.at(at))).is_some();
        if asked {
            finish(session, Ok(given("whsec_2")), &world.at(at));
        }
        asked
    };
    assert!(inactive(&mut session, NOW));
    assert!(!inactive(&mut session, NOW + 59), "it was asked for only just");
    assert!(inactive(&mut session, NOW + 60));
    assert!(inactive(&mut session, NOW - 1), "the clock was set back");
    let mut pending = super::session(notified());
    assert!(order(&pending.apply(Event::WebhookInactive, &world.at(NOW))).is_some());
    assert_eq!(pending.apply(Event::WebhookInactive, &world.at(NOW)), []);
    let mut none = super::session(samples::connected());
    assert_eq!(none.apply(Event::WebhookInactive, &World::default().at(NOW)), []);
}

#[test]
fn a_rotation_is_refused_where_there_is_nothing_to_rotate() {
    let world = store(URL);
    for (facts, code) in [
        (Facts::default(), Code::NotConnected),
        (lost(), Code::ReconnectRequired),
        (disconnecting(), Code::DisconnectPending),
        (foreign(), Code::SafeMode),
    ] {
        let actions = session(facts).apply(Event::WebhookRotationAsked, &world.at(NOW));
        assert_eq!(refusal(&actions), Some(code));
    }
    let off = World::default();
    let actions = session(notified()).apply(Event::WebhookRotationAsked, &off.at(NOW));
    assert_eq!(refusal(&actions), Some(Code::WebhookNotConfigured));
}

#[test]
fn a_disconnect_forgets_the_secret() {
    let world = store(URL);
    let mut session = session(notified());
    session.apply(Event::DisconnectAsked { forget: true }, &world.at(NOW));
    assert_eq!(session.facts.webhook, Webhook::default());
    assert_eq!(word(&session, &world.at(NOW)), "waiting");
}

const BODY: &str = r#"{"deliveryId":"d-1","type":"makepay.payment.status_changed","subscriptionId":"sub_1",
    "grantId":"grant_abc","installationId":"mco_app_1","companyId":"company_1"}"#;

fn judge(facts: &Facts, secret: &str, body: &str, at: UnixTime) -> Result<Genuine, Code> {
    let headers = [
        (
            "X-MakePay-Signature".to_owned(),
            webhook::sign(&Secret::new(secret), NOW, body.as_bytes()),
        ),
        ("x-makepay-attempt".to_owned(), "3".to_owned()),
        ("x-makepay-delivery-id".to_owned(), "unsigned".to_owned()),
    ];
    let delivery = Delivery { headers: &headers, body: body.as_bytes() };
    session(facts.clone()).judge_delivery(delivery, at, &store(URL).at(at))
}

#[test]
fn a_genuine_delivery_says_what_it_is() {
    let genuine = judge(&notified(), "whsec_1", BODY, NOW).expect("genuine");
    assert_eq!(genuine.delivery_id.as_deref(), Some("d-1"));
    assert_eq!(genuine.kind.as_deref(), Some("makepay.payment.status_changed"));
    assert_eq!((genuine.attempt, genuine.signed_at), (Some(3), NOW));
    let again = judge(&notified(), "whsec_1", &BODY.replace("status", "other"), NOW);
    assert_eq!(again.expect("genuine").fingerprint, genuine.fingerprint, "the name counts");
    let nameless = |body| judge(&notified(), "whsec_1", body, NOW).expect("genuine");
    assert_eq!(nameless("{}").delivery_id.as_deref(), Some("unsigned"));
    assert_ne!(nameless("{}").fingerprint, nameless("{ }").fingerprint);
}

#[test]
fn what_is_not_ours_is_refused_by_its_own_name() {
    let refused = |body: &str| judge(&notified(), "whsec_1", body, NOW).map(|_| ());
    for name in ["sub_1", "grant_abc", "mco_app_1", "company_1"] {
        let other = BODY.replace(name, "another");
        assert_eq!(refused(&other), Err(Code::WebhookWrongSubscription), "{name}");
        let number = BODY.replace(&format!("\"{name}\""), "1");
        assert_eq!(refused(&number), Err(Code::WebhookWrongSubscription), "{name}");
        assert_eq!(refused(&BODY.replace(&format!("\"{name}\""), "null")), Ok(()), "{name}");
    }
    for body in ["", "[]", "null", "{\"a\":1,\"a\":2}", "{"] {
        assert_eq!(refused(body), Err(Code::WebhookMalformed), "{body}");
    }
    let late = |at| judge(&notified(), "whsec_1", BODY, at).map(|_| ());
    assert_eq!(late(NOW + 300), Ok(()));
    assert_eq!(late(NOW + 301), Err(Code::WebhookStale));
    assert_eq!(late(NOW - 301), Err(Code::WebhookStale));
    let other = judge(&notified(), "whsec_2", BODY, NOW);
    assert_eq!(other, Err(Code::WebhookSignatureInvalid));
    assert_eq!(judge(&foreign(), "whsec_1", BODY, NOW), Err(Code::SafeMode));
    let none = judge(&samples::connected(), "whsec_1", BODY, NOW);
    assert_eq!(none, Err(Code::WebhookNotConfigured));
    let unsigned = Delivery { headers: &[], body: BODY.as_bytes() };
    let world = store(URL);
    let verdict = session(notified()).judge_delivery(unsigned, NOW, &world.at(NOW));
    assert_eq!(verdict, Err(Code::WebhookSignatureMissing));
    let off = World::default();
    let verdict = session(notified()).judge_delivery(unsigned, NOW, &off.at(NOW));
    assert_eq!(verdict, Err(Code::WebhookNotConfigured));
}

#[test]
fn the_secret_before_counts_for_a_day_and_the_next_one_is_waited_for() {
    let world = store(URL);
    let mut session = session(notified());
    session.apply(Event::WebhookRotationAsked, &world.at(NOW));
    let verdict = |facts: &Facts, secret| judge(facts, secret, BODY, NOW).map(|_| ());
    assert_eq!(verdict(&session.facts, "whsec_2"), Err(Code::WebhookPending));
    assert_eq!(verdict(&session.facts, "whsec_1"), Ok(()), "until there is another");
    finish(&mut session, Ok(given("whsec_2")), &world.at(NOW));
    let previous = RetiredSecret { secret: Secret::new("whsec_1"), until: NOW + 24 * 3_600 };
    assert_eq!(session.facts.webhook.previous, Some(previous));
    assert_eq!(verdict(&session.facts, "whsec_1"), Ok(()));
    assert_eq!(verdict(&session.facts, "whsec_2"), Ok(()));
    session.facts.webhook.previous.as_mut().expect("kept").until = NOW;
    assert_eq!(verdict(&session.facts, "whsec_1"), Err(Code::WebhookSignatureInvalid));
    session.apply(Event::Tick, &world.at(NOW));
    assert_eq!(session.facts.webhook.previous, None, "what counts no more is kept no longer");
    let intent = Some(WebhookIntent {
        url: URL.to_owned(),
        grant_id: "grant_abc".to_owned(),
        idempotency_key: "wordpress-webhook-1".to_owned(),
        since: NOW,
    });
    let begun = Facts { webhook: Webhook { intent, ..Webhook::default() }, ..samples::connected() };
    assert_eq!(verdict(&begun, "whsec_1"), Err(Code::WebhookPending));
}

#[test]
fn a_lost_connection_has_no_notifications_and_a_refusal_is_the_next_step() {
    let world = store(URL);
    let cx = world.at(NOW);
    assert_eq!(word(&session(notified()), &cx), "active");
    let gone = Facts { webhook: notified().webhook, ..lost() };
    assert_eq!(word(&session(gone), &cx), "waiting");

    let mut session = session(notified());
    let told = |session: &Session| session.words(session.state(&cx), &cx).1;
    assert_eq!(told(&session), NOTHING_TO_DO);
    session.apply(Event::WebhookRotationAsked, &cx);
    finish(&mut session, refusing(), &cx);
    assert_eq!(told(&session), Code::WebhookRefused.words().next_step);
}
