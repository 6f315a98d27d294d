//! What the payment engine was answered is answered again, and moves nothing twice.

use counterfoil_protocol::UnixTime;

use super::{
    super::{
        partner::link,
        world::{RACERS, World, count, hash, race},
    },
    seed,
};
use crate::{
    partner::{
        link::PaymentLink,
        payment::{Moved, PaymentStatus, Report},
        receipt::Receipt,
    },
    store::{KeptReceipt, PartnerWrite, PaymentMove},
};

fn kept(name: &str, now: UnixTime) -> KeptReceipt {
    let (request, sealed) = (hash("request"), name.as_bytes().to_vec());
    let receipt = Receipt { request, key: None, sealed, given_at: now, forgotten_at: now + 100 };
    KeptReceipt { idempotency: hash("key"), receipt, inherited: false }
}

fn moved(link: &PaymentLink, status: PaymentStatus, now: UnixTime) -> PaymentMove {
    let report = Report { status, amount: None, settlement: None, session: None };
    let Ok(Moved::To(link)) = report.apply(link, "session".to_owned(), now) else {
        panic!("it does not move");
    };
    let (event, receipt) = (seed(status.as_str()), Some(kept("moved", now)));
    PaymentMove { link: *link, event, actor: None, receipt, now }
}

pub async fn receipts_of_the_engine(world: World) {
    let (grant, _) = world.told("shop").await;
    let made = world.made(link(&world, "one", &grant)).await;
    assert_eq!(world.store.engine_receipt(&hash("key")).await.expect("reads"), None);
    // The same report at once from everywhere: one moves the payment, and one notification is written.
    let change = moved(&made, PaymentStatus::Quoted, world.now());
    let raced = race((0..RACERS).map(|_| {
        let (world, change) = (world.clone(), change.clone());
        async move { world.store.move_payment(change).await.expect("decides") }
    }));
    let raced = raced.await;
    assert_eq!(count(&raced, &PartnerWrite::Done), 1);
    assert_eq!(count(&raced, &PartnerWrite::Raced), RACERS - 1);
    assert_eq!(world.claims(9, 9).await.len(), 1);
    let first = kept("moved", world.now());
    let read = async || world.store.engine_receipt(&hash("key")).await.expect("reads");
    assert_eq!(read().await, Some(first.receipt.clone()));

    // Its key is used: neither another move nor an answer without one takes its place.
    let next = moved(&change.link, PaymentStatus::Complete, world.now());
    assert_eq!(world.store.move_payment(next).await.expect("decides"), PartnerWrite::Raced);
    assert_eq!(world.store.payment_link("one").await.expect("reads"), Some(change.link.clone()));
    let unchanged = kept("unchanged", world.now());
    let noted = async |receipt: KeptReceipt| {
        world.store.note_report(receipt, world.now()).await.expect("decides")
    };
    assert_eq!(noted(unchanged.clone()).await, PartnerWrite::Raced);
    assert_eq!(read().await, Some(first.receipt));

    // When it is forgotten the key is as good as new.
    world.advance(100);
    let later = kept("unchanged", world.now());
    assert_eq!(noted(later.clone()).await, PartnerWrite::Done);
    assert_eq!(read().await, Some(later.receipt.clone()));
    world.store.sweep(world.now() + 99).await.expect("sweeps");
    assert_eq!(read().await, Some(later.receipt));
    world.store.sweep(world.now() + 100).await.expect("sweeps");
    assert_eq!(read().await, None);
}
