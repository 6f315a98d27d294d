use super::world::{RACERS, ROUNDS, World, hash, race, user};
use crate::{
    audit::Actor,
    people::second_factor::{FactorOutcome, SecondFactor},
    store::{FactorUse, PasswordChange, Session},
};

fn session(world: &World, name: &str) -> Session {
    Session {
        hash: hash(name),
        user_id: "ann".to_owned(),
        expires_at: world.now() + 100,
        half: false,
        proved_at: None,
        browser: name.to_owned(),
        address: "192.0.2.1".to_owned(),
        provider: None,
        confirmed_at: None,
    }
}

async fn signed_in(world: &World, names: &[&str]) {
    for name in names {
        let session = session(world, name);
        world.store.start_session(session, world.now()).await.expect("starts");
    }
}

async fn browsers(world: &World) -> Vec<String> {
    let found = world.store.sessions("ann", world.now()).await.expect("reads");
    let mut browsers: Vec<_> = found.into_iter().map(|session| session.browser).collect();
    browsers.sort();
    browsers
}

pub async fn sessions_of_a_person(world: World) {
    signed_in(&world, &["one", "two", "three"]).await;
    let half = Session { half: true, ..session(&world, "half") };
    world.store.start_session(half.clone(), world.now()).await.expect("starts");
    assert_eq!(browsers(&world).await, ["one", "three", "two"], "a half one is none");
    assert_eq!(world.store.session(&hash("half"), world.now()).await.expect("reads"), None);
    let found = world.store.half_session(&hash("half"), world.now()).await.expect("reads");
    assert_eq!(found, Some(half));
    assert_eq!(world.store.half_session(&hash("one"), world.now()).await.expect("reads"), None);

    let end = async |user: &str, only: Option<&str>, keep: Option<&str>| {
        let (only, keep) = (only.map(hash), keep.map(hash));
        world.store.end_sessions(user, only, keep, world.now()).await.expect("ends")
    };
    assert_eq!(end("eve", Some("one"), None).await, 0, "another person's");
    assert_eq!(end("ann", Some("one"), None).await, 1);
    assert_eq!(end("ann", Some("one"), None).await, 0);
    assert_eq!(end("ann", None, Some("two")).await, 2);
    assert_eq!(browsers(&world).await, ["two"]);
    let now = world.now();
    let prove = async |name: &str, becomes: &str, now| {
        world.store.prove_session(&hash(name), &hash(becomes), now).await.expect("decides")
    };
    for (name, at) in [("unknown", now), ("half", now), ("one", now), ("two", now + 10_000)] {
        assert!(!prove(name, "another", at).await, "{name} is no session");
    }
    assert!(prove("two", "renamed", now).await);
    assert!(!prove("two", "another", now).await, "its name is gone");
    assert_eq!(world.store.session(&hash("two"), now).await.expect("reads"), None);
    let found = world.store.session(&hash("renamed"), now).await.expect("reads");
    let becomes = Session { hash: hash("renamed"), proved_at: Some(now), ..session(&world, "two") };
    assert_eq!(found, Some(becomes));
    assert_eq!(end("ann", None, None).await, 1);
}

pub async fn passwords(world: World) {
    signed_in(&world, &["one", "two"]).await;
    let (store, now) = (&world.store, world.now());
    store.start_reset("ann", hash("link"), now, now + 60).await.expect("starts");
    let change = |was: &str, becomes: &str, name: &str| PasswordChange {
        user_id: "ann".to_owned(),
        was: was.to_owned(),
        becomes: becomes.to_owned(),
        session: session(&world, name),
        now,
    };
    let was = user("ann").password_hash;
    assert!(!store.change_password(change("other", "new", "late")).await.expect("refuses"));
    assert_eq!(browsers(&world).await, ["one", "two"]);
    assert!(store.change_password(change(&was, "new", "renewed")).await.expect("changes"));
    assert_eq!(browsers(&world).await, ["renewed"]);
    assert_eq!(store.user("ann").await.expect("reads").expect("ann").password_hash, "new");
    assert!(!store.change_password(change(&was, "again", "late")).await.expect("refuses"));
    assert_eq!(store.reset_of(&hash("link"), now).await.expect("reads"), None, "ends with it");
}

pub async fn resets(world: World) {
    signed_in(&world, &["one"]).await;
    let (store, now) = (&world.store, world.now());
    for link in ["older", "newer"] {
        store.start_reset("ann", hash(link), now, now + 60).await.expect("starts");
    }
    let of = async |link: &str, at| store.reset_of(&hash(link), at).await.expect("reads");
    assert_eq!(of("older", now).await, None, "only the newest works");
    assert_eq!(of("newer", now + 59).await, Some(user("ann")));
    assert_eq!(of("newer", now + 60).await, None);
    let finish = async |link: &str, at| {
        store.finish_reset(&hash(link), "new".to_owned(), at).await.expect("decides").is_some()
    };
    assert!(!finish("older", now).await);
    assert!(!finish("newer", now + 60).await);
    assert_eq!(browsers(&world).await, ["one"]);
    assert!(finish("newer", now + 59).await);
    assert!(!finish("newer", now + 59).await, "once");
    assert_eq!(browsers(&world).await, <[&str; 0]>::default());
    assert_eq!(store.user("ann").await.expect("reads").expect("ann").password_hash, "new");
}

/// A factor that was begun with this secret.
async fn begun(world: &World, secret: &str) -> SecondFactor {
    let sealed = secret.as_bytes().to_vec();
    assert!(world.store.begin_second_factor("ann", sealed).await.expect("begins"));
    factor(world).await.expect("a factor")
}

async fn factor(world: &World) -> Option<SecondFactor> {
    world.store.second_factor("ann").await.expect("reads")
}

fn used(world: &World, seen: &SecondFactor, becomes: FactorOutcome) -> FactorUse {
    FactorUse { user_id: "ann".to_owned(), seen: seen.clone(), becomes, now: world.now() }
}

pub async fn second_factors(world: World) {
    signed_in(&world, &["this", "other"]).await;
    let store = &world.store;
    assert_eq!(factor(&world).await, None);
    let first = begun(&world, "first").await;
    let seen = begun(&world, "second").await;
    let confirm = async |seen: &SecondFactor, becomes| {
        let codes = vec![hash("spare"), hash("other spare")];
        let confirmed = used(&world, seen, becomes);
        store.confirm_second_factor(confirmed, codes, hash("this")).await.expect("decides")
    };
    assert!(!confirm(&first, FactorOutcome::Step(7)).await, "it was begun anew");
    let locked_until = world.now() + 900;
    assert!(confirm(&seen, FactorOutcome::Wrong { failures: 1, locked_until }).await);
    let seen = factor(&world).await.expect("a factor");
    assert_eq!((seen.failures, seen.locked_until, seen.confirmed_at), (1, locked_until, None));
    assert_eq!(browsers(&world).await, ["other", "this"]);
    assert!(confirm(&seen, FactorOutcome::Step(7)).await);
    assert_eq!(browsers(&world).await, ["this"]);
    let seen = factor(&world).await.expect("a factor");
    assert_eq!((seen.last_step, seen.failures), (7, 0));
    assert_eq!((seen.confirmed_at, seen.recovery_codes.len()), (Some(world.now()), 2));
    assert!(!confirm(&seen, FactorOutcome::Step(8)).await, "it is in use");
    assert!(!store.begin_second_factor("ann", b"third".to_vec()).await.expect("refuses"));

    let recovery = used(&world, &seen, FactorOutcome::Recovery(hash("spare")));
    assert!(store.use_factor(recovery.clone()).await.expect("uses"));
    assert!(!store.use_factor(recovery).await.expect("refuses"), "once");
    assert_eq!(factor(&world).await.expect("a factor").recovery_codes, [hash("other spare")]);
    let off = async || {
        let actor = Actor::User("ann".to_owned());
        store.remove_second_factor("ann", &actor, world.now()).await.expect("decides")
    };
    assert!(off().await);
    assert!(!off().await);
    assert_eq!(factor(&world).await, None);
}

/// The same code, typed in many browsers at once, is used once.
pub async fn codes_of_many(world: World) {
    begun(&world, "secret").await;
    for round in 1..=i64::try_from(ROUNDS).expect("few") {
        let seen = factor(&world).await.expect("a factor");
        let attempts = race((0..RACERS).map(|_| {
            let step = used(&world, &seen, FactorOutcome::Step(round));
            let world = world.clone();
            async move { world.store.use_factor(step).await.expect("decides") }
        }))
        .await;
        assert_eq!(attempts.into_iter().filter(|won| *won).count(), 1);
    }
}
