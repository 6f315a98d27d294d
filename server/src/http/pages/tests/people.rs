use axum::http::StatusCode;

use super::{
    browser::{Browser, field, parameters},
    letters::{letter, letters, link_in},
    world::{PASSWORD, later, world},
};
use crate::{people::role::Role, testing::TestServer};

const PEOPLE: &str = "/companies/co_a/people";

/// anna owns company A; ben is an admin there, carl a developer.
async fn staffed() -> TestServer {
    let server = world().await;
    for (name, role) in [("anna", Role::Owner), ("ben", Role::Admin), ("carl", Role::Developer)] {
        server.app.store.add_membership(name, "co_a", role).await.expect("writes");
    }
    server
}

async fn signed_in<'a>(server: &'a TestServer, name: &str) -> (Browser<'a>, String) {
    let mut browser = Browser::new(server);
    browser.sign_in("/sign-in", &format!("{name}@shop.example")).await;
    let csrf = field(&browser.get("/").await.body, "csrf");
    (browser, csrf)
}

async fn role_of(server: &TestServer, name: &str) -> Option<Role> {
    let places = server.app.store.memberships(name).await.expect("reads");
    places.into_iter().find(|place| place.company.id == "co_a").map(|place| place.role)
}

#[tokio::test]
async fn roles_are_changed_by_whoever_may() {
    let server = staffed().await;
    let (mut anna, annas) = signed_in(&server, "anna").await;
    let (mut ben, bens) = signed_in(&server, "ben").await;
    let page = ben.get(PEOPLE).await.body;
    assert!(page.contains("carl@shop.example") && !page.contains("value=\"owner\""));
    let (role, remove) = ("/companies/co_a/people/role", "/companies/co_a/people/remove");
    for (user, to) in [("ben", "owner"), ("carl", "owner"), ("anna", "admin")] {
        let answer = ben.post(role, &[("csrf", &bens), ("user", user), ("role", to)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{user} {to}");
    }
    let answer = ben.post(remove, &[("csrf", &bens), ("user", "anna")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    for fields in [vec![("role", "admin")], vec![("role", "")]] {
        let fields = [vec![("csrf", annas.as_str()), ("user", "anna")], fields].concat();
        let answer = anna.post(role, &fields).await;
        assert!(answer.status.is_client_error(), "{fields:?}");
    }
    let answer = anna.post(remove, &[("csrf", &annas), ("user", "anna")]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.body.contains("last owner"));
    let answer = anna.post(role, &[("csrf", &annas), ("user", "carl"), ("role", "king")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(role_of(&server, "anna").await, Some(Role::Owner));
    assert_eq!(role_of(&server, "carl").await, Some(Role::Developer));

    let answer = ben.post(role, &[("csrf", &bens), ("user", "carl"), ("role", "support")]).await;
    assert_eq!(answer.header("location"), "/companies/co_a/people?done=role");
    assert_eq!(role_of(&server, "carl").await, Some(Role::Support));
    let answer = anna.post(remove, &[("csrf", &annas), ("user", "ben")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(ben.get(PEOPLE).await.status, StatusCode::NOT_FOUND, "at once");
    assert!(letter(&server, "ben@shop.example").await.contains("do not act for"));
}

/// Posts the form of an invitation.
async fn post_invitation(
    browser: &mut Browser<'_>,
    fields: &[(&str, String)],
) -> crate::testing::Answer {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post("/invitation", &fields).await
}

#[tokio::test]
async fn an_invitation_makes_an_account() {
    let server = staffed().await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    let invite = "/companies/co_a/people/invite";
    for (email, role) in
        [("no address", "admin"), ("a@b\r\nBcc: eve@evil.example", "admin"), ("a@b", "king")]
    {
        let answer = anna.post(invite, &[("csrf", &csrf), ("email", email), ("role", role)]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{email}");
    }
    let fields = [("csrf", csrf.as_str()), ("email", "Dora@Shop.Example"), ("role", "developer")];
    let answer = anna.post(invite, &fields).await;
    assert_eq!(answer.header("location"), "/companies/co_a/people?done=invited");
    assert!(anna.get(PEOPLE).await.body.contains("dora@shop.example"));
    let text = letter(&server, "dora@shop.example").await;
    assert!(text.contains("anna@shop.example invites you to act for \"Anvils & Co\""), "{text}");
    let link = link_in(&text);
    let token = parameters(&link)["token"].clone();

    let mut dora = Browser::new(&server);
    let page = dora.get(&link).await;
    assert!(page.body.contains("Anvils") && page.body.contains("name=\"new_password\""));
    let dora_csrf = field(&page.body, "csrf");
    let accept = |password: &'static str| {
        [
            ("csrf", dora_csrf.clone()),
            ("token", token.clone()),
            ("new_password", password.to_owned()),
        ]
    };
    assert_eq!(post_invitation(&mut dora, &accept("short")).await.status, StatusCode::BAD_REQUEST);
    let stranger = post_invitation(&mut Browser::new(&server), &accept(PASSWORD)).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN, "a form of another browser");
    // Somebody else who is signed in cannot take it up, whatever is posted.
    let elsewhere = anna.get(&link).await;
    assert!(elsewhere.body.contains("This invitation is for"));
    let annas = field(&elsewhere.body, "csrf");
    let answer = anna.post("/invitation", &[("csrf", &annas), ("token", &token)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);

    let answer = post_invitation(&mut dora, &accept(PASSWORD)).await;
    assert_eq!(answer.header("location"), "/companies/co_a");
    assert_eq!(dora.get("/companies/co_a").await.status, StatusCode::OK);
    assert_eq!(dora.get(PEOPLE).await.status, StatusCode::FORBIDDEN, "a developer");
    assert_eq!(dora.get(&link).await.status, StatusCode::GONE, "once");
    assert!(!anna.get(PEOPLE).await.body.contains("name=\"invitation\""));
}

#[tokio::test]
async fn an_invitation_of_somebody_known_needs_that_account() {
    let server = world().await;
    server.app.store.add_membership("anna", "co_a", Role::Owner).await.expect("writes");
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    let invite = "/companies/co_a/people/invite";
    let fields = [("csrf", csrf.as_str()), ("email", "ben@shop.example"), ("role", "admin")];
    assert_eq!(anna.post(invite, &fields).await.status, StatusCode::SEE_OTHER);
    let link = link_in(&letter(&server, "ben@shop.example").await);
    let token = parameters(&link)["token"].clone();
    let mut ben = Browser::new(&server);
    let page = ben.get(&link).await;
    assert!(!page.body.contains("new_password"), "nobody makes a second account of an address");
    let csrf = field(&ben.get("/forgotten-password").await.body, "csrf");
    let fields = [("csrf", csrf.as_str()), ("token", &token), ("new_password", "another horse")];
    assert_eq!(ben.post("/invitation", &fields).await.status, StatusCode::CONFLICT);
    let path =
        page.body.split("href=\"/sign-in?continue=").nth(1).and_then(|rest| rest.split('"').next());
    let path = format!("/sign-in?continue={}", path.expect("a link to sign in"));
    let answer = ben.sign_in(&path, "ben@shop.example").await;
    assert_eq!(answer.header("location"), link);
    let page = ben.get(&link).await;
    let csrf = field(&page.body, "csrf");
    let answer = ben.post("/invitation", &[("csrf", &csrf), ("token", &token)]).await;
    assert_eq!(answer.header("location"), "/companies/co_a");
    assert_eq!(role_of(&server, "ben").await, Some(Role::Admin));
}

#[tokio::test]
async fn an_invitation_ends() {
    let server = staffed().await;
    let (mut ben, csrf) = signed_in(&server, "ben").await;
    let invite = "/companies/co_a/people/invite";
    let fields = [("csrf", csrf.as_str()), ("email", "dora@shop.example"), ("role", "owner")];
    assert_eq!(
        ben.post(invite, &fields).await.status,
        StatusCode::FORBIDDEN,
        "an admin makes no owner"
    );
    assert_eq!(letters(&server).len(), 0);
    let fields = [("csrf", csrf.as_str()), ("email", "dora@shop.example"), ("role", "admin")];
    ben.post(invite, &fields).await;
    let first = link_in(&letter(&server, "dora@shop.example").await);
    let id = field(&ben.get(PEOPLE).await.body, "invitation");
    let withdraw = "/companies/co_a/people/withdraw";
    let answer = ben.post(withdraw, &[("csrf", &csrf), ("invitation", &id)]).await;
    assert_eq!(answer.header("location"), "/companies/co_a/people?done=withdrawn");
    assert_eq!(ben.get(&first).await.status, StatusCode::GONE);
    let again = ben.post(withdraw, &[("csrf", &csrf), ("invitation", &id)]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    later(&server, 60);
    ben.post(invite, &fields).await;
    let second = link_in(&letter(&server, "dora@shop.example").await);
    assert_eq!(Browser::new(&server).get(&second).await.status, StatusCode::OK);
    later(&server, 7 * 24 * 3600);
    assert_eq!(Browser::new(&server).get(&second).await.status, StatusCode::GONE);
    assert_eq!(Browser::new(&server).get("/invitation").await.status, StatusCode::GONE);
}
