//! Names instead of bytes, and the steps that most stories begin with.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use counterfoil_protocol::{
    UnixTime, encoding::sha256, jwk::Thumbprint, pkce::Challenge, scope::ScopeSet,
};
use tokio::sync::Barrier;

use super::Place;
use crate::{
    audit::Actor,
    oauth::{
        client::{App, Client, ClientKind},
        grant::{EndReason, Receipt},
        installation::{Address, Change, Installation, Slot, Staged},
        request::AuthorizationRequest,
    },
    people::role::Role,
    store::{
        AccessStanding, AddedApp, Approval, ApproveOutcome, Company, Consent, NewCode, NewFamily,
        NewInstallation, Recovery, Redemption, RegisterOutcome, Registration, Reset, Rotation,
        Store, User, Written,
    },
};

/// When stories begin.
pub const START: i64 = 1_800_000_000;

/// How many take part in a race.
pub const RACERS: usize = 8;

/// How often each race is run.
pub const ROUNDS: usize = 50;

pub const RESOURCE: &str = "https://pay.example/api/partner/v1";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A store with the companies `acme` and `bolt`, and the user `ann`.
#[derive(Clone)]
pub struct World {
    pub store: Arc<dyn Store>,
    now: Arc<AtomicI64>,
    place: Arc<Place>,
}

pub fn hash(name: &str) -> [u8; 32] {
    sha256(name.as_bytes())
}

pub fn key(name: &str) -> Thumbprint {
    Thumbprint(hash(name))
}

pub fn family_id(name: &str) -> [u8; 16] {
    hash(name)[..16].try_into().expect("16 bytes")
}

pub fn scope() -> ScopeSet {
    ScopeSet::parse("company:read makepay:payment-links:read").expect("scopes")
}

pub fn receipt(name: &str, now: UnixTime) -> Receipt {
    Receipt {
        idempotency: Some(hash(name)),
        sealed: format!("sealed {name}").into_bytes(),
        kid: "kid".to_owned(),
        given_at: now,
    }
}

pub fn address(host: &str) -> Address {
    Address {
        site_url: format!("https://{host}.example"),
        redirect_uri: format!("https://{host}.example/callback"),
    }
}

pub fn new_family(name: &str, grant_id: &str, signed: Option<&str>) -> NewFamily {
    NewFamily {
        id: family_id(name),
        grant_id: grant_id.to_owned(),
        scope: scope(),
        resource: RESOURCE.to_owned(),
        key: signed.map(key),
        token_hash: hash(&format!("{name} 1")),
        expires_at: None,
    }
}

pub fn app(id: &str) -> Client {
    let app = App {
        company_id: "acme".to_owned(),
        secret_hash: Some(hash("secret")),
        version: 1,
        ..App::default()
    };
    Client {
        id: id.to_owned(),
        name: "Partner".to_owned(),
        kind: ClientKind::App(app),
        scopes: scope(),
        require_nonce: false,
        created_at: UnixTime(START),
    }
}

/// A new installation of `client_id`, whose identity is the hash of that name, with `signed` as its key.
pub fn creation(client_id: &str, signed: &str, now: UnixTime) -> Registration {
    let installation = NewInstallation {
        client_id: client_id.to_owned(),
        name: "Shop".to_owned(),
        scopes: scope().to_string(),
        require_nonce: false,
        platform: "wordpress".to_owned(),
        address: address("shop"),
        key: key(signed),
        plugin_version: "1.0.0".to_owned(),
        platform_version: Some("6.9".to_owned()),
    };
    let identity = hash(client_id);
    Registration { identity, change: Change::Create, known: None, installation, now }
}

/// A change of an installation that was read with the key `had`.
pub fn change(client_id: &str, had: Option<&str>, change: Change, now: UnixTime) -> Registration {
    let known = Some((client_id.to_owned(), had.map(key)));
    let signed = match &change {
        Change::Stage(staged) => staged.key,
        _ => key(had.unwrap_or("rekeyed")),
    };
    let mut registration = Registration { change, known, ..creation(client_id, "unused", now) };
    registration.installation.key = signed;
    registration
}

pub fn staging(signed: &str, moved_to: Option<Address>, at: UnixTime) -> Change {
    Change::Stage(Staged { key: key(signed), moved_to, at })
}

/// Runs all of them at once, each on a task of its own, and waits for all.
pub async fn race<T, F>(racers: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let racers: Vec<_> = racers.into_iter().collect();
    let start = Arc::new(Barrier::new(racers.len()));
    let started: Vec<_> = racers
        .into_iter()
        .map(|racer| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                racer.await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for racer in started {
        outcomes.push(racer.await.expect("no panic"));
    }
    outcomes
}

/// How many of `outcomes` are `wanted`.
pub fn count<T: PartialEq>(outcomes: &[T], wanted: &T) -> usize {
    outcomes.iter().filter(|outcome| *outcome == wanted).count()
}

impl World {
    pub async fn new(place: Place) -> Self {
        let store = (place.open)();
        let world = Self { store, now: Arc::new(AtomicI64::new(START)), place: Arc::new(place) };
        assert!(world.store.add_user(user("ann"), world.now()).await.expect("adds"));
        for id in ["acme", "bolt"] {
            let company = Company { id: id.to_owned(), name: format!("{id} inc.") };
            assert!(world.store.add_company(company, world.now()).await.expect("adds"));
            world.store.add_membership("ann", id, Role::Admin).await.expect("adds");
        }
        world
    }

    /// Another store at the same place, open beside this one.
    pub fn beside(&self) -> Self {
        Self { store: (self.place.open)(), ..self.clone() }
    }

    /// The same place, opened again after this store was closed.
    pub fn opened_again(self) -> Self {
        let Self { store, now, place } = self;
        assert_eq!(Arc::strong_count(&store), 1, "the store is in use elsewhere");
        drop(store);
        Self { store: (place.open)(), now, place }
    }

    pub fn now(&self) -> UnixTime {
        UnixTime(self.now.load(Ordering::SeqCst))
    }

    pub fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Registers the store `client_id` with the key `signed`.
    pub async fn register(&self, client_id: &str, signed: &str) {
        let registration = creation(client_id, signed, self.now());
        let outcome = self.store.register(registration).await.expect("registers");
        assert_eq!(outcome, RegisterOutcome::Done);
    }

    /// Changes the store `client_id`, whose key is `had`.
    pub async fn change(&self, client_id: &str, had: Option<&str>, what: Change) {
        let registration = change(client_id, had, what, self.now());
        let outcome = self.store.register(registration).await.expect("registers");
        assert_eq!(outcome, RegisterOutcome::Done);
    }

    /// Adds an application.
    pub async fn add_app(&self, app: Client) {
        let added = self.store.add_app(app, &Actor::System, 100).await.expect("adds");
        assert_eq!(added, AddedApp::Added);
    }

    pub async fn client(&self, id: &str) -> Option<Client> {
        self.store.client(id, self.now()).await.expect("reads")
    }

    pub async fn installation(&self, id: &str) -> Installation {
        let client = self.client(id).await.expect("a client");
        client.installation().expect("an installation").clone()
    }

    /// Shows `ann` a consent page of that name.
    pub async fn show(&self, page: &str, client_id: &str, pushed: Option<&str>) {
        let consent = Consent {
            hash: hash(page),
            session_hash: hash("session"),
            user_id: "ann".to_owned(),
            request: request(client_id),
            pushed: pushed.map(hash),
            expires_at: self.now() + 600,
        };
        self.store.show_consent(consent).await.expect("shows");
    }

    /// What `ann` sends when she approves the page, with the code of the same name. An application has no slot.
    pub fn approval(
        &self,
        page: &str,
        client_id: &str,
        company_id: &str,
        slot: Option<(Slot, &str)>,
    ) -> Approval {
        Approval {
            consent: hash(page),
            pushed: None,
            client_id: client_id.to_owned(),
            slot: slot.map(|(slot, name)| (slot, key(name))),
            company_id: company_id.to_owned(),
            user_id: "ann".to_owned(),
            new_grant_id: format!("grant {page}"),
            code: NewCode {
                hash: hash(page),
                redirect_uri: address("shop").redirect_uri,
                challenge: Challenge::parse(CHALLENGE).expect("a challenge"),
                scope: scope(),
                resource: RESOURCE.to_owned(),
                key: slot.map(|(_, name)| key(name)),
                expires_at: self.now() + 60,
            },
            now: self.now(),
        }
    }

    pub async fn approve(&self, approval: Approval) -> ApproveOutcome {
        self.store.approve(approval).await.expect("decides")
    }

    /// Shows and approves; answers the grant. The code is named like the page.
    pub async fn approved(
        &self,
        page: &str,
        client_id: &str,
        company_id: &str,
        slot: Option<(Slot, &str)>,
    ) -> String {
        self.show(page, client_id, None).await;
        match self.approve(self.approval(page, client_id, company_id, slot)).await {
            ApproveOutcome::Approved { grant_id } => grant_id,
            refused => panic!("{page}: {refused:?}"),
        }
    }

    pub fn redemption(&self, code: &str, family: NewFamily, sole: bool) -> Redemption {
        let receipt = Some(receipt(code, self.now()));
        Redemption { code: hash(code), family, receipt, sole, now: self.now() }
    }

    pub async fn redeem(&self, redemption: Redemption) -> Written {
        self.store.redeem_code(redemption).await.expect("redeems")
    }

    /// The whole way of a store with its key: approve at `company_id` and redeem. Page, code and family are called
    /// `name`; answers the grant.
    pub async fn connected(
        &self,
        name: &str,
        client_id: &str,
        company_id: &str,
        signed: &str,
    ) -> String {
        let slot = Some((Slot::Current, signed));
        let grant_id = self.approved(name, client_id, company_id, slot).await;
        let family = new_family(name, &grant_id, Some(signed));
        assert_eq!(self.redeem(self.redemption(name, family, true)).await, Written::Done);
        grant_id
    }

    /// The whole way of an application without a key.
    pub async fn authorized(&self, name: &str, client_id: &str, company_id: &str) -> String {
        let grant_id = self.approved(name, client_id, company_id, None).await;
        let family = NewFamily {
            expires_at: Some(self.now() + 90 * 24 * 3600),
            ..new_family(name, &grant_id, None)
        };
        assert_eq!(self.redeem(self.redemption(name, family, false)).await, Written::Done);
        grant_id
    }

    /// A refresh of the family, from one generation to another.
    pub fn rotation(&self, family: &str, from: u32, to: u32) -> Rotation {
        Rotation {
            family: family_id(family),
            from,
            to,
            token_hash: hash(&format!("{family} {to}")),
            receipt: Some(receipt(&format!("{family} {to}"), self.now())),
            expires_at: None,
            now: self.now(),
        }
    }

    pub async fn rotate(&self, rotation: Rotation) -> Written {
        self.store.rotate_refresh_token(rotation).await.expect("rotates")
    }

    pub fn recovery(
        &self,
        name: &str,
        client_id: &str,
        grant_id: &str,
        counted: usize,
    ) -> Recovery {
        Recovery {
            client_id: client_id.to_owned(),
            family: new_family(name, grant_id, Some("key")),
            idempotency: hash(name),
            receipt: receipt(name, self.now()),
            counted,
            now: self.now(),
        }
    }

    pub fn reset(&self, client_id: &str, name: &str) -> Reset {
        Reset {
            client_id: client_id.to_owned(),
            idempotency: hash(name),
            token_hash: hash("access token"),
            key: key("key"),
            mutation_id: format!("mutation {name}"),
            now: self.now(),
        }
    }

    pub async fn end_family(&self, name: &str, reason: EndReason) {
        self.store
            .end_family(&family_id(name), reason, &Actor::Client("ender".to_owned()), self.now())
            .await
            .expect("ends");
    }

    pub async fn end_grant(&self, id: &str, reason: EndReason) {
        self.store
            .end_grant(id, reason, &Actor::Client("ender".to_owned()), self.now())
            .await
            .expect("ends");
    }

    /// Where an access token of the family stands that nobody revoked by itself.
    pub async fn standing(&self, grant_id: &str, family: Option<&str>) -> AccessStanding {
        let family = family.map(family_id);
        self.store.standing("jti", grant_id, family.as_ref(), self.now()).await.expect("reads")
    }

    pub async fn is_good(&self, grant_id: &str, family: &str) -> bool {
        self.standing(grant_id, Some(family)).await == AccessStanding::Good
    }
}

pub fn user(id: &str) -> User {
    User {
        id: id.to_owned(),
        email: format!("{id}@example.com"),
        password_hash: "$argon2id$".to_owned(),
        disabled_at: None,
    }
}

pub fn request(client_id: &str) -> AuthorizationRequest {
    AuthorizationRequest {
        client_id: client_id.to_owned(),
        redirect_uri: address("shop").redirect_uri,
        scope: scope(),
        state: Some("state".to_owned()),
        challenge: CHALLENGE.to_owned(),
        key: Some(key("key")),
        resource: RESOURCE.to_owned(),
    }
}
