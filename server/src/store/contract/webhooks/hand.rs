//! What a connection's client has sent by hand, with the receipt of the answer.

use super::{operator, seed};
use crate::{
    oauth::grant::EndReason,
    partner::receipt::Receipt,
    store::{
        Fate, KeptReceipt, Manual, ManualSend, Of, PartnerWrite, Queued, Sent,
        contract::world::{RACERS, ROUNDS, World, hash, race},
    },
};

fn receipt(world: &World, name: &str) -> KeptReceipt {
    let receipt = Receipt {
        request: hash(name),
        key: None,
        sealed: name.as_bytes().to_vec(),
        given_at: world.now(),
        forgotten_at: world.now() + 100,
    };
    KeptReceipt { idempotency: hash(name), receipt, inherited: false }
}

fn by_hand(
    world: &World,
    grant: &str,
    event: &str,
    what: Manual,
    once: Option<&str>,
) -> ManualSend {
    ManualSend {
        what,
        grant_id: grant.to_owned(),
        event: seed(event),
        actor: operator(),
        receipt: once.map(|name| receipt(world, name)),
        now: world.now(),
    }
}

pub async fn sent_by_hand(world: World) {
    let (grant, endpoint) = world.told("shop").await;
    let send = async |event: &str, what: Manual, once: Option<&str>| {
        let send = by_hand(&world, &grant, event, what, once);
        world.store.send_by_hand(send).await.expect("decides")
    };
    let kept = async |name: &str| {
        let kept = world.store.partner_receipt(&grant, &hash(name)).await.expect("reads");
        kept.map(|receipt| receipt.sealed)
    };
    let test = || Manual::Test(endpoint.clone());
    let Sent::Queued(Queued::As(first)) = send("a", test(), Some("test")).await else {
        panic!("it is queued")
    };
    assert_eq!(first, seed("a").delivery_id(&endpoint));
    assert_eq!(kept("test").await, Some(b"test".to_vec()));
    assert_eq!(send("b", test(), Some("test")).await, Sent::Hindered(PartnerWrite::Raced));
    assert!(matches!(send("c", test(), None).await, Sent::Queued(Queued::As(_))));

    // What is refused leaves the key alone.
    let retry = |id: &str| Manual::Retry(id.to_owned());
    assert_eq!(send("d", retry(&first), Some("retry")).await, Sent::Queued(Queued::Waits));
    assert_eq!(send("e", retry("none"), Some("retry")).await, Sent::Queued(Queued::Unknown));
    assert_eq!(kept("retry").await, None);
    for due in world.claims(9, 9).await {
        world.settles(&due, Fate::Delivered).await;
    }
    let again = Queued::As(seed("f").delivery_id(&endpoint));
    assert_eq!(send("f", retry(&first), Some("retry")).await, Sent::Queued(again));
    assert_eq!(kept("retry").await, Some(b"retry".to_vec()));
    assert_eq!(send("g", retry(&first), Some("retry")).await, Sent::Hindered(PartnerWrite::Raced));
    assert_eq!(world.log(Of::Grant(&grant), None, 9).await.len(), 3);

    world.end_grant(&grant, EndReason::Revoked).await;
    let late = send("h", test(), Some("late")).await;
    assert_eq!((late, kept("late").await), (Sent::Hindered(PartnerWrite::GrantEnded), None));
}

pub async fn sent_by_hand_by_many(world: World) {
    let (grant, endpoint) = world.told("shop").await;
    for round in 0..ROUNDS {
        let key = format!("key {round}");
        let racers = (0..RACERS).map(|racer| {
            let (store, what) = (world.store.clone(), Manual::Test(endpoint.clone()));
            let send = by_hand(&world, &grant, &format!("{round} {racer}"), what, Some(&key));
            async move { store.send_by_hand(send).await.expect("decides") }
        });
        let outcomes = race(racers).await;
        let queued = outcomes.iter().filter(|it| matches!(it, Sent::Queued(Queued::As(_)))).count();
        assert_eq!(queued, 1, "{outcomes:?}");
        let raced = Sent::Hindered(PartnerWrite::Raced);
        assert_eq!(outcomes.iter().filter(|it| **it == raced).count(), RACERS - 1);
    }
}
