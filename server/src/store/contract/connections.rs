//! Connections as a company sees them.

use counterfoil_protocol::UnixTime;

use super::world::World;

/// A store, approved and connected; answers its grant.
async fn connected(world: &World) -> String {
    world.register("shop", "key").await;
    world.connected("family", "shop", "acme", "key").await
}

pub async fn last_accesses(world: World) {
    let grant = connected(&world).await;
    let noted = async |at: i64| {
        let uses = vec![("unknown".to_owned(), UnixTime(at)), (grant.clone(), UnixTime(at))];
        world.store.note_access(uses).await.expect("notes");
        world.store.last_access(&grant).await.expect("reads")
    };
    assert_eq!(world.store.last_access(&grant).await.expect("reads"), None);
    for (at, newest) in [(5, 5), (9, 9), (7, 9)] {
        assert_eq!(noted(at).await, Some(UnixTime(newest)));
    }
    assert_eq!(world.store.last_access("unknown").await.expect("reads"), None);
    world.store.note_access(Vec::new()).await.expect("notes nothing");
}
