use super::world::{RACERS, ROUNDS, World, count, hash, race, user};
use crate::{
    audit::Actor,
    people::{
        provider::{Provided, Purpose},
        role::Role,
    },
    store::{
        Attempt, AuditQuery, Company, Identity, Invitation, Linked, Made, Noted, Session, Unlinked,
        User, Ways,
    },
};

const ISSUER: &str = "https://id.example";
const OTHER: &str = "https://other.example";

fn attempt(world: &World, state: &str) -> Attempt {
    Attempt {
        state: hash(state),
        visit: hash("browser"),
        provider: "staff".to_owned(),
        purpose: Purpose::SignIn,
        destination: Some("/account".to_owned()),
        started_at: world.now(),
        expires_at: world.now() + 600,
    }
}

fn identity(world: &World, issuer: &str, subject: &str, user_id: &str) -> Identity {
    Identity {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        user_id: user_id.to_owned(),
        email: format!("{user_id}@shop.example"),
        linked_at: world.now(),
        used_at: None,
    }
}

fn session(world: &World, name: &str, user_id: &str, provider: Option<&str>) -> Session {
    Session {
        hash: hash(name),
        user_id: user_id.to_owned(),
        expires_at: world.now() + 100,
        half: false,
        proved_at: None,
        browser: name.to_owned(),
        address: "192.0.2.1".to_owned(),
        provider: provider.map(str::to_owned),
        confirmed_at: None,
    }
}

async fn add(world: &World, id: &str, password: &str) {
    let user = User { password_hash: password.to_owned(), ..user(id) };
    assert!(world.store.add_user(user, world.now()).await.expect("adds"));
}

async fn link(world: &World, identity: Identity, provided: Provided) -> Linked {
    world.store.link(identity, provided).await.expect("decides")
}

async fn who(world: &World, issuer: &str, subject: &str) -> Option<String> {
    let found = world.store.identity(issuer, subject).await.expect("reads");
    found.map(|user| user.id)
}

async fn audited(world: &World) -> Vec<String> {
    let records = world.store.audit_after(&AuditQuery::default(), 0, 100).await.expect("reads");
    records.into_iter().map(|record| record.event).collect()
}

pub async fn attempts(world: World) {
    let (store, link) = (&world.store, Purpose::Link { session: hash("session") });
    let confirm = Purpose::Confirm { session: hash("session") };
    for (state, purpose) in [("one", Purpose::SignIn), ("two", link), ("three", confirm)] {
        let began = Attempt { purpose, ..attempt(&world, state) };
        assert!(store.start_attempt(began.clone()).await.expect("starts"));
        let take = async |state: &str, visit: &str, later: i64| {
            let now = world.now() + later;
            store.take_attempt(&hash(state), &hash(visit), now).await.expect("takes")
        };
        assert_eq!(take("none", "browser", 0).await, None);
        assert_eq!(take(state, "another browser", 0).await, None, "spends nothing");
        assert_eq!(take(state, "browser", 600).await, None, "too late");
        assert_eq!(take(state, "browser", 599).await, Some(began));
        assert_eq!(take(state, "browser", 0).await, None, "once");
    }
    let lapsed = Attempt { destination: None, ..attempt(&world, "lapsed") };
    assert!(store.start_attempt(lapsed).await.expect("starts"));
    store.sweep(world.now() + 600).await.expect("sweeps");
    let taken = store.take_attempt(&hash("lapsed"), &hash("browser"), world.now()).await;
    assert_eq!(taken.expect("takes"), None);
}

pub async fn attempts_of_many(world: World) {
    for round in 0..ROUNDS {
        let state = format!("state {round}");
        assert!(world.store.start_attempt(attempt(&world, &state)).await.expect("starts"));
        let outcomes = race((0..RACERS).map(|_| {
            let (world, state) = (world.clone(), hash(&state));
            async move {
                let taken = world.store.take_attempt(&state, &hash("browser"), world.now()).await;
                taken.expect("takes").is_some()
            }
        }))
        .await;
        assert_eq!(count(&outcomes, &true), 1, "round {round}");
    }
}

pub async fn links(world: World) {
    use Provided::{NoOtherLink, Nothing, NothingElse};
    add(&world, "bob", "").await;
    add(&world, "eve", "").await;
    let of = |issuer: &str, subject: &str, user: &str| identity(&world, issuer, subject, user);
    for (what, provided, expected) in [
        // Ann has a password.
        (of(ISSUER, "1", "ann"), NothingElse, Linked::Occupied),
        (of(ISSUER, "1", "ann"), NoOtherLink, Linked::Done),
        (of(ISSUER, "1", "ann"), Nothing, Linked::Done),
        (of(ISSUER, "1", "bob"), Nothing, Linked::Taken),
        (of(ISSUER, "2", "ann"), Nothing, Linked::Occupied),
        (of(OTHER, "1", "ann"), NoOtherLink, Linked::Occupied),
        (of(OTHER, "1", "ann"), Nothing, Linked::Done),
        (of(ISSUER, "3", "bob"), NothingElse, Linked::Done),
        (of(OTHER, "3", "bob"), NothingElse, Linked::Occupied),
        (of(ISSUER, "4", "nobody"), Nothing, Linked::Gone),
    ] {
        assert_eq!(link(&world, what.clone(), provided).await, expected, "{what:?} {provided:?}");
    }
    assert_eq!(who(&world, ISSUER, "1").await.as_deref(), Some("ann"));
    assert_eq!(who(&world, ISSUER, "2").await, None);
    let found = world.store.identities("ann").await.expect("reads");
    assert_eq!(found, [of(ISSUER, "1", "ann"), of(OTHER, "1", "ann")]);
    assert_eq!(world.store.identities("eve").await.expect("reads"), []);
    let linked = audited(&world).await;
    assert_eq!(linked.iter().filter(|event| *event == "provider_linked").count(), 3);
}

pub async fn links_of_many(world: World) {
    for racer in 0..RACERS {
        add(&world, &format!("user {racer}"), "").await;
    }
    for round in 0..ROUNDS / 5 {
        let (issuer, subject) = (format!("{ISSUER}/{round}"), format!("subject {round}"));
        let outcomes = race((0..RACERS).map(|racer| {
            let world = world.clone();
            let identity = identity(&world, &issuer, &subject, &format!("user {racer}"));
            async move { link(&world, identity, Provided::Nothing).await }
        }))
        .await;
        assert_eq!(count(&outcomes, &Linked::Done), 1, "round {round}");
        assert_eq!(count(&outcomes, &Linked::Taken), RACERS - 1);
        let winner = outcomes.iter().position(|outcome| *outcome == Linked::Done);
        let winner = format!("user {}", winner.expect("a winner"));
        assert_eq!(who(&world, &issuer, &subject).await, Some(winner));
    }
}

pub async fn people_who_are_made(world: World) {
    let (store, now) = (&world.store, world.now());
    let make = async |id: &str, subject: &str, invited: bool| {
        let user = User { password_hash: String::new(), ..user(id) };
        let identity = identity(&world, ISSUER, subject, id);
        store.make_person(user, identity, invited).await.expect("decides")
    };
    assert_eq!(make("ann", "1", false).await, Made::Taken, "the address is");
    assert_eq!(make("bob", "1", true).await, Made::NotInvited);
    assert_eq!(make("bob", "1", false).await, Made::Done);
    assert_eq!(make("cem", "1", false).await, Made::Taken, "the subject is");
    assert_eq!(who(&world, ISSUER, "1").await.as_deref(), Some("bob"));
    assert_eq!(store.user("cem").await.expect("reads"), None);
    store.add_membership("ann", "acme", Role::Owner).await.expect("adds");
    let invitation = Invitation {
        id: "invitation".to_owned(),
        hash: hash("invitation"),
        company: Company { id: "acme".to_owned(), name: "acme inc.".to_owned() },
        email: user("cem").email,
        role: Role::Support,
        created_at: now,
        expires_at: now + 60,
    };
    let email = invitation.email.clone();
    store.invite(invitation, &Actor::User("ann".to_owned())).await.expect("invites");
    for (email, later, invited) in
        [(email.as_str(), 59, true), (&email, 60, false), ("x@y.z", 0, false)]
    {
        assert_eq!(store.is_invited(email, now + later).await.expect("reads"), invited);
    }
    assert_eq!(make("cem", "2", true).await, Made::Done);
    assert!(audited(&world).await.iter().any(|event| event == "person_made_by_provider"));
}

pub async fn sessions_through_providers(world: World) {
    let (store, now) = (&world.store, world.now());
    assert_eq!(
        link(&world, identity(&world, ISSUER, "1", "ann"), Provided::Nothing).await,
        Linked::Done
    );
    store.start_session(session(&world, "before", "ann", None), now).await.expect("starts");
    let through = |name: &str| session(&world, name, "ann", Some("staff"));
    let sign_in = async |subject: &str, session: Session, before: Option<[u8; 32]>| {
        store.sign_in_through((ISSUER, subject), session, before, now).await.expect("decides")
    };
    assert!(!sign_in("2", through("none"), None).await, "nobody's");
    let others = Session { user_id: "bob".to_owned(), ..through("none") };
    assert!(!sign_in("1", others, None).await, "somebody else's");
    assert!(sign_in("1", through("one"), Some(hash("before"))).await);
    assert!(sign_in("1", through("two"), None).await);
    assert_eq!(store.session(&hash("before"), now).await.expect("reads"), None);
    assert_eq!(store.session(&hash("one"), now).await.expect("reads"), Some(through("one")));
    let found = store.identities("ann").await.expect("reads");
    assert_eq!(found[0].used_at, Some(now));

    let confirm = async |name: &str, becomes: &str, second_factor, at| {
        let (name, becomes) = (hash(name), hash(becomes));
        store.confirm_session(&name, &becomes, second_factor, at).await.expect("decides")
    };
    let find = async |name: &str| store.session(&hash(name), now).await.expect("reads");
    assert!(confirm("one", "once", false, now + 1).await);
    let confirmed_at = Some(now + 1);
    let becomes = Session { hash: hash("once"), confirmed_at, ..through("one") };
    assert_eq!((find("one").await, find("once").await), (None, Some(becomes.clone())));
    assert!(!confirm("one", "never", true, now + 2).await, "its name is gone");
    assert!(confirm("once", "twice", true, now + 2).await);
    let twice = Some(now + 2);
    let becomes = Session { hash: hash("twice"), confirmed_at: twice, proved_at: twice, ..becomes };
    assert_eq!(find("twice").await, Some(becomes));
    let noted = Noted::Refused("domain_not_allowed");
    store.note_provider(&Actor::System, noted, "staff", now).await.expect("notes");
    let actor = Actor::User("ann".to_owned());
    store.note_provider(&actor, Noted::SignedIn, "staff", now).await.expect("notes");
    let events = audited(&world).await;
    assert!(events.iter().any(|event| event == "provider_refused"), "{events:?}");
    assert!(events.iter().any(|event| event == "signed_in_through"), "{events:?}");
}

pub async fn unlinked(world: World) {
    let (store, now) = (&world.store, world.now());
    add(&world, "bob", "").await;
    for (issuer, user) in [(ISSUER, "ann"), (OTHER, "ann"), (ISSUER, "bob"), (OTHER, "bob")] {
        let identity = identity(&world, issuer, user, user);
        assert_eq!(link(&world, identity, Provided::Nothing).await, Linked::Done);
    }
    for (name, provider) in [("kept", Some("staff")), ("one", Some("staff")), ("two", None)] {
        store.start_session(session(&world, name, "ann", provider), now).await.expect("starts");
    }
    let unlink = async |user: &str, issuer: &str, passwords: bool, issuers: &[&str]| {
        let issuers = issuers.iter().map(|issuer| (*issuer).to_owned()).collect();
        let ways = Ways { passwords, issuers };
        store.unlink(user, (issuer, "staff"), ways, hash("kept"), now).await.expect("decides")
    };
    assert_eq!(unlink("ann", ISSUER, true, &[ISSUER]).await, Unlinked::Done, "a password is left");
    assert_eq!(unlink("ann", ISSUER, true, &[ISSUER]).await, Unlinked::Gone);
    assert_eq!(unlink("ann", OTHER, false, &[ISSUER, OTHER]).await, Unlinked::LastWay);
    let left = store.sessions("ann", now).await.expect("reads");
    let mut left: Vec<_> = left.into_iter().map(|entry| entry.browser).collect();
    left.sort();
    assert_eq!(left, ["kept", "two"]);
    assert_eq!(unlink("bob", ISSUER, true, &[ISSUER]).await, Unlinked::LastWay, "not configured");
    assert_eq!(unlink("bob", ISSUER, true, &[ISSUER, OTHER]).await, Unlinked::Done);
    assert_eq!(unlink("bob", OTHER, true, &[ISSUER, OTHER]).await, Unlinked::LastWay);
    assert_eq!(unlink("bob", "https://none.example", true, &[OTHER]).await, Unlinked::Gone);
    assert_eq!(audited(&world).await.iter().filter(|it| *it == "provider_unlinked").count(), 2);
}
