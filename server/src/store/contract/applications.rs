use counterfoil_protocol::{callback::RedirectUri, scope::ScopeSet};

use super::world::{ROUNDS, World, app, count, family_id, hash, race};
use crate::{
    audit::Actor,
    oauth::{
        application::Settings,
        client::{Client, ClientKind, FormerSecret},
    },
    store::{AddedApp, AppChange, ApproveOutcome, Changed, Company, Edit, Part, Picture, Written},
};

fn settings() -> Settings {
    Settings {
        name: "Other".to_owned(),
        redirect_uris: vec![RedirectUri::parse("https://other.example/cb").expect("a callback")],
        scopes: ScopeSet::parse("company:read").expect("scopes"),
        support: Some("help@other.example".to_owned()),
        privacy_url: Some("https://other.example/privacy".to_owned()),
        terms_url: None,
    }
}

fn edit(world: &World, id: &str, version: i64) -> Edit {
    Edit {
        client_id: id.to_owned(),
        company_id: "acme".to_owned(),
        version,
        by: Actor::User("ann".to_owned()),
        now: world.now(),
    }
}

async fn change(world: &World, version: i64, change: AppChange) -> Changed {
    world.store.change_app(edit(world, "app", version), change).await.expect("decides")
}

fn picture(name: &str) -> Picture {
    Picture { hash: name.to_owned(), png: name.as_bytes().to_vec() }
}

fn details(client: &Client) -> &crate::oauth::client::App {
    client.app().expect("an application")
}

pub async fn limits(world: World) {
    let add = async |id: &str, most| {
        world.store.add_app(app(id), &Actor::System, most).await.expect("decides")
    };
    assert_eq!(add("one", 2).await, AddedApp::Added);
    assert_eq!(add("one", 2).await, AddedApp::Known);
    assert_eq!(add("two", 2).await, AddedApp::Added);
    assert_eq!(add("three", 2).await, AddedApp::Full);
    assert_eq!(world.client("three").await, None);
    let deleted = world.store.delete_app("one", "acme", &Actor::System, world.now()).await;
    assert_eq!(deleted.expect("deletes"), Some(0));
    assert_eq!(add("three", 2).await, AddedApp::Added);
    assert_eq!(add("one", 9).await, AddedApp::Known, "an id is given once");
    world.store.close_company("acme", &Actor::System, world.now()).await.expect("closes");
    assert_eq!(add("four", 9).await, AddedApp::Closed);
}

pub async fn lists(world: World) {
    let named = |id: &str, name: &str, company: &str| {
        let mut app = Client { name: name.to_owned(), ..app(id) };
        if let ClientKind::App(details) = &mut app.kind {
            company.clone_into(&mut details.company_id);
        }
        app
    };
    for app in [named("1", "Zeta", "acme"), named("2", "Alpha", "acme"), named("3", "Mid", "bolt")]
    {
        world.add_app(app).await;
    }
    world.register("shop", "key").await;
    let part = async |company: Option<&str>, part: Part<'_>| {
        let apps = world.store.apps(company, part).await.expect("reads");
        apps.into_iter().map(|app| app.id).collect::<Vec<_>>()
    };
    let ids = async |company: Option<&str>| part(company, Part::WHOLE).await;
    assert_eq!(ids(Some("acme")).await, ["2", "1"]);
    assert_eq!(ids(None).await, ["2", "3", "1"]);
    assert_eq!(ids(Some("nobody")).await, [""; 0]);
    for (company, after, limit, expected) in [
        (None, "", 2, &["2", "3"][..]),
        (None, "3", 2, &["1"]),
        (None, "2", 1, &["3"]),
        (None, "1", 2, &[]),
        (None, "unknown", 2, &[]),
        (Some("acme"), "2", 2, &["1"]),
        // Where another company's stands in the order.
        (Some("acme"), "3", 2, &["1"]),
        (Some("bolt"), "3", 2, &[]),
    ] {
        assert_eq!(part(company, Part { after, limit }).await, expected, "{company:?} {after}");
    }
    world.store.delete_app("2", "acme", &Actor::System, world.now()).await.expect("deletes");
    world.store.close_company("bolt", &Actor::System, world.now()).await.expect("closes");
    assert_eq!(ids(None).await, ["1"]);
}

pub async fn changes(world: World) {
    world.add_app(app("app")).await;
    assert_eq!(change(&world, 1, AppChange::Settings(settings())).await, Changed::Done);
    let client = world.client("app").await.expect("a client");
    assert_eq!((client.name.as_str(), &client.scopes), ("Other", &settings().scopes));
    let changed = details(&client);
    assert_eq!(changed.redirect_uris, settings().redirect_uris);
    assert_eq!(changed.about.support, settings().support);
    assert_eq!(changed.about.privacy_url, settings().privacy_url);
    assert_eq!((changed.about.terms_url.as_ref(), changed.version), (None, 2));
    assert_eq!(changed.secret_hash, Some(hash("secret")));

    assert_eq!(change(&world, 1, AppChange::Settings(settings())).await, Changed::Raced);
    for (id, company) in [("app", "bolt"), ("other", "acme")] {
        let edit = Edit { company_id: company.to_owned(), ..edit(&world, id, 2) };
        let changed = world.store.change_app(edit, AppChange::Settings(settings())).await;
        assert_eq!(changed.expect("decides"), Changed::Unknown);
    }
    world.register("shop", "key").await;
    let shop = world.store.change_app(edit(&world, "shop", 1), AppChange::Icon(None)).await;
    assert_eq!(shop.expect("decides"), Changed::Unknown);
    assert_eq!(world.client("app").await, Some(client));
}

/// Of several who change what they all have read, one does.
pub async fn changes_of_many(world: World) {
    for round in 0..ROUNDS {
        let id = format!("app {round}");
        world.add_app(Client { name: id.clone(), ..app(&id) }).await;
        let secret = AppChange::Secret(hash("new"), None);
        let racers = [secret, AppChange::Settings(settings()), AppChange::Icon(Some(picture("a")))];
        let racing = racers.map(|change| {
            let (store, edit) = (world.store.clone(), edit(&world, &id, 1));
            async move { store.change_app(edit, change).await.expect("decides") }
        });
        let outcomes = race(racing).await;
        assert_eq!(count(&outcomes, &Changed::Done), 1);
        assert_eq!(count(&outcomes, &Changed::Raced), 2);
    }
}

pub async fn secrets(world: World) {
    world.add_app(app("app")).await;
    let until = world.now() + 100;
    assert_eq!(change(&world, 1, AppChange::EndFormerSecret).await, Changed::Raced);
    assert_eq!(change(&world, 1, AppChange::Secret(hash("two"), Some(until))).await, Changed::Done);
    let client = world.client("app").await.expect("a client");
    let former = FormerSecret { hash: hash("secret"), ends_at: until };
    assert_eq!(details(&client).secret_hash, Some(hash("two")));
    assert_eq!(details(&client).former_secret, Some(former));
    assert_eq!(details(&client).former_secret_at(until), None);
    assert_eq!(details(&client).former_secret_at(world.now() + 99), Some(&former));

    // A third secret takes the place of the second; the first is gone.
    assert_eq!(
        change(&world, 2, AppChange::Secret(hash("three"), Some(until))).await,
        Changed::Done
    );
    let client = world.client("app").await.expect("a client");
    let former = FormerSecret { hash: hash("two"), ends_at: until };
    assert_eq!(details(&client).former_secret, Some(former));
    assert_eq!(change(&world, 3, AppChange::EndFormerSecret).await, Changed::Done);
    let client = world.client("app").await.expect("a client");
    assert_eq!(details(&client).former_secret, None);
    assert_eq!(details(&client).secret_hash, Some(hash("three")));

    assert_eq!(
        change(&world, 4, AppChange::Secret(hash("four"), Some(until))).await,
        Changed::Done
    );
    assert_eq!(change(&world, 5, AppChange::Secret(hash("five"), None)).await, Changed::Done);
    let client = world.client("app").await.expect("a client");
    assert_eq!(details(&client).former_secret, None);

    let mut public = app("public");
    if let ClientKind::App(details) = &mut public.kind {
        details.secret_hash = None;
    }
    world.add_app(public).await;
    let change = AppChange::Secret(hash("secret"), None);
    let changed = world.store.change_app(edit(&world, "public", 1), change).await;
    assert_eq!(changed.expect("decides"), Changed::Raced);
    assert!(!world.client("public").await.expect("a client").is_confidential());
}

pub async fn pictures(world: World) {
    let found = async |name: &str| world.store.picture(name).await.expect("reads");
    let set = async |id: &str, version, name: Option<&str>| {
        let change = AppChange::Icon(name.map(picture));
        let changed = world.store.change_app(edit(&world, id, version), change).await;
        assert_eq!(changed.expect("decides"), Changed::Done);
    };
    world.add_app(app("app")).await;
    world.add_app(app("twin")).await;
    set("app", 1, Some("a")).await;
    set("twin", 1, Some("a")).await;
    assert_eq!(found("a").await, Some(b"a".to_vec()));
    let client = world.client("app").await.expect("a client");
    assert_eq!(details(&client).about.icon.as_deref(), Some("a"));

    set("app", 2, Some("b")).await;
    assert!(found("a").await.is_some() && found("b").await.is_some());
    set("twin", 2, None).await;
    assert_eq!(found("a").await, None, "nobody shows it");
    set("app", 3, Some("b")).await;
    assert!(found("b").await.is_some(), "the same again");
    world.store.delete_app("app", "acme", &Actor::System, world.now()).await.expect("deletes");
    assert_eq!(found("b").await, None);
}

pub async fn deletions(world: World) {
    world.add_app(app("app")).await;
    world.add_app(app("other")).await;
    let acme = world.authorized("acme", "app", "acme").await;
    let bolt = world.authorized("bolt", "app", "bolt").await;
    let other = world.authorized("other", "other", "acme").await;
    let core = Company { id: "core".to_owned(), name: "Core".to_owned() };
    assert!(world.store.add_company(core, world.now()).await.expect("adds"));
    let scope = super::world::scope();
    let own = world.store.own_grant("app", "core", "own", &scope, world.now());
    let own = own.await.expect("makes").id;
    assert_eq!(world.store.connected_to("app").await.expect("reads"), 2);
    world.show("pending", "app", None).await;

    let delete = async |id: &str, company: &str| {
        let by = Actor::User("ann".to_owned());
        world.store.delete_app(id, company, &by, world.now()).await.expect("decides")
    };
    for (id, company) in [("app", "bolt"), ("nothing", "acme")] {
        assert_eq!(delete(id, company).await, None);
    }
    assert_eq!(delete("app", "acme").await, Some(3));
    assert_eq!(delete("app", "acme").await, None, "once");
    assert_eq!(world.client("app").await, None);
    assert_eq!(world.store.connected_to("app").await.expect("reads"), 0);
    for (grant, family) in [(&acme, "acme"), (&bolt, "bolt")] {
        assert!(!world.is_good(grant, family).await);
        let ended = world.store.family(&family_id(family)).await.expect("reads");
        assert_eq!(ended.expect("a family").revoked_at, Some(world.now()));
    }
    assert!(!world.is_good(&own, "none").await);
    assert_eq!(world.rotate(world.rotation("acme", 1, 2)).await, Written::Raced);
    let approval = world.approval("pending", "app", "acme", None);
    assert_eq!(world.approve(approval).await, ApproveOutcome::AlreadyDecided);
    let again = world.store.own_grant("app", "acme", "late", &scope, world.now());
    assert!(again.await.is_err(), "nothing is granted to what is deleted");
    assert!(world.is_good(&other, "other").await);
}

/// Whichever comes first, nothing that was approved is left alive.
pub async fn deletions_against_approvals(world: World) {
    for round in 0..ROUNDS {
        let (id, page) = (format!("app {round}"), format!("page {round}"));
        world.add_app(app(&id)).await;
        world.show(&page, &id, None).await;
        let approval = world.approval(&page, &id, "bolt", None);
        let (store, client, now) = (world.store.clone(), id.clone(), world.now());
        let deleting = async move {
            store.delete_app(&client, "acme", &Actor::System, now).await.expect("deletes");
        };
        let (other, code) = (world.clone(), page.clone());
        let approving = async move {
            other.approve(approval).await;
        };
        let racers: [std::pin::Pin<Box<dyn Future<Output = ()> + Send>>; 2] =
            [Box::pin(deleting), Box::pin(approving)];
        race(racers).await;
        let code = world.store.code(&hash(&code)).await.expect("reads");
        assert!(code.is_none_or(|code| code.revoked_at.is_some()), "{id}");
        assert_eq!(world.client(&id).await, None);
    }
}
