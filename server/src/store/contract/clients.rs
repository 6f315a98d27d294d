use counterfoil_protocol::callback::RedirectUri;

use super::world::{World, address, app, change, creation, family_id, hash, key, scope, staging};
use crate::{
    audit::{Actor, AuditRecord},
    oauth::{
        client::{About, App, Client, ClientKind},
        grant::EndReason,
        installation::{Change, Installation, Slot, Staged, UNAPPROVED_LIFETIME},
    },
    store::{
        AccessStanding, AuditQuery, Part,
        RegisterOutcome::{Done, Raced},
        Reset, Written,
    },
};

/// Everything, in one part.
const ALL: Part<'_> = Part { after: "", limit: 100 };

pub async fn apps(world: World) {
    let callbacks = ["https://app.example/callback?a=b", "http://127.0.0.1/callback"];
    let details = App {
        company_id: "acme".to_owned(),
        redirect_uris: callbacks.map(|uri| RedirectUri::parse(uri).expect("a callback")).to_vec(),
        resource_server: true,
        about: About {
            support: Some("help@app.example".to_owned()),
            privacy_url: Some("https://app.example/privacy".to_owned()),
            terms_url: Some("https://app.example/terms".to_owned()),
            icon: None,
        },
        version: 1,
        ..App::default()
    };
    let public =
        Client { kind: ClientKind::App(details), require_nonce: true, ..app("mco_app_public") };
    for app in [public, app("mco_app_confidential")] {
        world.add_app(app.clone()).await;
        assert_eq!(world.client(&app.id).await, Some(app));
    }
    assert_eq!(world.client("mco_app_unknown").await, None);
    assert_eq!(world.store.installations(ALL, world.now()).await.expect("reads"), []);
}

pub async fn installations(world: World) {
    world.register("shop", "key").await;
    let client = world.client("shop").await.expect("a client");
    let installation = Installation {
        platform: "wordpress".to_owned(),
        site_url: address("shop").site_url,
        redirect_uri: address("shop").redirect_uri,
        plugin_version: "1.0.0".to_owned(),
        platform_version: Some("6.9".to_owned()),
        key: Some(key("key")),
        staged: None,
        registered_at: world.now(),
        approved_at: None,
    };
    let expected = Client {
        id: "shop".to_owned(),
        name: "Shop".to_owned(),
        kind: ClientKind::Native(installation.clone()),
        scopes: scope(),
        require_nonce: false,
        created_at: world.now(),
    };
    assert_eq!(client, expected);
    let by_identity = world.store.installation(&hash("shop")).await.expect("reads");
    assert_eq!(by_identity, Some(expected.clone()));
    assert_eq!(world.store.installation(&hash("other")).await.expect("reads"), None);
    assert_eq!(world.store.installations(ALL, world.now()).await.expect("reads"), [expected]);

    let mut newer = change("shop", Some("key"), Change::Refresh, world.now());
    newer.installation.plugin_version = "1.1.0".to_owned();
    newer.installation.platform_version = None;
    newer.installation.name = "Shop 2".to_owned();
    newer.installation.scopes = "company:read".to_owned();
    newer.installation.require_nonce = true;
    assert_eq!(world.store.register(newer).await.expect("registers"), Done);
    let client = world.client("shop").await.expect("a client");
    assert_eq!(
        (client.name.as_str(), client.scopes.to_string().as_str(), client.require_nonce),
        ("Shop 2", "company:read", true)
    );
    let newer =
        Installation { plugin_version: "1.1.0".to_owned(), platform_version: None, ..installation };
    assert_eq!(client.installation(), Some(&newer));
}

pub async fn staged_keys(world: World) {
    world.register("shop", "key").await;
    let staged = |name, moved_to| Some(Staged { key: key(name), moved_to, at: world.now() });
    for (name, moved_to) in
        [("first", None), ("second", Some(address("elsewhere"))), ("third", None)]
    {
        world.change("shop", Some("key"), staging(name, moved_to.clone(), world.now())).await;
        let installation = world.installation("shop").await;
        assert_eq!(installation.staged, staged(name, moved_to));
        assert_eq!(installation.key, Some(key("key")));
        assert_eq!(installation.site_url, address("shop").site_url);
    }
    world.change("shop", Some("key"), Change::Refresh).await;
    assert_eq!(world.installation("shop").await.staged, staged("third", None));
}

pub async fn rekeyed_after_a_reset(world: World) {
    world.register("shop", "key").await;
    world.store.reset(world.reset("shop", "reset")).await.expect("resets");
    let mut rekey = change("shop", None, Change::Rekey, world.now());
    rekey.installation.key = key("new");
    assert_eq!(world.store.register(rekey.clone()).await.expect("registers"), Done);
    assert_eq!(world.installation("shop").await.key, Some(key("new")));
    rekey.installation.key = key("late");
    assert_eq!(world.store.register(rekey.clone()).await.expect("registers"), Raced);
    assert_eq!(world.installation("shop").await.key, Some(key("new")));

    // That it came with a new key is noted where it did: the key before is the one of the last reset.
    let trail = async || {
        let query = AuditQuery::client("shop");
        let records = world.store.audit_after(&query, 0, 100).await.expect("reads");
        records.into_iter().map(|record| record.event).collect::<Vec<_>>()
    };
    assert_eq!(trail().await, ["reset", "new_key_after_reset"]);
    for (name, had, comes, noted) in [
        ("second", "new", "new", false),
        ("third", "new", "key", true),
        ("fourth", "key", "key", false),
    ] {
        let before = trail().await.len();
        let reset = Reset { key: key(had), ..world.reset("shop", name) };
        world.store.reset(reset).await.expect("resets");
        rekey.installation.key = key(comes);
        assert_eq!(world.store.register(rekey.clone()).await.expect("registers"), Done);
        assert_eq!(world.installation("shop").await.key, Some(key(comes)));
        let expected: &[&str] = if noted { &["reset", "new_key_after_reset"] } else { &["reset"] };
        assert_eq!(trail().await[before..], *expected, "{name}");
    }
}

pub async fn overtaken_registrations(world: World) {
    world.register("shop", "key").await;
    let before = world.client("shop").await;
    for overtaken in [
        creation("shop", "other", world.now()),
        change("shop", Some("other"), Change::Refresh, world.now()),
        change("shop", Some("other"), staging("new", None, world.now()), world.now()),
        change("shop", None, Change::Rekey, world.now()),
        change("gone", Some("key"), Change::Refresh, world.now()),
    ] {
        assert_eq!(world.store.register(overtaken).await.expect("registers"), Raced);
    }
    assert_eq!(world.client("shop").await, before);
    assert_eq!(world.client("gone").await, None);
}

pub async fn all_installations(world: World) {
    for (id, host) in [("b", "shop"), ("a", "zoo"), ("c", "shop")] {
        let mut registration = creation(id, "key", world.now());
        registration.installation.address = address(host);
        assert_eq!(world.store.register(registration).await.expect("registers"), Done);
    }
    let listed = async |after: &str, limit| {
        let found = world.store.installations(Part { after, limit }, world.now()).await;
        found.expect("reads").into_iter().map(|client| client.id).collect::<Vec<_>>()
    };
    assert_eq!(listed("", 9).await, ["b", "c", "a"]);
    assert_eq!(listed("", 2).await, ["b", "c"]);
    // Two at one site are told apart.
    let first = format!("{} b", address("shop").site_url);
    assert_eq!(listed(&first, 9).await, ["c", "a"]);
    assert_eq!(listed(&format!("{} c", address("shop").site_url), 9).await, ["a"]);
    // One that is released meanwhile takes nobody along.
    let actor = Actor::Operator("olga".to_owned());
    assert!(world.store.release("b", &actor, world.now()).await.expect("writes"));
    assert_eq!(listed(&first, 9).await, ["c", "a"]);
}

pub async fn lapsed_installations(world: World) {
    world.register("squatter", "key").await;
    world.register("approved", "key").await;
    world.approved("page", "approved", "acme", Some((Slot::Current, "key"))).await;

    world.advance(UNAPPROVED_LIFETIME - 1);
    assert!(world.client("squatter").await.is_some());
    world.advance(1);
    assert_eq!(world.client("squatter").await, None);
    let known = world.store.installation(&hash("squatter")).await.expect("reads");
    assert_eq!(known.expect("still known").id, "squatter");
    let listed = world.store.installations(ALL, world.now()).await.expect("reads");
    assert_eq!(listed.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), ["approved"]);

    let mut owner = creation("owner", "new", world.now());
    owner.identity = hash("squatter");
    owner.known = Some(("squatter".to_owned(), Some(key("key"))));
    assert_eq!(world.store.register(owner.clone()).await.expect("registers"), Done);
    let known = world.store.installation(&hash("squatter")).await.expect("reads");
    assert_eq!(known.expect("known").id, "owner");

    // An approval that came between reading and writing keeps its store.
    owner.installation.client_id = "late".to_owned();
    owner.identity = hash("approved");
    owner.known = Some(("approved".to_owned(), Some(key("key"))));
    assert_eq!(world.store.register(owner).await.expect("registers"), Raced);
    assert!(world.client("approved").await.is_some());
}

pub async fn resets(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("family", "shop", "acme", "key").await;
    let pending = world.approved("pending", "shop", "bolt", Some((Slot::Current, "key"))).await;
    world
        .change("shop", Some("key"), staging("new", Some(address("elsewhere")), world.now()))
        .await;

    let body = world.store.reset(world.reset("shop", "reset")).await.expect("resets");
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["client_id"], "shop");
    assert_eq!(answer["reset"], true);
    assert_eq!(answer["resetMutationId"], "mutation reset");
    let installation = world.installation("shop").await;
    assert_eq!((installation.key, installation.staged), (None, None));
    assert!(installation.approved_at.is_some());
    for grant in [&grant, &pending] {
        let grant = world.store.grant(grant).await.expect("reads").expect("a grant");
        assert_eq!(grant.revoked_at, Some(world.now()));
    }
    let family = world.store.family(&family_id("family")).await.expect("reads");
    assert!(family.expect("a family").revoked_at.is_some());
    let code = world.store.code(&hash("pending")).await.expect("reads");
    assert!(code.expect("a code").revoked_at.is_some());

    // The store comes back; the same reset once more leaves that alone.
    world.advance(10);
    world.change("shop", None, Change::Rekey).await;
    let later = world.connected("later", "shop", "acme", "rekeyed").await;
    assert_ne!(later, grant);
    let again = world.store.reset(world.reset("shop", "reset")).await.expect("answers");
    assert_eq!(again, body);
    assert!(world.is_good(&later, "later").await);
    assert_eq!(world.installation("shop").await.key, Some(key("rekeyed")));

    let receipt = world.store.reset_receipt("shop", &hash("reset")).await.expect("reads");
    let receipt = receipt.expect("a receipt");
    assert_eq!((receipt.body, receipt.key), (body, key("key")));
    assert_eq!(receipt.token_hash, hash("access token"));
    for (client, name) in [("shop", "other"), ("other", "reset")] {
        assert_eq!(world.store.reset_receipt(client, &hash(name)).await.expect("reads"), None);
    }
    world.store.reset(world.reset("shop", "another")).await.expect("resets");
    assert!(!world.is_good(&later, "later").await);
    assert!(world.store.reset_receipt("shop", &hash("reset")).await.expect("reads").is_some());
}

pub async fn releases(world: World) {
    world.register("shop", "key").await;
    let grant = world.connected("family", "shop", "acme", "key").await;
    world.store.reset(world.reset("shop", "reset")).await.expect("resets");
    world.add_app(app("app")).await;

    assert!(world.store.release("shop", &Actor::System, world.now()).await.expect("releases"));
    assert_eq!(world.client("shop").await, None);
    assert_eq!(world.store.installation(&hash("shop")).await.expect("reads"), None);
    assert_eq!(world.store.grant(&grant).await.expect("reads"), None);
    assert_eq!(world.store.family(&family_id("family")).await.expect("reads"), None);
    assert_eq!(world.store.reset_receipt("shop", &hash("reset")).await.expect("reads"), None);
    assert!(!world.store.release("shop", &Actor::System, world.now()).await.expect("finds none"));
    assert!(!world.store.release("app", &Actor::System, world.now()).await.expect("finds none"));
    assert!(world.client("app").await.is_some());

    let mut next = creation("next", "other", world.now());
    next.identity = hash("shop");
    assert_eq!(world.store.register(next).await.expect("registers"), Done);
}

pub async fn sweeps(world: World) {
    const DAY: i64 = 24 * 3600;
    world.register("squatter", "key").await;
    world.register("shop", "key").await;
    let native = world.connected("native", "shop", "acme", "key").await;
    world.add_app(app("app")).await;
    world.authorized("idle", "app", "acme").await;
    world.store.revoke_access("jti", world.now() + 3600).await.expect("revokes");

    world.advance(DAY);
    world.store.sweep(world.now()).await.expect("sweeps");
    assert_eq!(world.store.installation(&hash("squatter")).await.expect("reads"), None);
    let jti = async || {
        let family = family_id("native");
        world.store.standing("jti", &native, Some(&family), world.now()).await.expect("reads")
    };
    assert_eq!(jti().await, AccessStanding::Ended, "the clock may be set back");
    // Receipts of codes are still wanted.
    for code in ["native", "idle"] {
        assert!(world.store.code(&hash(code)).await.expect("reads").is_some());
    }

    world.advance(3 * DAY);
    world.store.sweep(world.now()).await.expect("sweeps");
    for code in ["native", "idle"] {
        assert_eq!(world.store.code(&hash(code)).await.expect("reads"), None);
    }
    assert!(world.store.family(&family_id("idle")).await.expect("reads").is_some());
    assert_eq!(jti().await, AccessStanding::Good, "it is forgotten");

    world.advance(90 * DAY);
    world.store.sweep(world.now()).await.expect("sweeps");
    assert_eq!(world.store.family(&family_id("idle")).await.expect("reads"), None);
    assert!(world.client("app").await.is_some());
    assert!(world.is_good(&native, "native").await);
}

pub async fn histories(world: World) {
    world.register("shop", "key").await;
    world.register("neighbour", "key").await;
    let grant = world.connected("first", "shop", "acme", "key").await;
    assert_eq!(world.rotate(world.rotation("first", 1, 2)).await, Written::Done);
    assert_eq!(world.rotate(world.rotation("first", 2, 9)).await, Written::Done);
    world.advance(7);
    for _ in 0..2 {
        world.end_family("first", EndReason::RefreshReuse).await;
    }
    let recovery = world.recovery("recovered", "shop", &grant, 0);
    assert_eq!(world.store.recover(recovery).await.expect("recovers"), Written::Done);
    for _ in 0..2 {
        world.end_grant(&grant, EndReason::Revoked).await;
    }
    world.store.release("shop", &Actor::System, world.now()).await.expect("releases");
    world.store.release("unknown", &Actor::System, world.now()).await.expect("releases nothing");
    let told = async |client: &str, limit| {
        let history = world
            .store
            .newest_audit(&AuditQuery::client(client), None, limit)
            .await
            .expect("reads");
        let words = |record: AuditRecord| format!("{} {}", record.event, record.detail);
        history.into_iter().map(words).collect::<Vec<_>>()
    };
    let all = [
        "released ",
        "grant_ended revoked",
        "recovered ",
        "family_ended refresh_reuse",
        "adopted from 2 to 9",
        "code_redeemed ",
        "approved ann",
    ];
    assert_eq!(told("shop", 100).await, all);
    assert_eq!(told("shop", 2).await, all[..2]);
    for silent in ["neighbour", "unknown"] {
        assert_eq!(told(silent, 100).await, [""; 0]);
    }
    let history =
        world.store.newest_audit(&AuditQuery::client("shop"), None, 100).await.expect("reads");
    let first = history.last().expect("an event");
    assert_eq!((first.at, first.company_id.as_deref()), (world.now() - 7, Some("acme")));
}
