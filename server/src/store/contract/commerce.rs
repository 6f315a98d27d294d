//! What belongs to companies: customers, subscriptions, settings, wallets.

use counterfoil_protocol::{UnixTime, callback::LocalHosts};

use super::world::{RACERS, ROUNDS, World, count, hash, key, race};
use crate::{
    audit::Actor,
    oauth::grant::EndReason,
    partner::{
        customer::{Customer, CustomerPatch},
        receipt::{Keeping, Receipt},
        recurring::{Recurring, RecurringPatch, RecurringRequest},
        settings::{KeptSettings, MerchantSettings},
        wallet::WalletFile,
    },
    store::{AuditQuery, CompanyWrite, Imported, KeptReceipt, Page, PartnerWrite, WalletImport},
};

fn customer(world: &World, id: &str, company_id: &str) -> Customer {
    let text = format!(r#"{{"name":"{id}","metadata":{{"n":1.50}}}}"#);
    let patch = CustomerPatch::parse(&text).expect("a request");
    patch.into_customer(id.to_owned(), company_id, world.now()).expect("a customer")
}

fn recurring(world: &World, id: &str, customer_id: &str, company_id: &str) -> Recurring {
    let text = format!(
        r#"{{"customerId":"{customer_id}","amount":"9.90","currency":"EUR","interval":"month"}}"#
    );
    let request = RecurringRequest::parse(&text, None).expect("a request");
    request.into_recurring(id.to_owned(), company_id, world.now())
}

fn settings(name: &str, company_id: &str, version: i64) -> KeptSettings {
    let text = format!(r#"{{"displayName":"{name}"}}"#);
    let settings = MerchantSettings::parse(&text, &[], LocalHosts::Refused).expect("settings");
    let updated_at = UnixTime(1);
    KeptSettings { company_id: company_id.to_owned(), settings, updated_at, version }
}

fn page(after: Option<&str>, limit: u32) -> Page {
    Page { after: after.map(str::to_owned), limit }
}

impl World {
    fn writing<T>(&self, thing: T, grant_id: &str, once: Option<&str>) -> CompanyWrite<T> {
        let receipt = once.map(|name| KeptReceipt {
            idempotency: hash(name),
            receipt: Receipt {
                request: hash(name),
                key: Some(key("key")),
                sealed: vec![1],
                given_at: self.now(),
                forgotten_at: self.now() + Keeping::PLAIN.kept_for,
            },
            inherited: true,
        });
        CompanyWrite { thing, grant_id: grant_id.to_owned(), receipt, now: self.now() }
    }

    async fn put_customer(
        &self,
        customer: Customer,
        grant: &str,
        once: Option<&str>,
    ) -> PartnerWrite {
        self.store.write_customer(self.writing(customer, grant, once)).await.expect("decides")
    }

    async fn put_recurring(&self, recurring: Recurring, grant: &str) -> PartnerWrite {
        self.store.write_recurring(self.writing(recurring, grant, None)).await.expect("decides")
    }

    async fn put_settings(&self, kept: KeptSettings, grant: &str) -> PartnerWrite {
        let write = self.writing(kept, grant, None);
        self.store.write_merchant_settings(write).await.expect("decides")
    }

    async fn customer_ids(&self, company_id: &str, page: &Page) -> Option<Vec<String>> {
        let listed = self.store.customers(company_id, page).await.expect("reads");
        listed.map(|customers| customers.into_iter().map(|customer| customer.id).collect())
    }

    async fn store_of(&self, name: &str, company_id: &str) -> String {
        self.register(name, "key").await;
        self.connected(&format!("family {name}"), name, company_id, "key").await
    }
}

pub async fn customers(world: World) {
    let (acme, bolt) =
        (world.store_of("shop", "acme").await, world.store_of("other", "bolt").await);
    for id in ["one", "two", "three"] {
        let made = customer(&world, id, "acme");
        assert_eq!(world.put_customer(made, &acme, None).await, PartnerWrite::Done);
    }
    let foreign = customer(&world, "foreign", "bolt");
    assert_eq!(world.put_customer(foreign, &bolt, None).await, PartnerWrite::Done);
    let one = world.store.customer("acme", "one").await.expect("reads").expect("a customer");
    assert_eq!(one, customer(&world, "one", "acme"));
    assert_eq!(world.store.customer("bolt", "one").await.expect("reads"), None);

    let ids =
        |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(world.customer_ids("acme", &page(None, 2)).await, ids(&["three", "two"]));
    // What is added meanwhile neither repeats nor hides anything.
    let late = customer(&world, "late", "acme");
    assert_eq!(world.put_customer(late, &acme, None).await, PartnerWrite::Done);
    assert_eq!(world.customer_ids("acme", &page(Some("two"), 2)).await, ids(&["one"]));
    assert_eq!(world.customer_ids("acme", &page(Some("one"), 2)).await, ids(&[]));
    for unknown in ["foreign", "nobody", ""] {
        assert_eq!(world.customer_ids("acme", &page(Some(unknown), 2)).await, None);
    }

    world.advance(5);
    let patch = CustomerPatch::parse(r#"{"email":"a@b.example"}"#).expect("a change");
    let changed = patch.apply(&one, world.now()).expect("a change");
    assert_eq!(world.put_customer(changed.clone(), &acme, Some("key")).await, PartnerWrite::Done);
    assert_eq!(world.store.customer("acme", "one").await.expect("reads"), Some(changed.clone()));
    // Decided on a version that is gone; under a key that was used; as another company's; by a grant that ended.
    assert_eq!(world.put_customer(changed.clone(), &acme, None).await, PartnerWrite::Raced);
    let next = Customer { version: 3, ..changed.clone() };
    assert_eq!(world.put_customer(next.clone(), &acme, Some("key")).await, PartnerWrite::Raced);
    let stolen = Customer { company_id: "bolt".to_owned(), ..next.clone() };
    assert_eq!(world.put_customer(stolen, &bolt, None).await, PartnerWrite::Raced);
    world.end_grant(&acme, EndReason::Revoked).await;
    assert_eq!(world.put_customer(next, &acme, None).await, PartnerWrite::GrantEnded);
    assert_eq!(world.store.customer("acme", "one").await.expect("reads"), Some(changed));
}

pub async fn recurring_payments(world: World) {
    let (acme, bolt) =
        (world.store_of("shop", "acme").await, world.store_of("other", "bolt").await);
    for (id, company, grant) in [("ann", "acme", &acme), ("bob", "bolt", &bolt)] {
        let made = customer(&world, id, company);
        assert_eq!(world.put_customer(made, grant, None).await, PartnerWrite::Done);
    }
    let made = recurring(&world, "one", "ann", "acme");
    assert_eq!(world.put_recurring(made.clone(), &acme).await, PartnerWrite::Done);
    for stranger in ["bob", "nobody"] {
        let made = recurring(&world, "two", stranger, "acme");
        assert_eq!(world.put_recurring(made, &acme).await, PartnerWrite::NoCustomer);
    }
    assert_eq!(world.store.recurring("acme", "one").await.expect("reads"), Some(made.clone()));
    assert_eq!(world.store.recurring("bolt", "one").await.expect("reads"), None);
    let patch = RecurringPatch::parse(r#"{"status":"paused","amount":"12"}"#).expect("a change");
    let changed = patch.apply(&made, world.now()).expect("a change");
    assert_eq!(world.put_recurring(changed.clone(), &acme).await, PartnerWrite::Done);
    assert_eq!(world.put_recurring(changed.clone(), &acme).await, PartnerWrite::Raced);
    let listed = world.store.recurrings("acme", &page(None, 9)).await.expect("reads");
    assert_eq!(listed, Some(vec![changed]));
    assert_eq!(world.store.recurrings("bolt", &page(Some("one"), 9)).await.expect("reads"), None);
}

pub async fn merchant_settings(world: World) {
    let acme = world.store_of("shop", "acme").await;
    let read = async |company: &str| world.store.merchant_settings(company).await.expect("reads");
    assert_eq!(read("acme").await, None);
    let first = settings("one", "acme", 1);
    assert_eq!(world.put_settings(first.clone(), &acme).await, PartnerWrite::Done);
    assert_eq!(read("acme").await, Some(first));
    assert_eq!(world.put_settings(settings("blind", "acme", 1), &acme).await, PartnerWrite::Raced);
    let second = settings("two", "acme", 2);
    assert_eq!(world.put_settings(second.clone(), &acme).await, PartnerWrite::Done);
    assert_eq!(world.put_settings(settings("late", "acme", 2), &acme).await, PartnerWrite::Raced);
    assert_eq!((read("acme").await, read("bolt").await), (Some(second), None));
    let query = AuditQuery { company_id: Some("acme".to_owned()), ..AuditQuery::default() };
    let history = world.store.newest_audit(&query, None, 9).await.expect("reads");
    let noted = history.iter().filter(|event| event.event == "merchant_settings_changed").count();
    assert_eq!(noted, 2);
}

pub async fn settings_of_many(world: World) {
    let acme = world.store_of("shop", "acme").await;
    for round in 1..=i64::try_from(ROUNDS).expect("few") {
        let outcomes = race((0..RACERS).map(|racer| {
            let (world, acme) = (world.clone(), acme.clone());
            let kept = settings(&format!("{round}.{racer}"), "acme", round);
            async move { world.put_settings(kept, &acme).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &PartnerWrite::Done), 1, "round {round}");
        let winner = outcomes.iter().position(|outcome| *outcome == PartnerWrite::Done);
        let expected = format!("{round}.{}", winner.expect("a winner"));
        let kept = world.store.merchant_settings("acme").await.expect("reads").expect("settings");
        assert_eq!(kept.settings.display_name, Some(expected));
    }
}

/// One statement: a balance, and entries of so many seconds after the start.
fn statement(
    world: &World,
    company_id: &str,
    balance: &str,
    entries: &[(&str, i64)],
) -> WalletImport {
    let entries: Vec<_> = entries
        .iter()
        .map(|(id, at)| {
            let at = crate::partner::link::rfc3339(world.now() + *at);
            format!(
                r#"{{"id":"{id}","at":"{at}","kind":"payment","asset":"BTC.BTC","amount":"1","status":"pending"}}"#
            )
        })
        .collect();
    let text = format!(
        r#"{{"wallets":[{{"company":"{company_id}","as_of":"2027-01-15T08:00:00Z",
           "balances":[{{"asset":"BTC.BTC","available":"{balance}","pending":"0"}}],"activity":[{}]}}]}}"#,
        entries.join(",")
    );
    let statement = WalletFile::parse(&text).expect("a file").wallets.remove(0);
    WalletImport {
        company_id: statement.company,
        as_of: statement.as_of,
        balances: statement.balances,
        activity: statement.activity,
    }
}

pub async fn wallets(world: World) {
    let import = async |imports: Vec<WalletImport>| {
        world.store.import_wallets(imports, &Actor::System, world.now()).await
    };
    let ids = async |company: &str, page: Page| {
        let listed = world.store.wallet_activity(company, &page).await.expect("reads");
        listed.map(|entries| entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>())
    };
    assert_eq!(world.store.wallet("acme").await.expect("reads"), None);
    let first = statement(&world, "acme", "1.50", &[("a", 1), ("b", 2), ("c", 2)]);
    let other = statement(&world, "bolt", "7", &[("a", 9)]);
    let both = import(vec![first.clone(), other]).await.expect("imports");
    assert_eq!(both, Imported { balances: 2, left_alone: 0, entries: 4 });
    // The same again, and an older one.
    let again = import(vec![first.clone()]).await.expect("imports");
    assert_eq!(again, Imported { balances: 0, left_alone: 1, entries: 0 });
    let older = WalletImport { as_of: first.as_of - 1, balances: Vec::new(), ..first.clone() };
    let older = import(vec![older]).await.expect("imports");
    assert_eq!(older, Imported { balances: 0, left_alone: 1, entries: 0 });
    let wallet = world.store.wallet("acme").await.expect("reads").expect("a wallet");
    assert_eq!((wallet.as_of, wallet.balances), (first.as_of, first.balances.clone()));

    assert_eq!(ids("acme", page(None, 2)).await, Some(vec!["c".to_owned(), "b".to_owned()]));
    let late = statement(&world, "acme", "1.50", &[("d", 3), ("late", 0)]);
    import(vec![late]).await.expect("imports");
    let rest = ids("acme", page(Some("b"), 9)).await;
    assert_eq!(rest, Some(vec!["a".to_owned(), "late".to_owned()]));
    assert_eq!(ids("bolt", page(Some("b"), 9)).await, None);
    assert_eq!(ids("bolt", page(None, 9)).await, Some(vec!["a".to_owned()]));

    // All of it or nothing.
    let good = statement(&world, "bolt", "8", &[("z", 9)]);
    let nobodys = statement(&world, "nobody", "1", &[]);
    assert!(import(vec![good, nobodys]).await.is_err());
    assert_eq!(ids("bolt", page(None, 9)).await, Some(vec!["a".to_owned()]));
}
