//! Every page, tried as everybody: made from the table of pages, so that a page that is added is tried as well.

use axum::http::{Method, StatusCode};

use super::{
    browser::{Browser, field},
    world::world,
};
use crate::{
    http::pages::{
        guard::{Page, Who},
        guarded,
    },
    people::role::Role,
    store::{Company, User},
    testing::TestServer,
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

/// Refused by the guard, and by nothing after it.
fn is_refused(person: Person, page: &Page, status: StatusCode, body: &str) -> bool {
    match person {
        Person::Nobody if page.method == Method::GET => body.contains("name=\"password\""),
        Person::Nobody => status == StatusCode::FORBIDDEN && body.contains("form_refused"),
        Person::Stranger => status == StatusCode::NOT_FOUND,
        Person::Member(_) => status == StatusCode::FORBIDDEN && body.contains("role_not_allowed"),
    }
}

#[tokio::test]
async fn every_page_as_everybody() {
    let server = world().await;
    populate(&server).await;
    let pages = guarded();
    assert!(pages.table().len() > 1);
    for person in PEOPLE {
        let mut browser = Browser::new(&server);
        for page in pages.table() {
            // The page before may have ended the session.
            if person != Person::Nobody && browser.get("/").await.body.contains("name=\"password\"")
            {
                let email = format!("{}@matrix.example", person.id());
                let answer = browser.sign_in("/sign-in", &email).await;
                assert_eq!(answer.status, StatusCode::SEE_OTHER);
            }
            let path = concrete(page.path);
            let what = format!("{person:?} {} {path}", page.method);
            let answer = if page.method == Method::GET {
                browser.get(&path).await
            } else {
                // A form that this browser was shown, so that only the role decides.
                let csrf = match person {
                    Person::Nobody => String::new(),
                    _ => field(&browser.get("/").await.body, "csrf"),
                };
                browser.post(&path, &[("csrf", &csrf)]).await
            };
            assert!(!answer.status.is_server_error(), "{what}: {}", answer.status);
            let refused = is_refused(person, page, answer.status, &answer.body);
            if !person.may(page.who) {
                assert!(refused, "{what}: {} {}", answer.status, answer.body);
            } else if person != Person::Stranger {
                assert!(!refused, "{what} is refused by the guard");
            }
        }
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
