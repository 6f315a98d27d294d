//! Eight at once, fifty times. One wins, and the others learn that they did not.

use super::world::{
    RACERS, ROUNDS, World, app, count, creation, family_id, hash, new_family, race, scope,
};
use crate::{
    oauth::{grant::EndReason, installation::Slot, recovery::PERIOD},
    store::{ApproveOutcome, RegisterOutcome, Written},
};

const CURRENT: Option<(Slot, &str)> = Some((Slot::Current, "key"));

/// A name for one racer of one round.
fn name(what: &str, round: usize, racer: usize) -> String {
    format!("{what} {round}.{racer}")
}

pub async fn redemptions_of_many(world: World) {
    world.register("shop", "key").await;
    for round in 0..ROUNDS {
        let code = name("code", round, 0);
        let grant = world.approved(&code, "shop", "acme", CURRENT).await;
        let outcomes = race((0..RACERS).map(|racer| {
            let family = new_family(&name("family", round, racer), &grant, Some("key"));
            let (world, redemption) = (world.clone(), world.redemption(&code, family, true));
            async move { world.redeem(redemption).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &Written::Done), 1, "round {round}");
        let winner = outcomes.iter().position(|outcome| *outcome == Written::Done);
        let winner = name("family", round, winner.expect("a winner"));
        assert!(world.is_good(&grant, &winner).await);
        let code = world.store.code(&hash(&code)).await.expect("reads");
        let redeemed = code.expect("a code").redeemed.expect("a redeemed code");
        assert_eq!(redeemed.family, family_id(&winner));
        for racer in 0..RACERS {
            let loser = name("family", round, racer);
            let family = world.store.family(&family_id(&loser)).await.expect("reads");
            assert_eq!(family.is_some(), loser == winner);
        }
    }
}

pub async fn rotations_of_many(world: World) {
    world.register("shop", "key").await;
    world.connected("family", "shop", "acme", "key").await;
    for generation in (1..).take(ROUNDS) {
        let outcomes = race((0..RACERS).map(|racer| {
            let mut rotation = world.rotation("family", generation, generation + 1);
            rotation.token_hash = hash(&name("token", 0, racer));
            let world = world.clone();
            async move { world.rotate(rotation).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &Written::Done), 1, "generation {generation}");
        let winner = outcomes.iter().position(|outcome| *outcome == Written::Done);
        let family = world.store.family(&family_id("family")).await.expect("reads");
        let family = family.expect("a family");
        assert_eq!(family.generation, generation + 1);
        assert_eq!(family.token_hash, hash(&name("token", 0, winner.expect("a winner"))));
    }
}

pub async fn registrations(world: World) {
    for round in 0..ROUNDS {
        let identity = hash(&name("identity", round, 0));
        let outcomes = race((0..RACERS).map(|racer| {
            let client_id = name("shop", round, racer);
            let mut registration = creation(&client_id, &client_id, world.now());
            registration.identity = identity;
            let store = world.store.clone();
            async move { store.register(registration).await.expect("decides") }
        }))
        .await;
        assert_eq!(count(&outcomes, &RegisterOutcome::Done), 1, "round {round}");
        let winner = outcomes.iter().position(|outcome| *outcome == RegisterOutcome::Done);
        let known = world.store.installation(&identity).await.expect("reads");
        assert_eq!(known.expect("known").id, name("shop", round, winner.expect("a winner")));
    }
}

/// A merchant who presses twice, and a second page of the same request.
pub async fn approvals(world: World) {
    world.register("shop", "key").await;
    for round in 0..ROUNDS {
        let page = name("page", round, 0);
        world.show(&page, "shop", None).await;
        let outcomes = race((0..RACERS).map(|racer| {
            let mut approval = world.approval(&page, "shop", "acme", CURRENT);
            approval.code.hash = hash(&name("code", round, racer));
            approval.new_grant_id = name("grant", round, racer);
            let world = world.clone();
            async move { world.approve(approval).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &ApproveOutcome::AlreadyDecided), RACERS - 1);
        let mut codes = 0;
        for racer in 0..RACERS {
            let code = hash(&name("code", round, racer));
            let code = world.store.code(&code).await.expect("reads");
            codes += usize::from(code.is_some());
        }
        assert_eq!(codes, 1, "round {round}");
    }
}

/// Approve in one window and deny in another.
pub async fn decisions(world: World) {
    world.register("shop", "key").await;
    for round in 0..ROUNDS {
        let page = name("page", round, 0);
        world.show(&page, "shop", None).await;
        let decisions = race((0..RACERS).map(|racer| {
            let approval = world.approval(&page, "shop", "acme", CURRENT);
            let (world, page) = (world.clone(), hash(&page));
            async move {
                if racer % 2 == 0 {
                    matches!(world.approve(approval).await, ApproveOutcome::Approved { .. })
                } else {
                    world.store.deny(&page, None, world.now()).await.expect("decides")
                }
            }
        }))
        .await;
        assert_eq!(count(&decisions, &true), 1, "round {round}");
        let approved = decisions.iter().step_by(2).any(|taken| *taken);
        let code = world.store.code(&hash(&page)).await.expect("reads");
        assert_eq!(code.is_some(), approved);
    }
}

pub async fn own_grants_of_many(world: World) {
    for round in 0..ROUNDS {
        let client = name("app", round, 0);
        world.add_app(app(&client)).await;
        let grants = race((0..RACERS).map(|racer| {
            let (world, client) = (world.clone(), client.clone());
            async move {
                let id = name("grant", round, racer);
                let scope = scope();
                let own = world.store.own_grant(&client, "acme", &id, &scope, world.now());
                own.await.expect("finds or makes").id
            }
        }))
        .await;
        assert_eq!(count(&grants, &grants[0]), RACERS, "{grants:?}");
    }
}

pub async fn recoveries_of_many(world: World) {
    for round in 0..ROUNDS {
        let client = name("shop", round, 0);
        world.register(&client, "key").await;
        let lost = name("lost", round, 0);
        let grant = world.connected(&lost, &client, "acme", "key").await;
        let outcomes = race((0..RACERS).map(|racer| {
            let recovery = world.recovery(&name("new", round, racer), &client, &grant, 0);
            let store = world.store.clone();
            async move { store.recover(recovery).await.expect("decides") }
        }))
        .await;
        assert_eq!(count(&outcomes, &Written::Done), 1, "round {round}");
        let given = world.store.recoveries(&client, world.now() - PERIOD).await.expect("reads");
        assert_eq!(given.len(), 1);
        let winner = outcomes.iter().position(|outcome| *outcome == Written::Done);
        let winner = name("new", round, winner.expect("a winner"));
        assert!(world.is_good(&grant, &winner).await);
        assert!(!world.is_good(&grant, &lost).await);
    }
}

pub async fn resets_of_many(world: World) {
    world.register("shop", "key").await;
    for round in 0..ROUNDS {
        let reset = name("reset", round, 0);
        let bodies = race((0..RACERS).map(|racer| {
            let mut reset = world.reset("shop", &reset);
            reset.mutation_id = name("mutation", round, racer);
            let store = world.store.clone();
            async move { store.reset(reset).await.expect("resets") }
        }))
        .await;
        assert_eq!(count(&bodies, &bodies[0]), RACERS);
    }
}

/// Whatever the order of a refresh and a withdrawal, no token survives.
pub async fn ends_against_rotations(world: World) {
    for round in 0..ROUNDS {
        let client = name("shop", round, 0);
        world.register(&client, "key").await;
        let family = name("family", round, 0);
        let grant = world.connected(&family, &client, "acme", "key").await;
        race((0..RACERS).map(|racer| {
            let (world, family, grant) = (world.clone(), family.clone(), grant.clone());
            async move {
                if racer == RACERS / 2 {
                    world.end_grant(&grant, EndReason::Revoked).await;
                } else {
                    world.rotate(world.rotation(&family, 1, 2)).await;
                }
            }
        }))
        .await;
        assert!(!world.is_good(&grant, &family).await);
        let ended = world.store.family(&family_id(&family)).await.expect("reads");
        assert!(ended.expect("a family").revoked_at.is_some());
        let next = world.rotation(&family, 2, 3);
        assert_eq!(world.rotate(next).await, Written::Raced);
    }
}
