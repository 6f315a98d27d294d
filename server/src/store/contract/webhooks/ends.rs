//! Nothing is sent for a connection that has ended: neither what waits, nor what somebody wants sent once more.

use super::{
    super::{
        partner::link,
        world::{World, app},
    },
    operator, secret, seed, told,
};
use crate::{
    oauth::grant::EndReason,
    partner::{
        event::{EventKind, Patterns},
        payment::PaymentStatus,
    },
    store::{AddedEndpoint, Fate, NewEndpoint, Of, Queued},
    webhooks::endpoint::Origin,
};

pub async fn of_an_ended_connection(world: World) {
    // An application's endpoint is told of two companies.
    world.store.add_app(app("partner"), &operator(), 9).await.expect("adds");
    let new = NewEndpoint {
        id: "apps".to_owned(),
        client_id: "partner".to_owned(),
        url: "https://app.example/hook".to_owned(),
        events: Patterns::of(&[EventKind::StatusChanged]),
        description: String::new(),
        secret: secret("apps"),
        now: world.now(),
    };
    let added = world.store.add_endpoint(new, 1, &operator()).await;
    assert_eq!(added.expect("decides"), AddedEndpoint::Added);
    let ended = world.authorized("page", "partner", "bolt").await;
    let standing = world.authorized("other page", "partner", "acme").await;
    let one = world.made(link(&world, "one", &ended)).await;
    let two = world.made(link(&world, "two", &standing)).await;
    let one = world.moves(&one, PaymentStatus::Quoted).await;
    world.moves(&two, PaymentStatus::Quoted).await;
    for due in world.claims(9, 9).await {
        world.settles(&due, Fate::GivenUp("attempts_exhausted")).await;
    }
    let failed = async |grant| world.log(Of::Grant(grant), None, 9).await.swap_remove(0);
    let retry = async |name: &str, id: &str| {
        world.store.retry_delivery(id, seed(name), &operator(), world.now()).await.expect("decides")
    };
    // While both stand, both may be sent once more.
    let [of_ended, of_standing] = [failed(&ended).await, failed(&standing).await];
    assert!(of_ended.stands && of_standing.stands);
    let Queued::As(again) = retry("a", &of_ended.id).await else { panic!("it is queued") };
    let claimed = world.claims(9, 9).await;
    assert_eq!((claimed.len(), claimed[0].id.as_str()), (1, again.as_str()));
    assert_eq!(claimed[0].endpoint.as_ref().and_then(|it| it.closed(Origin::Manual)), None);
    world.settles(&claimed[0], Fate::Delivered).await;

    // One ends with something on its way: that is given up, and nothing is sent once more.
    world.moves(&one, PaymentStatus::Complete).await;
    world.end_grant(&ended, EndReason::Revoked).await;
    let claimed = world.claims(9, 9).await;
    assert_eq!(told(&claimed), ["one complete"]);
    let endpoint = claimed[0].endpoint.as_ref().expect("an endpoint");
    assert_eq!(endpoint.closed(Origin::Event), Some("connection_ended"));
    world.settles(&claimed[0], Fate::GivenUp("connection_ended")).await;
    for id in [&of_ended.id, &again, &claimed[0].id] {
        assert_eq!(retry(id, id).await, Queued::Closed("connection_ended"), "{id}");
    }
    let known = world.store.delivery(&of_ended.id).await.expect("reads").expect("a delivery");
    assert!(!known.stands);
    assert!(world.claims(9, 9).await.is_empty());
    // The other one is as it was, and the endpoint can be tried.
    assert!(matches!(retry("b", &of_standing.id).await, Queued::As(_)));
    let tested = world.store.test_endpoint("apps", seed("c"), &operator(), world.now()).await;
    assert!(matches!(tested.expect("decides"), Queued::As(_)));
    let sendable = |due: &crate::store::Due| {
        due.endpoint.as_ref().is_some_and(|it| it.closed(due.origin).is_none())
    };
    let claimed = world.claims(9, 9).await;
    assert_eq!(claimed.iter().filter(|due| sendable(due)).count(), 2);
}
