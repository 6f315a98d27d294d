use super::world::{World, hash, user};
use crate::store::{Company, Membership, Role, Session, User};

pub async fn companies(world: World) {
    let store = &world.store;
    let core = Company { id: "core".to_owned(), name: "Core Ltd".to_owned() };
    assert!(store.add_company(core.clone(), world.now()).await.expect("adds"));
    let namesake = Company { id: "other".to_owned(), ..core.clone() };
    assert!(!store.add_company(namesake, world.now()).await.expect("refuses"));
    for name in ["core", "Core Ltd"] {
        assert_eq!(store.company(name).await.expect("reads"), Some(core.clone()));
    }
    for name in ["other", "core ltd", ""] {
        assert_eq!(store.company(name).await.expect("reads"), None);
    }
}

pub async fn people(world: World) {
    let store = &world.store;
    let namesake = User { id: "eve".to_owned(), ..user("ann") };
    assert!(!store.add_user(namesake, world.now()).await.expect("refuses"));
    assert_eq!(store.user("eve").await.expect("reads"), None);
    assert_eq!(store.user("ann").await.expect("reads"), Some(user("ann")));
    let found = store.user_by_email("ann@example.com").await.expect("reads");
    assert_eq!(found, Some(user("ann")));
    assert_eq!(store.user_by_email("eve@example.com").await.expect("reads"), None);

    assert_eq!(store.memberships("ann").await.expect("reads"), []);
    for (company, role) in [("bolt", Role::Admin), ("acme", Role::Admin), ("acme", Role::Member)] {
        store.add_membership("ann", company, role).await.expect("adds");
    }
    let place = |id: &str, role| Membership {
        company: Company { id: id.to_owned(), name: format!("{id} inc.") },
        role,
    };
    let places = store.memberships("ann").await.expect("reads");
    assert_eq!(places, [place("acme", Role::Member), place("bolt", Role::Admin)]);
    assert!(store.add_membership("ann", "nowhere", Role::Member).await.is_err());
    assert!(store.add_membership("nobody", "acme", Role::Member).await.is_err());
}

pub async fn sessions(world: World) {
    let store = &world.store;
    let shut_out = User { disabled_at: Some(world.now()), ..user("eve") };
    assert!(store.add_user(shut_out, world.now()).await.expect("adds"));
    let session = |name: &str, user: &str| Session {
        hash: hash(name),
        user_id: user.to_owned(),
        expires_at: world.now() + 100,
    };
    let anns = session("hers", "ann");
    store.start_session(anns.clone(), world.now()).await.expect("starts");
    store.start_session(session("shut out", "eve"), world.now()).await.expect("starts");

    let world_start = world.now();
    let find = |name: &'static str, after| async move {
        store.session(&hash(name), world_start + after).await.expect("reads")
    };
    assert_eq!(find("hers", 99).await, Some(anns));
    assert_eq!(find("hers", 100).await, None);
    assert_eq!(find("shut out", 0).await, None);
    assert_eq!(find("nobody's", 0).await, None);
    store.end_session(&hash("hers")).await.expect("ends");
    assert_eq!(find("hers", 0).await, None);
}
