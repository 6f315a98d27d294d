//! Payment links, webhook subscriptions and secrets, and the receipts that are written with them or not at all.

use counterfoil_protocol::callback::LocalHosts;

use super::world::{RACERS, ROUNDS, World, app, count, family_id, hash, key, new_family, race};
use crate::{
    audit::Actor,
    oauth::{grant::EndReason, installation::Slot},
    partner::{
        access::TokenNames,
        json::Json,
        link::{LinkPatch, LinkRequest, LinkStatus, PaymentLink},
        receipt::{Keeping, Receipt},
        subscription::{SealedSecret, Subscription, SubscriptionRequest},
    },
    store::{
        Holder, KeptReceipt, LinkChange, NewLink, Page, PartnerWrite, SecretChange,
        SubscriptionChange, Written,
    },
    webhooks::payload::Seed,
};

const ORDER: &str = r#"{"payload":{"amount":"49.90","fiatCurrency":"EUR","title":"Order","metadata":{"n":1.50}},"settlement":{"currency":"USDT"}}"#;

fn seed(world: &World) -> Seed {
    // Nobody is told of these, so that they need not differ.
    Seed { id: format!("event {}", world.now().0), checkout_base: "https://pay.example".to_owned() }
}

pub fn link(world: &World, uid: &str, grant_id: &str) -> PaymentLink {
    let request = LinkRequest::parse(ORDER, LocalHosts::Refused).expect("a request");
    request.into_link(format!("id {uid}"), uid.to_owned(), grant_id, world.now())
}

fn archived(world: &World, link: &PaymentLink) -> PaymentLink {
    let patch = LinkPatch::parse(r#"{"status":"archived"}"#, LocalHosts::Refused).expect("a patch");
    patch.apply(link, world.now()).expect("archives")
}

fn secret(name: &str) -> SealedSecret {
    SealedSecret { sealed: hash(name).to_vec(), last4: name.to_owned() }
}

/// The subscription after a request, signed with the secret `name`.
pub fn subscription(
    world: &World,
    known: Option<&Subscription>,
    name: &str,
    grant_id: &str,
) -> Subscription {
    let body = format!(r#"{{"url":"https://shop.example/{name}","metadata":{{"n":1.50}}}}"#);
    let request = SubscriptionRequest::parse(&body, LocalHosts::Refused).expect("a request");
    request.apply(known, format!("sub {name}"), grant_id, secret(name), world.now())
}

fn receipt(world: &World, name: &str) -> KeptReceipt {
    let receipt = Receipt {
        request: hash(&format!("request {name}")),
        key: Some(key("key")),
        sealed: format!("sealed {name}").into_bytes(),
        given_at: world.now(),
        forgotten_at: world.now() + Keeping::PLAIN.kept_for,
    };
    KeptReceipt { idempotency: hash(name), receipt, inherited: true }
}

impl World {
    /// A connected store of that name; answers its grant.
    pub async fn shop(&self, name: &str) -> String {
        self.register(name, "key").await;
        self.connected(&format!("family {name}"), name, "acme", "key").await
    }

    async fn create(
        &self,
        link: PaymentLink,
        once: Option<&str>,
        needs_subscription: bool,
    ) -> PartnerWrite {
        let receipt = once.map(|name| receipt(self, name));
        let new = NewLink { event: seed(self), link, needs_subscription, receipt, now: self.now() };
        self.store.create_payment_link(new).await.expect("decides")
    }

    async fn change_link(&self, link: PaymentLink, once: Option<&str>) -> PartnerWrite {
        let receipt = once.map(|name| receipt(self, name));
        let change = LinkChange { event: seed(self), link, receipt, now: self.now() };
        self.store.change_payment_link(change).await.expect("decides")
    }

    async fn subscribe(&self, subscription: Subscription, once: Option<&str>) -> PartnerWrite {
        let receipt = once.map(|name| receipt(self, name));
        let change = SubscriptionChange { subscription, receipt, now: self.now() };
        self.store.change_webhook_subscription(change).await.expect("decides")
    }

    async fn subscription(&self, grant_id: &str) -> Option<Subscription> {
        self.store.webhook_subscription(grant_id).await.expect("reads")
    }

    async fn link(&self, uid: &str) -> Option<PaymentLink> {
        self.store.payment_link(uid).await.expect("reads")
    }

    async fn uids(&self, grant_id: &str, limit: u32) -> Vec<String> {
        let page = Page { after: None, limit };
        let links = self.store.payment_links(grant_id, &page).await.expect("reads");
        links.expect("a list").into_iter().map(|link| link.uid).collect()
    }

    async fn kept(&self, grant_id: &str, name: &str) -> Option<Receipt> {
        self.store.partner_receipt(grant_id, &hash(name)).await.expect("reads")
    }

    async fn holder(
        &self,
        jti: &str,
        client_id: &str,
        grant_id: &str,
        family: &str,
    ) -> Option<Holder> {
        let family = Some(family_id(family));
        let names = TokenNames { jti, client_id, grant_id, family };
        self.store.token_holder(&names, self.now()).await.expect("reads")
    }
}

pub async fn holders(world: World) {
    let grant = world.shop("shop").await;
    let other = world.shop("other").await;
    let holder = world.holder("jti", "shop", &grant, "family shop").await.expect("a holder");
    assert_eq!((holder.client_id.as_str(), holder.grant_id.as_str()), ("shop", grant.as_str()));
    assert_eq!(holder.platform.as_deref(), Some("wordpress"));
    assert_eq!((holder.company.id.as_str(), holder.company.name.as_str()), ("acme", "acme inc."));
    assert!(!holder.require_nonce);
    for (client_id, grant_id, family) in [
        ("other", grant.as_str(), "family shop"),
        ("shop", other.as_str(), "family shop"),
        ("shop", grant.as_str(), "family other"),
        ("shop", grant.as_str(), "unknown"),
        ("shop", "unknown", "family shop"),
        ("unknown", grant.as_str(), "family shop"),
    ] {
        assert_eq!(world.holder("jti", client_id, grant_id, family).await, None);
    }

    world.store.revoke_access("gone", world.now() + 60).await.expect("revokes");
    assert_eq!(world.holder("gone", "shop", &grant, "family shop").await, None);
    assert!(world.holder("jti", "shop", &grant, "family shop").await.is_some());
    world.end_family("family shop", EndReason::Revoked).await;
    assert_eq!(world.holder("jti", "shop", &grant, "family shop").await, None);
    world.end_grant(&other, EndReason::Revoked).await;
    assert_eq!(world.holder("jti", "other", &other, "family other").await, None);

    world.add_app(app("partner")).await;
    let own = world.authorized("page", "partner", "bolt").await;
    let holder = world.holder("jti", "partner", &own, "page").await.expect("a holder");
    assert_eq!((holder.platform, holder.company.id.as_str()), (None, "bolt"));
}

pub async fn links(world: World) {
    let (grant, other) = (world.shop("shop").await, world.shop("other").await);
    for uid in ["one", "two", "three"] {
        assert_eq!(world.create(link(&world, uid, &grant), None, false).await, PartnerWrite::Done);
    }
    assert_eq!(world.link("one").await, Some(link(&world, "one", &grant)));
    assert_eq!(world.link("unknown").await, None);
    assert_eq!(world.uids(&grant, 100).await, ["three", "two", "one"]);
    assert_eq!(world.uids(&grant, 2).await, ["three", "two"]);
    assert!(world.uids(&other, 100).await.is_empty());

    let first = link(&world, "one", &grant);
    world.advance(5);
    let second = archived(&world, &first);
    assert_eq!(world.change_link(second.clone(), None).await, PartnerWrite::Done);
    let stored = world.link("one").await.expect("a link");
    assert_eq!(stored, second);
    assert_eq!((stored.status, stored.version), (LinkStatus::Archived, 2));
    // Decided on a version that is gone, or under another's grant.
    assert_eq!(world.change_link(second.clone(), None).await, PartnerWrite::Raced);
    let foreign = PaymentLink { grant_id: other, version: 3, ..second.clone() };
    assert_eq!(world.change_link(foreign, None).await, PartnerWrite::Raced);
    assert_eq!(world.link("one").await, Some(second));

    world.store.release("shop", &Actor::System, world.now()).await.expect("releases");
    assert_eq!(world.link("one").await, None);
}

pub async fn links_of_an_ended_grant(world: World) {
    let grant = world.shop("shop").await;
    let made = link(&world, "one", &grant);
    assert_eq!(world.create(made.clone(), None, false).await, PartnerWrite::Done);
    world.end_grant(&grant, EndReason::Revoked).await;
    let late = link(&world, "two", &grant);
    assert_eq!(world.create(late, Some("key"), false).await, PartnerWrite::GrantEnded);
    let change = archived(&world, &made);
    assert_eq!(world.change_link(change, None).await, PartnerWrite::GrantEnded);
    let late = subscription(&world, None, "late", &grant);
    assert_eq!(world.subscribe(late, None).await, PartnerWrite::GrantEnded);
    assert_eq!(world.uids(&grant, 100).await, ["one"]);
    assert_eq!(world.link("one").await, Some(made));
    assert_eq!(world.kept(&grant, "key").await, None);
}

pub async fn links_of_a_connection_that_was_made_anew(world: World) {
    let grant = world.shop("shop").await;
    let beside = world.shop("other").await;
    for (uid, grant) in [("one", &grant), ("beside", &beside)] {
        assert_eq!(world.create(link(&world, uid, grant), None, false).await, PartnerWrite::Done);
    }
    world.end_grant(&grant, EndReason::Revoked).await;
    world.end_grant(&beside, EndReason::Revoked).await;
    // Another company never has them; they wait for their own.
    let elsewhere = world.connected("elsewhere", "shop", "bolt", "key").await;
    assert_eq!(world.uids(&elsewhere, 100).await, [""; 0]);
    let slot = Some((Slot::Current, "key"));
    let anew = world.approved("anew", "shop", "acme", slot).await;
    assert_ne!(anew, grant);
    assert_eq!(world.uids(&grant, 100).await, ["one"], "an approval alone is no connection");
    let redemption = world.redemption("anew", new_family("anew", &anew, Some("key")), true);
    assert_eq!(world.redeem(redemption).await, Written::Done);
    assert_eq!(world.uids(&anew, 100).await, ["one"]);
    let found = world.link("one").await.expect("there");
    assert_eq!(found.grant_id, anew);
    assert_eq!(world.change_link(archived(&world, &found), None).await, PartnerWrite::Done);
    assert_eq!(world.uids(&beside, 100).await, ["beside"]);
}

pub async fn links_that_need_a_subscription(world: World) {
    let (grant, other) = (world.shop("shop").await, world.shop("other").await);
    let create = async |uid: &str| world.create(link(&world, uid, &grant), Some(uid), true).await;
    let foreign = subscription(&world, None, "foreign", &other);
    assert_eq!(world.subscribe(foreign, None).await, PartnerWrite::Done);
    assert_eq!(create("one").await, PartnerWrite::NoSubscription);
    let own = subscription(&world, None, "own", &grant);
    assert_eq!(world.subscribe(own.clone(), None).await, PartnerWrite::Done);
    assert_eq!(create("one").await, PartnerWrite::Done);
    assert_eq!(world.subscribe(own.disabled(world.now()), None).await, PartnerWrite::Done);
    assert_eq!(create("two").await, PartnerWrite::NoSubscription);
    assert_eq!(world.uids(&grant, 100).await, ["one"]);
    assert_eq!(world.kept(&grant, "two").await, None);
}

pub async fn receipts(world: World) {
    let (grant, other) = (world.shop("shop").await, world.shop("other").await);
    let create = async |uid: &str, grant: &str| {
        world.create(link(&world, uid, grant), Some("key"), false).await
    };
    assert_eq!(world.kept(&grant, "key").await, None);
    assert_eq!(create("one", &grant).await, PartnerWrite::Done);
    assert_eq!(world.kept(&grant, "key").await, Some(receipt(&world, "key").receipt));
    assert_eq!(world.kept(&other, "key").await, None);
    // Whatever is written under the same key: nothing of it is.
    assert_eq!(create("two", &grant).await, PartnerWrite::Raced);
    let change = archived(&world, &link(&world, "one", &grant));
    assert_eq!(world.change_link(change.clone(), Some("key")).await, PartnerWrite::Raced);
    let late = subscription(&world, None, "late", &grant);
    assert_eq!(world.subscribe(late, Some("key")).await, PartnerWrite::Raced);
    assert_eq!(world.subscription(&grant).await, None);
    assert_eq!(world.uids(&grant, 100).await, ["one"]);
    assert_eq!(create("three", &other).await, PartnerWrite::Done);
    // A write that does not happen keeps no receipt.
    assert_eq!(world.change_link(change.clone(), None).await, PartnerWrite::Done);
    assert_eq!(world.change_link(change, Some("later")).await, PartnerWrite::Raced);
    assert_eq!(world.kept(&grant, "later").await, None);

    world.advance(Keeping::PLAIN.kept_for - 1);
    world.store.sweep(world.now()).await.expect("sweeps");
    assert_eq!(create("four", &grant).await, PartnerWrite::Raced);
    world.advance(1);
    assert_eq!(create("five", &grant).await, PartnerWrite::Done);
    assert_eq!(world.kept(&grant, "key").await, Some(receipt(&world, "key").receipt));
    world.store.sweep(world.now()).await.expect("sweeps");
    assert!(world.kept(&grant, "key").await.is_some());
    assert_eq!(world.kept(&other, "key").await, None);
}

pub async fn receipts_of_a_connection_that_was_made_anew(world: World) {
    let grant = world.shop("shop").await;
    let beside = world.shop("other").await;
    for (uid, grant) in [("one", &grant), ("beside", &beside)] {
        let write = world.create(link(&world, uid, grant), Some("key"), false).await;
        assert_eq!(write, PartnerWrite::Done);
    }
    let own = subscription(&world, None, "own", &grant);
    let ending = KeptReceipt { inherited: false, ..receipt(&world, "ending") };
    let change = SubscriptionChange { subscription: own, receipt: Some(ending), now: world.now() };
    let write = world.store.change_webhook_subscription(change).await.expect("decides");
    assert_eq!(write, PartnerWrite::Done);
    let kept = receipt(&world, "key").receipt;
    world.end_grant(&grant, EndReason::Revoked).await;
    world.end_grant(&beside, EndReason::Revoked).await;

    // Another company's key of the same name is its own, and so is another store's.
    let elsewhere = world.connected("elsewhere", "shop", "bolt", "key").await;
    assert_eq!(world.kept(&elsewhere, "key").await, None);
    world.advance(5);
    let write = world.create(link(&world, "two", &elsewhere), Some("key"), false).await;
    assert_eq!(write, PartnerWrite::Done);
    let theirs = receipt(&world, "key").receipt;
    assert_ne!(theirs, kept);

    let slot = Some((Slot::Current, "key"));
    let anew = world.approved("anew", "shop", "acme", slot).await;
    assert_eq!(world.kept(&anew, "key").await, None, "an approval alone is no connection");
    let redemption = world.redemption("anew", new_family("anew", &anew, Some("key")), true);
    assert_eq!(world.redeem(redemption).await, Written::Done);
    assert_eq!(world.kept(&anew, "key").await, Some(kept.clone()));
    assert_eq!(world.kept(&anew, "ending").await, None);
    assert_eq!(world.kept(&grant, "ending").await.map(|_| ()), Some(()));
    assert_eq!(world.kept(&elsewhere, "key").await, Some(theirs));
    assert_eq!(world.kept(&beside, "key").await, Some(kept));
    let second = link(&world, "three", &anew);
    assert_eq!(world.create(second.clone(), Some("key"), false).await, PartnerWrite::Raced);
    assert_eq!(world.uids(&anew, 100).await, ["one"]);
    // It is forgotten when it would have been, and then the key is good for something new.
    world.advance(Keeping::PLAIN.kept_for - 5);
    assert_eq!(world.create(second, Some("key"), false).await, PartnerWrite::Done);
}

pub async fn subscriptions(world: World) {
    let grant = world.shop("shop").await;
    assert_eq!(world.subscription(&grant).await, None);
    let first = subscription(&world, None, "one", &grant);
    assert_eq!(world.subscribe(first.clone(), Some("key")).await, PartnerWrite::Done);
    assert_eq!(world.subscription(&grant).await, Some(first.clone()));
    // Somebody who saw none, and somebody who saw what is no more.
    let blind = subscription(&world, None, "blind", &grant);
    assert_eq!(world.subscribe(blind, None).await, PartnerWrite::Raced);
    world.advance(5);
    let second = subscription(&world, Some(&first), "two", &grant);
    assert_eq!(world.subscribe(second.clone(), None).await, PartnerWrite::Done);
    assert_eq!(second.id, first.id);
    let late = first.disabled(world.now());
    assert_eq!(world.subscribe(late, None).await, PartnerWrite::Raced);
    assert_eq!(world.subscription(&grant).await, Some(second.clone()));
    assert_eq!(second.metadata, Json::parse(r#"{"n":1.50}"#.to_owned()).expect("JSON"));
    world.store.release("shop", &Actor::System, world.now()).await.expect("releases");
    assert_eq!(world.subscription(&grant).await, None);
}

pub async fn secrets(world: World) {
    let grant = world.shop("shop").await;
    let change = |name: &str, once: Option<&str>| SecretChange {
        grant_id: grant.clone(),
        client_id: "shop".to_owned(),
        company_id: None,
        secret: secret(name),
        receipt: once.map(|once| receipt(&world, once)),
        now: world.now(),
    };
    let write = async |change| world.store.change_webhook_secret(change).await.expect("decides");
    assert_eq!(write(change("one", Some("key"))).await, PartnerWrite::Done);
    assert_eq!(write(change("two", Some("key"))).await, PartnerWrite::Raced);
    assert_eq!(write(change("three", None)).await, PartnerWrite::Done);
    assert!(world.kept(&grant, "key").await.is_some());
    world.end_grant(&grant, EndReason::Revoked).await;
    assert_eq!(write(change("four", None)).await, PartnerWrite::GrantEnded);
}

pub async fn resets_disable_subscriptions(world: World) {
    let (grant, other) = (world.shop("shop").await, world.shop("other").await);
    for (name, grant) in [("zulu", &grant), ("other", &other)] {
        let new = subscription(&world, None, name, grant);
        assert_eq!(world.subscribe(new, None).await, PartnerWrite::Done);
    }
    let next = world.connected("next", "shop", "bolt", "key").await;
    let new = subscription(&world, None, "alpha", &next);
    assert_eq!(world.subscribe(new, None).await, PartnerWrite::Done);
    let body = world.store.reset(world.reset("shop", "reset")).await.expect("resets");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let ids = serde_json::json!(["sub alpha", "sub zulu"]);
    assert_eq!(body["preservedWebhookSubscriptionIds"], ids);
    for (grant, active, name) in
        [(&grant, false, "zulu"), (&next, false, "alpha"), (&other, true, "other")]
    {
        let kept = world.subscription(grant).await.expect("kept");
        assert_eq!((kept.active, kept.secret), (active, secret(name)));
    }
}

pub async fn creations_of_many(world: World) {
    let grant = world.shop("shop").await;
    for round in 0..ROUNDS {
        let once = format!("key {round}");
        let outcomes = race((0..RACERS).map(|racer| {
            let link = link(&world, &format!("pl {round}.{racer}"), &grant);
            let (world, once) = (world.clone(), once.clone());
            async move { world.create(link, Some(&once), false).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &PartnerWrite::Done), 1, "round {round}");
        assert_eq!(count(&outcomes, &PartnerWrite::Raced), RACERS - 1);
        let winner = outcomes.iter().position(|outcome| *outcome == PartnerWrite::Done);
        let winner = format!("pl {round}.{}", winner.expect("a winner"));
        assert_eq!(world.uids(&grant, 1).await, [winner]);
        assert_eq!(world.uids(&grant, 1_000).await.len(), round + 1);
    }
}

pub async fn changes_of_many(world: World) {
    let grant = world.shop("shop").await;
    for round in 0..ROUNDS {
        let made = link(&world, &format!("pl {round}"), &grant);
        assert_eq!(world.create(made.clone(), None, false).await, PartnerWrite::Done);
        let outcomes = race((0..RACERS).map(|_| {
            let (world, change) = (world.clone(), archived(&world, &made));
            async move { world.change_link(change, None).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &PartnerWrite::Done), 1, "round {round}");
    }
}

pub async fn subscriptions_of_many(world: World) {
    let grant = world.shop("shop").await;
    for round in 0..ROUNDS {
        let known = world.subscription(&grant).await;
        let outcomes = race((0..RACERS).map(|racer| {
            let name = format!("{round}.{racer}");
            let (world, change) =
                (world.clone(), subscription(&world, known.as_ref(), &name, &grant));
            async move { world.subscribe(change, None).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &PartnerWrite::Done), 1, "round {round}");
        let winner = outcomes.iter().position(|outcome| *outcome == PartnerWrite::Done);
        let winner = format!("{round}.{}", winner.expect("a winner"));
        let stored = world.subscription(&grant).await.expect("one");
        assert_eq!(stored.secret, secret(&winner));
        assert!(stored.id.starts_with("sub 0."), "{}", stored.id);
    }
}
