use super::world::{RACERS, ROUNDS, World, hash, race, user};
use crate::{
    audit::Actor,
    people::role::Role,
    store::{Company, Invitation, Invited, Joined, Joiner, RoleChange, RoleChanged, User},
};

fn by(user: &str) -> Actor {
    Actor::User(user.to_owned())
}

fn acme() -> Company {
    Company { id: "acme".to_owned(), name: "acme inc.".to_owned() }
}

/// People of these names, with these roles in `acme`.
async fn staffed(world: &World, people: &[(&str, Role)]) {
    for (name, role) in people {
        if *name != "ann" {
            assert!(world.store.add_user(user(name), world.now()).await.expect("adds"));
        }
        world.store.add_membership(name, "acme", *role).await.expect("adds");
    }
}

async fn change(world: &World, name: &str, role: Option<Role>, actor: Actor) -> RoleChanged {
    let change = RoleChange {
        company_id: "acme".to_owned(),
        user_id: name.to_owned(),
        role,
        actor,
        now: world.now(),
    };
    world.store.change_role(change).await.expect("decides")
}

async fn roles(world: &World) -> Vec<(String, Role)> {
    let people = world.store.people("acme").await.expect("reads");
    people.into_iter().map(|person| (person.user_id, person.role)).collect()
}

pub async fn roles_change(world: World) {
    use RoleChanged::{Done, Gone, LastOwner, NotAllowed};
    let (owner, admin, developer) = (Role::Owner, Role::Admin, Role::Developer);
    staffed(&world, &[("ann", owner), ("bob", admin), ("cem", developer), ("dan", admin)]).await;
    assert!(world.store.add_user(user("eve"), world.now()).await.expect("adds"));
    world.store.add_membership("eve", "bolt", owner).await.expect("adds");
    for (name, role, actor, expected) in [
        // An admin neither makes nor touches owners; others touch nobody.
        ("bob", Some(owner), by("bob"), NotAllowed),
        ("cem", Some(owner), by("bob"), NotAllowed),
        ("ann", Some(admin), by("bob"), NotAllowed),
        ("ann", None, by("bob"), NotAllowed),
        ("cem", Some(admin), by("cem"), NotAllowed),
        ("bob", None, by("cem"), NotAllowed),
        ("bob", Some(developer), by("eve"), NotAllowed),
        ("bob", None, Actor::Client("x".to_owned()), NotAllowed),
        // The last owner stays.
        ("ann", Some(admin), by("ann"), LastOwner),
        ("ann", None, by("ann"), LastOwner),
        ("ann", None, Actor::Operator("root".to_owned()), LastOwner),
        ("eve", Some(admin), by("ann"), Gone),
        ("nobody", None, by("ann"), Gone),
        // What is allowed.
        ("dan", Some(developer), by("bob"), Done),
        ("cem", None, by("cem"), Done),
        ("bob", Some(owner), by("ann"), Done),
        ("ann", Some(admin), by("bob"), Done),
        ("dan", None, by("ann"), Done),
        ("bob", Some(admin), by("ann"), NotAllowed),
    ] {
        assert_eq!(change(&world, name, role, actor).await, expected, "{name} {role:?}");
    }
    assert_eq!(roles(&world).await, [("ann".to_owned(), admin), ("bob".to_owned(), owner)]);
}

/// Owners who all leave at the same moment: one stays.
pub async fn owners_of_many(world: World) {
    let mut before = Vec::new();
    for round in 0..ROUNDS {
        let names: Vec<_> = (0..RACERS).map(|n| format!("owner {round} {n}")).collect();
        for name in &names {
            assert!(world.store.add_user(user(name), world.now()).await.expect("adds"));
            world.store.add_membership(name, "acme", Role::Owner).await.expect("adds");
        }
        for name in before.drain(..) {
            let name: String = name;
            assert_eq!(change(&world, &name, None, Actor::System).await, RoleChanged::Done);
        }
        let outcomes = race(names.iter().map(|name| {
            let (world, name) = (world.clone(), name.clone());
            async move { change(&world, &name, None, by(&name)).await }
        }))
        .await;
        let left = outcomes.iter().filter(|outcome| **outcome == RoleChanged::LastOwner);
        assert_eq!(left.count(), 1, "{outcomes:?}");
        let owners = roles(&world).await.into_iter().filter(|(_, role)| *role == Role::Owner);
        before.extend(owners.map(|(name, _)| name));
        assert_eq!(before.len(), 1);
    }
}

fn invitation(world: &World, token: &str, email: &str, role: Role) -> Invitation {
    Invitation {
        id: format!("id of {token}"),
        hash: hash(token),
        company: acme(),
        email: email.to_owned(),
        role,
        created_at: world.now(),
        expires_at: world.now() + 100,
    }
}

async fn invite(world: &World, token: &str, email: &str, role: Role, actor: Actor) -> Invited {
    let invitation = invitation(world, token, email, role);
    world.store.invite(invitation, &actor).await.expect("decides")
}

fn new_user(name: &str) -> Joiner {
    Joiner::New(User { disabled_at: None, ..user(name) })
}

async fn join(world: &World, token: &str, joiner: Joiner, after: i64) -> Joined {
    world.store.join(&hash(token), joiner, world.now() + after).await.expect("decides")
}

pub async fn invitations(world: World) {
    staffed(&world, &[("ann", Role::Owner), ("bob", Role::Admin), ("sue", Role::Support)]).await;
    let (owner, developer) = (Role::Owner, Role::Developer);
    let email = "new@example.com";
    for (role, actor, expected) in [
        (developer, by("sue"), Invited::NotAllowed),
        (developer, by("eve"), Invited::NotAllowed),
        (owner, by("bob"), Invited::NotAllowed),
        (developer, by("bob"), Invited::Done),
    ] {
        assert_eq!(invite(&world, "first", email, role, actor).await, expected, "{role:?}");
    }
    assert_eq!(invite(&world, "x", "sue@example.com", developer, by("ann")).await, Invited::Member);
    assert_eq!(invite(&world, "second", email, owner, by("ann")).await, Invited::Done);
    let overwritten = invite(&world, "third", email, developer, by("bob")).await;
    assert_eq!(overwritten, Invited::NotAllowed, "an owner's invitation is an owner's to change");
    let find = async |token: &str, after: i64| {
        world.store.invitation(&hash(token), world.now() + after).await.expect("reads")
    };
    assert_eq!(find("first", 0).await, None, "written over");
    assert_eq!(find("second", 99).await, Some(invitation(&world, "second", email, owner)));
    assert_eq!(find("second", 100).await, None);
    let listed = world.store.invitations("acme", world.now()).await.expect("reads");
    assert_eq!(listed, [invitation(&world, "second", email, owner)]);
    let withdraw = async |company: &str, actor: Actor| {
        let id = "id of second";
        let withdrawn = world.store.withdraw_invitation(company, id, &actor, world.now());
        withdrawn.await.expect("decides")
    };
    assert!(!withdraw("acme", by("bob")).await);
    assert!(!withdraw("bolt", by("ann")).await);
    assert!(withdraw("acme", by("ann")).await);
    assert!(!withdraw("acme", by("ann")).await);
    assert_eq!(join(&world, "second", new_user("new"), 0).await, Joined::Gone);
    for n in 0..100 {
        let email = format!("{n}@example.com");
        let invited = invite(&world, &email, &email, developer, by("ann")).await;
        assert_eq!(invited, Invited::Done);
    }
    assert_eq!(invite(&world, "x", email, developer, by("ann")).await, Invited::TooMany);
}

pub async fn joining(world: World) {
    staffed(&world, &[("ann", Role::Owner), ("bob", Role::Admin)]).await;
    for name in ["new", "known", "late", "bobs"] {
        let email = format!("{name}@example.com");
        invite(&world, name, &email, Role::Developer, by("ann")).await;
    }
    assert!(world.store.add_user(user("known"), world.now()).await.expect("adds"));
    let known = |id: &str| Joiner::Known { user_id: id.to_owned() };
    assert_eq!(join(&world, "new", new_user("eve"), 0).await, Joined::NotTheirs);
    assert_eq!(join(&world, "new", known("known"), 0).await, Joined::NotTheirs);
    assert_eq!(join(&world, "known", new_user("known"), 0).await, Joined::NotTheirs);
    assert_eq!(join(&world, "late", new_user("late"), 100).await, Joined::Gone);
    let done = Joined::Done(acme(), Role::Developer);
    assert_eq!(join(&world, "new", new_user("new"), 99).await, done);
    assert_eq!(join(&world, "new", new_user("new"), 0).await, Joined::Gone, "once");
    assert_eq!(join(&world, "known", known("known"), 0).await, done);
    let places = world.store.memberships("new").await.expect("reads");
    assert_eq!(places.len(), 1);

    // Nobody loses a better place by an invitation to a lesser one.
    assert!(world.store.add_user(user("bobs"), world.now()).await.expect("adds"));
    world.store.add_membership("bobs", "acme", Role::Admin).await.expect("adds");
    assert_eq!(join(&world, "bobs", known("bobs"), 0).await, done);
    let place = world.store.memberships("bobs").await.expect("reads");
    assert_eq!(place.first().map(|place| place.role), Some(Role::Admin));
    world.store.close_company("acme", &Actor::System, world.now()).await.expect("closes");
    assert_eq!(join(&world, "late", new_user("late"), 0).await, Joined::Gone);
}

pub async fn joins_of_many(world: World) {
    staffed(&world, &[("ann", Role::Owner)]).await;
    for round in 0..ROUNDS {
        let name = format!("new{round}");
        let email = format!("{name}@example.com");
        invite(&world, &name, &email, Role::Developer, by("ann")).await;
        let outcomes = race((0..RACERS).map(|_| {
            let (world, name) = (world.clone(), name.clone());
            async move { join(&world, &name, new_user(&name), 0).await }
        }))
        .await;
        let won = |outcome: &&Joined| matches!(outcome, Joined::Done(..));
        assert_eq!(outcomes.iter().filter(won).count(), 1, "{outcomes:?}");
    }
}

pub async fn codes_for_approvals(world: World) {
    staffed(&world, &[("ann", Role::Owner), ("cem", Role::Developer)]).await;
    let needed = async || world.store.approval_needs_code("acme").await.expect("reads");
    let set = async |needed, actor: Actor| {
        let set = world.store.set_approval_needs_code("acme", needed, &actor, world.now());
        set.await.expect("decides")
    };
    assert!(!needed().await);
    assert!(!set(true, by("cem")).await);
    assert!(!needed().await);
    assert!(set(true, by("ann")).await);
    assert!(needed().await);
    assert!(set(false, by("ann")).await);
    assert!(!needed().await);
}
