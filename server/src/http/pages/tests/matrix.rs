//! Every page, tried as everybody: made from the table of pages, so that a page that is added is tried as well.

use axum::http::{Method, StatusCode};

use super::{
    browser::{Browser, field},
    world::{world, world_on},
};
use crate::{
    http::pages::{
        guard::{Page, Who},
        guarded,
    },
    people::role::Role,
    store::{Company, User},
    testing::{Answer, TestServer},
};

/// What a person is at the company of the path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Person {
    /// Nobody is signed in.
    Nobody,
    /// Signed in, with no place in the company, but an owner of another.
    Stranger,
    /// Signed in, with a place.
    Member(Role),
}

const PEOPLE: [Person; 6] = [
    Person::Nobody,
    Person::Stranger,
    Person::Member(Role::Owner),
    Person::Member(Role::Admin),
    Person::Member(Role::Developer),
    Person::Member(Role::Support),
];

/// The issuer's host.
const ISSUER: &str = "pay.example";

/// The developers' host, where they have one of their own.
const PORTAL: &str = "apps.pay.example";

/// The company of every path.
const COMPANY: &str = "co_matrix";

impl Person {
    fn id(self) -> String {
        match self {
            Self::Nobody => String::new(),
            Self::Stranger => "stranger".to_owned(),
            Self::Member(role) => role.as_str().to_owned(),
        }
    }

    fn may(self, who: Who) -> bool {
        match (self, who) {
            (Self::Nobody, _) | (Self::Stranger, Who::Member(_)) => false,
            (_, Who::Person) => true,
            (Self::Member(role), Who::Member(act)) => role.may(act),
        }
    }
}

/// A path with everything named: the company is there, whatever else it names is not.
fn concrete(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{company}" => COMPANY,
        parameter if parameter.starts_with('{') => "none",
        plain => plain,
    });
    segments.collect::<Vec<_>>().join("/")
}

async fn populate(server: &TestServer) {
    let (store, now) = (&server.app.store, server.app.now());
    for id in [COMPANY, "co_other"] {
        let company = Company { id: id.to_owned(), name: format!("{id} inc.") };
        assert!(store.add_company(company, now).await.expect("writes"));
    }
    // The hash of PASSWORD that the world has made already.
    let known = store.user("anna").await.expect("reads").expect("anna");
    for person in PEOPLE.into_iter().filter(|person| *person != Person::Nobody) {
        let id = person.id();
        let email = format!("{id}@matrix.example");
        let user = User { id: id.clone(), email, ..known.clone() };
        assert!(store.add_user(user, now).await.expect("writes"));
        match person {
            Person::Member(role) => store.add_membership(&id, COMPANY, role).await,
            _ => store.add_membership(&id, "co_other", Role::Owner).await,
        }
        .expect("writes");
    }
}

/// A server whose developers have a host of their own.
async fn two_hosts() -> TestServer {
    let portal = format!("https://{PORTAL}");
    let server = world_on(TestServer::with(|config| config.portal_origin = Some(portal))).await;
    populate(&server).await;
    server
}

/// Whether a page is at a host, when the developers have one of their own.
fn is_at(page: &Page, host: &str) -> bool {
    match page.path {
        "/" | "/companies/{company}" => true,
        path => path.starts_with("/companies/{company}/applications") == (host == PORTAL),
    }
}

/// Signs a browser in at its host: at the developers' by way of the issuer.
async fn enter(server: &TestServer, browser: &mut Browser<'_>, person: Person) {
    let email = format!("{}@matrix.example", person.id());
    let entered = if browser.host == ISSUER {
        browser.sign_in("/sign-in", &email).await
    } else {
        let path = |answer: &Answer, host: &str| {
            let location = answer.header("location");
            location.strip_prefix(&format!("https://{host}")).expect("an address there").to_owned()
        };
        let mut at_issuer = Browser::new(server);
        let away = path(&browser.get("/").await, ISSUER);
        at_issuer.sign_in(&away, &email).await;
        let back = path(&at_issuer.get(&away).await, PORTAL);
        browser.get(&back).await
    };
    assert_eq!(entered.status, StatusCode::SEE_OTHER);
    assert!(is_in(browser).await, "{person:?} is signed in at {}", browser.host);
}

async fn is_in(browser: &mut Browser<'_>) -> bool {
    browser.get("/").await.body.contains("action=\"/sign-out\"")
}

/// Tries a page. The form that is posted, if any, is one that this browser was shown.
async fn attempt(browser: &mut Browser<'_>, page: &Page) -> Answer {
    let path = concrete(page.path);
    if page.method == Method::GET {
        return browser.get(&path).await;
    }
    let csrf = field(&browser.get("/").await.body, "csrf");
    browser.post(&path, &[("csrf", &csrf)]).await
}

/// Refused by the guard, and by nothing after it.
fn is_refused(person: Person, page: &Page, host: &str, answer: &Answer) -> bool {
    let Answer { status, body, .. } = answer;
    match person {
        Person::Nobody if page.method == Method::POST => {
            *status == StatusCode::FORBIDDEN && body.contains("session_ended")
        }
        Person::Nobody if host == PORTAL => {
            let elsewhere = format!("https://{ISSUER}/sign-in/portal?");
            *status == StatusCode::SEE_OTHER && answer.header("location").starts_with(&elsewhere)
        }
        Person::Nobody => body.contains("name=\"password\""),
        Person::Stranger => *status == StatusCode::NOT_FOUND,
        Person::Member(_) => *status == StatusCode::FORBIDDEN && body.contains("role_not_allowed"),
    }
}

/// Sent to the other host, whoever asks: a link leads there, a form is not taken.
fn is_sent_away(page: &Page, host: &str, answer: &Answer) -> bool {
    if page.method == Method::POST {
        return answer.status == StatusCode::MISDIRECTED_REQUEST;
    }
    let other = if host == PORTAL { ISSUER } else { PORTAL };
    answer.status == StatusCode::SEE_OTHER
        && answer.header("location") == format!("https://{other}{}", concrete(page.path))
}

async fn try_every_page(server: &TestServer, host: &'static str, is_here: impl Fn(&Page) -> bool) {
    let pages = guarded();
    assert!(pages.table().iter().any(&is_here));
    for person in PEOPLE {
        let mut browser = Browser::at(server, host);
        for page in pages.table() {
            // The page before may have ended the session.
            if person != Person::Nobody && !is_in(&mut browser).await {
                enter(server, &mut browser, person).await;
            }
            let what = format!("{person:?} {} {} at {host}", page.method, page.path);
            let answer = attempt(&mut browser, page).await;
            assert!(!answer.status.is_server_error(), "{what}: {}", answer.status);
            let sent_away = is_sent_away(page, host, &answer);
            assert_eq!(sent_away, !is_here(page), "{what}: {}", answer.status);
            let refused = is_refused(person, page, host, &answer);
            if !is_here(page) {
                continue;
            }
            if !person.may(page.who) {
                assert!(refused, "{what}: {} {}", answer.status, answer.body);
            } else if person != Person::Stranger {
                assert!(!refused, "{what} is refused by the guard");
            }
        }
    }
}

#[tokio::test]
async fn every_page_as_everybody() {
    let server = world().await;
    populate(&server).await;
    try_every_page(&server, ISSUER, |_| true).await;
}

#[tokio::test]
async fn every_page_as_everybody_at_each_of_two_hosts() {
    let server = two_hosts().await;
    for host in [ISSUER, PORTAL] {
        try_every_page(&server, host, |page| is_at(page, host)).await;
    }
}

#[tokio::test]
async fn the_cookies_of_one_host_open_no_page_of_the_other() {
    const NAMES: [(&str, &str); 2] =
        [(ISSUER, "__Host-counterfoil"), (PORTAL, "__Host-counterfoil-portal")];
    let server = two_hosts().await;
    for ((from, held), (to, expected)) in [(NAMES[0], NAMES[1]), (NAMES[1], NAMES[0])] {
        let mut owner = Browser::at(&server, from);
        enter(&server, &mut owner, Person::Member(Role::Owner)).await;
        let csrf = field(&owner.get("/").await.body, "csrf");
        let mut carried = Browser::at(&server, to);
        for page in guarded().table().iter().filter(|page| is_at(page, to)) {
            // Under its own name and under that of the other host: as it would be where one host can set both.
            carried.cookies.clone_from(&owner.cookies);
            carried.cookies.insert(expected.to_owned(), owner.cookies[held].clone());
            let path = concrete(page.path);
            let answer = if page.method == Method::GET {
                carried.get(&path).await
            } else {
                carried.post(&path, &[("csrf", &csrf)]).await
            };
            let refused = is_refused(Person::Nobody, page, to, &answer);
            assert!(refused, "{} {path} at {to}: {}", page.method, answer.status);
        }
        assert!(is_in(&mut owner).await, "at its own host the session goes on");
    }
}

#[tokio::test]
async fn no_page_takes_a_form_of_another_browser() {
    let server = world().await;
    populate(&server).await;
    let mut owner = Browser::new(&server);
    owner.sign_in("/sign-in", "owner@matrix.example").await;
    let mut support = Browser::new(&server);
    support.sign_in("/sign-in", "support@matrix.example").await;
    let foreign = field(&support.get("/").await.body, "csrf");
    let own = field(&owner.get("/").await.body, "csrf");
    for page in guarded().table().iter().filter(|page| page.method == Method::POST) {
        let path = concrete(page.path);
        for answer in [
            owner.post(&path, &[]).await,
            owner.post(&path, &[("csrf", &foreign)]).await,
            owner.post_from("https://evil.example", "cross-site", &path, &[("csrf", &own)]).await,
        ] {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
            assert!(answer.body.contains("form_refused"), "{path}: {}", answer.body);
        }
    }
}
