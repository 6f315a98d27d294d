//! The outbox: written with what it tells of, emptied in order, once by one sender, and its endpoints.

mod ends;
mod engine;
mod hand;

use std::slice;

use counterfoil_protocol::callback::LocalHosts;

use super::{
    partner::{link, subscription},
    world::{RACERS, World, app, count, hash, race},
};
use crate::{
    audit::Actor,
    oauth::grant::EndReason,
    partner::{
        event::{EventKind, Patterns},
        link::{LinkPatch, LinkRequest, PaymentLink},
        payment::{Moved, PaymentStatus, Report},
        subscription::SealedSecret,
    },
    store::{
        AddedEndpoint, Claim, DeliveryQuery, Due, EndpointQuery, EndpointSecret, Fate, LinkChange,
        NewEndpoint, NewLink, Of, Part, PartnerWrite, PaymentMove, Queued, Rotated, SecretChange,
        Settled, Settlement, SubscriptionChange,
    },
    webhooks::{
        endpoint::{Endpoint, EndpointKind, Origin},
        log::{Attempt, Delivery},
        payload::Seed,
    },
};

pub use self::{
    ends::of_an_ended_connection,
    engine::receipts_of_the_engine,
    hand::{sent_by_hand, sent_by_hand_by_many},
};

const PATIENCE: i64 = 1_000;

fn seed(name: &str) -> Seed {
    Seed { id: name.to_owned(), checkout_base: "https://pay.example".to_owned() }
}

fn secret(name: &str) -> SealedSecret {
    SealedSecret { sealed: hash(name).to_vec(), last4: name.to_owned() }
}

fn operator() -> Actor {
    Actor::Operator("ops".to_owned())
}

impl World {
    /// A connected store with a subscription; answers its grant and the subscription's name.
    async fn told(&self, name: &str) -> (String, String) {
        let grant = self.shop(name).await;
        let made = subscription(self, None, name, &grant);
        let id = made.id.clone();
        let change = SubscriptionChange { subscription: made, receipt: None, now: self.now() };
        let written = self.store.change_webhook_subscription(change).await.expect("decides");
        assert_eq!(written, PartnerWrite::Done);
        (grant, id)
    }

    pub(super) async fn made(&self, link: PaymentLink) -> PaymentLink {
        let event = seed(&format!("made {}", link.uid));
        let (needs_subscription, receipt, now) = (false, None, self.now());
        let new = NewLink { event, link: link.clone(), needs_subscription, receipt, now };
        assert_eq!(self.store.create_payment_link(new).await.expect("decides"), PartnerWrite::Done);
        link
    }

    pub(super) async fn moves(&self, link: &PaymentLink, status: PaymentStatus) -> PaymentLink {
        let report = Report { status, amount: None, settlement: None, session: None };
        let Ok(Moved::To(link)) = report.apply(link, format!("session {}", link.uid), self.now())
        else {
            panic!("it does not move");
        };
        let event = seed(&format!("{} {}", link.uid, status.as_str()));
        let (link, now) = (*link, self.now());
        let change = PaymentMove { link: link.clone(), event, actor: None, receipt: None, now };
        assert_eq!(self.store.move_payment(change).await.expect("decides"), PartnerWrite::Done);
        link
    }

    async fn claims(&self, most: u32, per_endpoint: u32) -> Vec<Due> {
        let claim = Claim { now: self.now(), until: self.now() + 60, most, per_endpoint };
        self.store.claim_deliveries(claim).await.expect("claims")
    }

    async fn settles(&self, due: &Due, fate: Fate) -> Settled {
        let attempt = Attempt {
            delivery_id: format!("attempt {} of {}", due.attempts + 1, due.id),
            at: self.now(),
            milliseconds: 12,
            url: "https://shop.example/hook".to_owned(),
            status: Some(200),
            error: None,
            headers: String::new(),
            excerpt: "ok".to_owned(),
        };
        let (position, attempts, now) = (due.position, due.attempts, self.now());
        let hopeless_before = now - PATIENCE;
        let attempt = Some(attempt);
        let settlement = Settlement { position, attempts, attempt, fate, hopeless_before, now };
        self.store.settle_delivery(settlement).await.expect("settles")
    }

    async fn log(&self, of: Of<'_>, before: Option<i64>, limit: u32) -> Vec<Delivery> {
        let query = DeliveryQuery { before, limit, ..DeliveryQuery::default() };
        self.store.deliveries(of, query).await.expect("reads")
    }

    async fn endpoint_of(&self, id: &str) -> Endpoint {
        self.store.endpoint(id).await.expect("reads").expect("an endpoint")
    }
}

/// What deliveries tell, in the order in which they were claimed.
fn told(claimed: &[Due]) -> Vec<String> {
    let word = |due: &Due| {
        let body: serde_json::Value = serde_json::from_str(&due.body).expect("JSON");
        format!(
            "{} {}",
            body["paymentLink"]["uid"].as_str().unwrap_or_default(),
            body["status"].as_str().unwrap_or_default()
        )
    };
    claimed.iter().map(word).collect()
}

pub async fn in_order(world: World) {
    let (grant, subscription) = world.told("shop").await;
    let one = world.made(link(&world, "one", &grant)).await;
    let two = world.made(link(&world, "two", &grant)).await;
    assert!(!world.store.is_anything_due(world.now()).await.expect("reads"));
    let one = world.moves(&one, PaymentStatus::Quoted).await;
    let one = world.moves(&one, PaymentStatus::Pending).await;
    world.moves(&two, PaymentStatus::Quoted).await;
    assert!(world.store.is_anything_due(world.now()).await.expect("reads"));
    let first = world.claims(9, 9).await;
    assert_eq!(told(&first), ["one quoted", "two quoted"]);
    assert_eq!(first[0].endpoint.as_ref().expect("an endpoint").id, subscription);
    // Claimed, and what is behind them waits.
    assert!(!world.store.is_anything_due(world.now()).await.expect("reads"));
    assert!(world.claims(9, 9).await.is_empty());

    // Tried again later: what is behind it waits on.
    assert_eq!(world.settles(&first[0], Fate::Again(world.now() + 300)).await, Settled::Done);
    assert_eq!(world.settles(&first[1], Fate::Delivered).await, Settled::Done);
    world.advance(299);
    assert!(world.claims(9, 9).await.is_empty());
    world.moves(&one, PaymentStatus::Complete).await;
    world.advance(1);
    let again = world.claims(9, 9).await;
    assert_eq!((told(&again), again[0].attempts), (vec!["one quoted".to_owned()], 1));
    assert_eq!(world.settles(&again[0], Fate::GivenUp("attempts_exhausted")).await, Settled::Done);
    let next = world.claims(9, 9).await;
    assert_eq!(told(&next), ["one pending"]);
    assert_eq!(world.settles(&next[0], Fate::Delivered).await, Settled::Done);
    assert_eq!(told(&world.claims(9, 9).await), ["one complete"]);

    let log = world.log(Of::Grant(&grant), None, 10).await;
    let states: Vec<_> = log.iter().rev().map(|it| (it.state.as_str(), it.attempts)).collect();
    assert_eq!(states, [("failed", 2), ("delivered", 1), ("delivered", 1), ("waiting", 0)]);
    let failed = log.last().expect("one");
    assert_eq!(failed.reason.as_deref(), Some("attempts_exhausted"));
    let whole = world.store.delivery(&failed.id).await.expect("reads").expect("a delivery");
    assert_eq!((whole.tried.len(), failed.tried.len()), (2, 1));
    assert_eq!(failed.tried[0], whole.tried[1]);
    let older = world.log(Of::Endpoint(&subscription), Some(log[1].position), 1).await;
    assert_eq!(older[0].id, log[2].id);
    assert_eq!(world.log(Of::Client("shop"), None, 2).await.len(), 2);
    for (state, link_uid, expected) in [
        (Some("failed"), None, 1),
        (Some("delivered"), None, 2),
        (Some("delivered"), Some("two"), 1),
        (None, Some("one"), 3),
        (Some("failed"), Some("two"), 0),
    ] {
        let query = DeliveryQuery { state, link_uid, before: None, limit: 10 };
        let found = world.store.deliveries(Of::Endpoint(&subscription), query).await;
        assert_eq!(found.expect("reads").len(), expected, "{query:?}");
    }
}

pub async fn claims_lapse_and_are_shared(world: World) {
    let (grant, _) = world.told("shop").await;
    for name in 0..6 {
        let made = world.made(link(&world, &format!("link {name}"), &grant)).await;
        world.moves(&made, PaymentStatus::Quoted).await;
    }
    let (other, _) = world.told("other").await;
    let made = world.made(link(&world, "other's", &other)).await;
    world.moves(&made, PaymentStatus::Quoted).await;
    // One endpoint takes its share and no more, whoever is asked.
    let first = world.claims(9, 2).await;
    assert_eq!(told(&first), ["link 0 quoted", "link 1 quoted", "other's quoted"]);
    assert!(world.claims(9, 2).await.is_empty());
    assert_eq!(world.settles(&first[0], Fate::Delivered).await, Settled::Done);
    assert_eq!(told(&world.claims(9, 2).await), ["link 2 quoted"]);
    // A sender that was killed holds nothing up for longer than it said.
    world.advance(60);
    assert_eq!(world.claims(9, 9).await.len(), 6);
    world.advance(60);
    let claimed = race((0..RACERS).map(|_| {
        let world = world.clone();
        async move { world.claims(2, 9).await }
    }));
    let claimed: Vec<Due> = claimed.await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 6);
    let due = claimed[0].clone();
    let settled = race((0..RACERS).map(|_| {
        let (world, due) = (world.clone(), due.clone());
        async move { world.settles(&due, Fate::Delivered).await }
    }));
    let settled = settled.await;
    assert_eq!(count(&settled, &Settled::Done), 1);
    assert_eq!(count(&settled, &Settled::Lost), RACERS - 1);
}

pub async fn written_with_what_they_tell_of(world: World) {
    let (grant, _) = world.told("shop").await;
    let made = world.made(link(&world, "one", &grant)).await;
    let quoted = world.moves(&made, PaymentStatus::Quoted).await;
    assert_eq!(world.store.payment_link("one").await.expect("reads"), Some(quoted.clone()));
    // Decided on a version that is gone: nothing is told.
    let report =
        Report { status: PaymentStatus::Failed, amount: None, settlement: None, session: None };
    let Ok(Moved::To(late)) = report.apply(&quoted, String::new(), world.now()) else {
        panic!("moves")
    };
    let late = PaymentLink { version: 2, ..*late };
    let change = PaymentMove {
        link: late,
        event: seed("late"),
        actor: None,
        receipt: None,
        now: world.now(),
    };
    assert_eq!(world.store.move_payment(change).await.expect("decides"), PartnerWrite::Raced);
    assert_eq!(world.claims(9, 9).await.len(), 1);
    // The payment moves on when its connection has ended, and nobody is told any more.
    world.end_grant(&grant, EndReason::Revoked).await;
    world.moves(&quoted, PaymentStatus::Complete).await;
    world.advance(60);
    let claimed = world.claims(9, 9).await;
    assert_eq!(told(&claimed), ["one quoted"]);
    let endpoint = claimed[0].endpoint.as_ref().expect("an endpoint");
    assert_eq!(endpoint.closed(Origin::Event), Some("connection_ended"));
}

pub async fn to_whom(world: World) {
    let order = r#"{"payload":{"amount":"1","fiatCurrency":"EUR","webhookUrl":"https://shop.example/own"}}"#;
    let request = LinkRequest::parse(order, LocalHosts::Refused).expect("a request");
    let grant = world.shop("shop").await;
    let own = request.into_link("id".to_owned(), "own".to_owned(), &grant, world.now());
    let made = world.made(own).await;
    // Nothing signs for it yet.
    let quoted = world.moves(&made, PaymentStatus::Quoted).await;
    assert!(world.claims(9, 9).await.is_empty());
    let change = SecretChange {
        grant_id: grant.clone(),
        client_id: "shop".to_owned(),
        company_id: None,
        secret: secret("own"),
        receipt: None,
        now: world.now(),
    };
    world.store.change_webhook_secret(change).await.expect("decides");
    world.moves(&quoted, PaymentStatus::Pending).await;
    let claimed = world.claims(9, 9).await;
    let endpoint = claimed[0].endpoint.clone().expect("an endpoint");
    assert_eq!(
        (endpoint.kind, endpoint.url.as_str()),
        (EndpointKind::Link, "https://shop.example/own")
    );
    assert_eq!((&endpoint.secret, endpoint.native), (&secret("own"), true));

    world.store.add_app(app("partner"), &operator(), 9).await.expect("adds");
    let app_grant = world.authorized("page", "partner", "bolt").await;
    let new = |id: &str, client_id: &str| NewEndpoint {
        id: id.to_owned(),
        client_id: client_id.to_owned(),
        url: "https://app.example/hook".to_owned(),
        events: Patterns::of(&[
            EventKind::LinkCreated,
            EventKind::LinkUpdated,
            EventKind::LinkArchived,
        ]),
        description: String::new(),
        secret: secret("apps"),
        now: world.now(),
    };
    let add = async |id: &str, client: &str| {
        world.store.add_endpoint(new(id, client), 1, &operator()).await.expect("decides")
    };
    assert_eq!(add("x", "unknown").await, AddedEndpoint::NoApplication);
    assert_eq!(add("x", "shop").await, AddedEndpoint::NoApplication);
    let raced = race((0..RACERS).map(|_| {
        let (world, new) = (world.clone(), new("apps", "partner"));
        async move { world.store.add_endpoint(new, 1, &operator()).await.expect("decides") }
    }));
    let raced = raced.await;
    assert_eq!(count(&raced, &AddedEndpoint::Added), 1);
    assert_eq!(count(&raced, &AddedEndpoint::Known), RACERS - 1);
    assert_eq!(add("x", "partner").await, AddedEndpoint::Full);
    let made = world.made(link(&world, "apps", &app_grant)).await;
    let patch = LinkPatch::parse(r#"{"status":"archived"}"#, LocalHosts::Refused).expect("a patch");
    let archived = patch.apply(&made, world.now()).expect("archives");
    let change =
        LinkChange { event: seed("archived"), link: archived, receipt: None, now: world.now() };
    world.store.change_payment_link(change).await.expect("decides");
    let created = world.claims(9, 9).await;
    assert_eq!(created[0].event, "makepay.payment_link.created");
    world.settles(&created[0], Fate::Delivered).await;
    assert_eq!(world.claims(9, 9).await[0].event, "makepay.payment_link.archived");
    let log = world.log(Of::Grant(&app_grant), None, 9).await;
    assert_eq!((log.len(), log[0].client_id.as_str()), (2, "partner"));
    let ids = |found: Vec<Endpoint>| found.into_iter().map(|it| it.id).collect::<Vec<_>>();
    let part = async |company, after, limit| {
        ids(world.store.endpoints(company, Part { after, limit }).await.expect("reads"))
    };
    assert_eq!(part(Some("acme"), "", 9).await, ["apps", &endpoint.id]);
    assert_eq!(part(None, "", 1).await, ["apps"]);
    assert_eq!(part(None, "apps", 9).await, [&*endpoint.id]);
    for (company, after, limit) in [
        (Some("acme"), &*endpoint.id, 9),
        (Some("bolt"), "", 9),
        (None, "unknown", 9),
        (None, "", 0),
    ] {
        assert!(part(company, after, limit).await.is_empty(), "{company:?} after {after}");
    }
    let listed = async |company_id, client_id, skip, limit| {
        let query = EndpointQuery { company_id, client_id, skip, limit };
        let found = world.store.company_endpoints(query).await.expect("reads");
        found.into_iter().map(|it| (it.endpoint.id, it.last.is_some())).collect::<Vec<_>>()
    };
    // What a payment link named comes last.
    let (apps, own) = (("apps".to_owned(), true), (endpoint.id.clone(), true));
    assert_eq!(listed("acme", None, 0, 9).await, [apps.clone(), own.clone()]);
    assert_eq!(listed("acme", None, 1, 9).await, slice::from_ref(&own));
    assert_eq!(listed("acme", None, 0, 1).await, slice::from_ref(&apps));
    assert_eq!(listed("acme", Some("partner"), 0, 9).await, [apps]);
    assert!(listed("bolt", None, 0, 9).await.is_empty());
    let one = world.store.company_endpoint("acme", "apps").await.expect("reads").expect("it is");
    assert_eq!((one.endpoint.id.as_str(), one.site_url), ("apps", None));
    for (company, id) in [("bolt", "apps"), ("acme", "unknown")] {
        assert_eq!(world.store.company_endpoint(company, id).await.expect("reads"), None);
    }
}

pub async fn endpoints_are_looked_after(world: World) {
    let (grant, id) = world.told("shop").await;
    let made = world.made(link(&world, "one", &grant)).await;
    assert!(
        !world
            .store
            .switch_endpoint("unknown", true, &operator(), world.now())
            .await
            .expect("decides")
    );
    assert!(
        world.store.switch_endpoint(&id, false, &operator(), world.now()).await.expect("decides")
    );
    let made = world.moves(&made, PaymentStatus::Quoted).await;
    assert!(world.claims(9, 9).await.is_empty());
    // A test goes there all the same.
    let test = async |name: &str, id: &str| {
        world.store.test_endpoint(id, seed(name), &operator(), world.now()).await.expect("decides")
    };
    assert_eq!(test("a", "unknown").await, Queued::Unknown);
    let Queued::As(tested) = test("b", &id).await else { panic!("it is queued") };
    let claimed = world.claims(9, 9).await;
    assert_eq!((claimed[0].id.as_str(), claimed[0].origin), (tested.as_str(), Origin::Test));
    world.settles(&claimed[0], Fate::GivenUp("attempts_exhausted")).await;
    let retry = async |name: &str, id: &str| {
        world.store.retry_delivery(id, seed(name), &operator(), world.now()).await.expect("decides")
    };
    assert_eq!(retry("c", "unknown").await, Queued::Unknown);
    assert_eq!(retry("d", &tested).await, Queued::Closed("endpoint_disabled"));
    assert!(
        world.store.switch_endpoint(&id, true, &operator(), world.now()).await.expect("decides")
    );
    assert_eq!(world.endpoint_of(&id).await.failing_since, None);
    let Queued::As(again) = retry("e", &tested).await else { panic!("it is queued") };
    assert_eq!(retry("f", &again).await, Queued::Waits);
    let claimed = world.claims(9, 9).await;
    assert_eq!(claimed[0].origin, Origin::Manual);
    world.settles(&claimed[0], Fate::Delivered).await;

    // Two secrets, until one is.
    let until = world.now() + 50;
    let rotate = async |name: &str, overlap_until, replaces: Option<&str>| {
        let replaces = replaces.map(|name| secret(name).sealed);
        let change = EndpointSecret { secret: secret(name), overlap_until, replaces };
        let (actor, now) = (operator(), world.now());
        world.store.rotate_endpoint_secret(&id, change, &actor, now).await.expect("decides")
    };
    assert_eq!(rotate("new", until, Some("other")).await, Rotated::Raced);
    assert_eq!(rotate("new", until, Some("shop")).await, Rotated::Done);
    assert_eq!(rotate("late", until, Some("shop")).await, Rotated::Raced);
    let endpoint = world.endpoint_of(&id).await;
    assert_eq!(endpoint.secret, secret("new"));
    assert_eq!(endpoint.previous, Some((secret("shop").sealed, until)));
    assert_eq!(rotate("newer", world.now(), None).await, Rotated::Done);
    assert_eq!(world.endpoint_of(&id).await.previous, None);

    // It fails for too long, is disabled, and somebody must be told.
    world.moves(&made, PaymentStatus::Pending).await;
    let claimed = world.claims(9, 9).await;
    assert_eq!(world.settles(&claimed[0], Fate::Again(world.now())).await, Settled::Done);
    let since = world.now();
    assert_eq!(world.endpoint_of(&id).await.failing_since, Some(since));
    world.advance(PATIENCE);
    let claimed = world.claims(9, 9).await;
    let settled = world.settles(&claimed[0], Fate::Again(world.now())).await;
    assert_eq!(settled, Settled::EndpointDisabled);
    let endpoint = world.endpoint_of(&id).await;
    assert_eq!((endpoint.active, endpoint.disabled_reason.as_deref()), (false, Some("failing")));
    let notices = world.store.notices().await.expect("reads");
    assert_eq!((notices.len(), notices[0].endpoint_id.as_str()), (1, id.as_str()));
    assert_eq!((notices[0].failing_since, notices[0].people.len()), (since, 1));
    world.store.notice_told(notices[0].id, world.now()).await.expect("writes");
    assert!(world.store.notices().await.expect("reads").is_empty());
}

pub async fn what_is_old_is_forgotten(world: World) {
    let (grant, _) = world.told("shop").await;
    let made = world.made(link(&world, "one", &grant)).await;
    let made = world.moves(&made, PaymentStatus::Quoted).await;
    let claimed = world.claims(9, 9).await;
    world.settles(&claimed[0], Fate::Delivered).await;
    world.moves(&made, PaymentStatus::Pending).await;
    world.advance(10);
    let forget = async |before| world.store.forget_deliveries(before).await.expect("forgets");
    assert_eq!(forget(world.now() - 10).await, 0);
    assert_eq!(forget(world.now()).await, 1);
    // What waits is never old.
    assert_eq!(told(&world.claims(9, 9).await), ["one pending"]);
    assert_eq!(world.store.delivery(&claimed[0].id).await.expect("reads"), None);
    world.store.release("shop", &operator(), world.now()).await.expect("releases");
    assert!(world.log(Of::Client("shop"), None, 9).await.is_empty());
}
