use axum::http::StatusCode;

use super::{
    browser::{Browser, field, parameters},
    letters::{letter, letters, link_in},
    world::{PARTNER_CALLBACK, PASSWORD, later, partner_link, world},
};
use crate::{people::totp, testing::TestServer, vault::Purpose};

const NEW: &str = "another horse";

/// The cookie that names a session.
const SESSION: &str = "__Host-counterfoil";

/// A browser in which somebody is signed in, and the token of its forms.
async fn signed_in<'a>(server: &'a TestServer, name: &str) -> (Browser<'a>, String) {
    let mut browser = Browser::new(server);
    let answer = browser.sign_in("/sign-in", &format!("{name}@shop.example")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let csrf = field(&browser.get("/account").await.body, "csrf");
    (browser, csrf)
}

async fn is_signed_in(browser: &mut Browser<'_>) -> bool {
    !browser.get("/account").await.body.contains("action=\"/sign-in\"")
}

/// The code that anna's app shows now.
async fn code_of(server: &TestServer, name: &str) -> String {
    let factor = server.app.store.second_factor(name).await.expect("reads").expect("a factor");
    let secret = server.app.vault.open(Purpose::SecondFactor, &factor.sealed).expect("opens");
    totp::code_of(&secret, totp::step_of(server.app.now()))
}

/// Turns codes on, and answers the recovery codes.
async fn with_codes(server: &TestServer, browser: &mut Browser<'_>, csrf: &str) -> Vec<String> {
    let begun =
        browser.post("/account/codes/begin", &[("csrf", csrf), ("password", PASSWORD)]).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER);
    let code = code_of(server, "anna").await;
    let answer = browser.post("/account/codes/confirm", &[("csrf", csrf), ("code", &code)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let codes = answer.body.split("<li><code>").skip(1);
    codes.filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn another_password_needs_the_present_one_and_ends_every_other_session() {
    let server = world().await;
    let (mut other, _) = signed_in(&server, "anna").await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    let cookie = anna.cookies[SESSION].clone();
    for (old, new, status) in [
        ("wrong", NEW, StatusCode::FORBIDDEN),
        ("", NEW, StatusCode::FORBIDDEN),
        (PASSWORD, "short", StatusCode::BAD_REQUEST),
        (PASSWORD, "anna@shop.example", StatusCode::BAD_REQUEST),
    ] {
        let fields = [("csrf", csrf.as_str()), ("password", old), ("new_password", new)];
        let answer = anna.post("/account/password", &fields).await;
        assert_eq!(answer.status, status, "{old} {new}");
    }
    assert!(is_signed_in(&mut other).await);
    let fields = [("csrf", csrf.as_str()), ("password", PASSWORD), ("new_password", NEW)];
    let answer = anna.post("/account/password", &fields).await;
    assert_eq!(answer.header("location"), "/account?done=password");
    assert_ne!(anna.cookies[SESSION], cookie, "under another name");
    assert!(is_signed_in(&mut anna).await);
    assert!(!is_signed_in(&mut other).await);
    anna.cookies.insert("__Host-counterfoil".to_owned(), cookie);
    assert!(!is_signed_in(&mut anna).await);
    assert!(letter(&server, "anna@shop.example").await.contains("Your password was changed"));
}

#[tokio::test]
async fn guessing_the_present_password_is_slowed() {
    let server = world().await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    let fields = [("csrf", csrf.as_str()), ("password", "wrong"), ("new_password", NEW)];
    for _ in 0..server.app.config.limits.sign_in_failures_per_minute {
        assert_eq!(anna.post("/account/password", &fields).await.status, StatusCode::FORBIDDEN);
    }
    let right = [("csrf", csrf.as_str()), ("password", PASSWORD), ("new_password", NEW)];
    let answer = anna.post("/account/password", &right).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    later(&server, 60);
    assert_eq!(anna.post("/account/password", &right).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let server = world().await;
    let (mut other, _) = signed_in(&server, "anna").await;
    let (mut ben, _) = signed_in(&server, "ben").await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    let page = anna.get("/account").await.body;
    let listed: Vec<_> = page.split("name=\"session\" value=\"").skip(1).collect();
    assert_eq!(listed.len(), 2);
    for cookies in [&anna.cookies, &other.cookies] {
        assert!(!page.contains(&cookies[SESSION]));
    }
    let bens = server.app.store.sessions("ben", server.app.now()).await.expect("reads");
    let bens = counterfoil_protocol::encoding::base64url(&bens[0].hash);
    let foreign = anna.post("/account/sessions", &[("csrf", &csrf), ("session", &bens)]).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert!(is_signed_in(&mut ben).await);
    assert_eq!(
        anna.post("/account/sessions", &[("csrf", &csrf)]).await.status,
        StatusCode::BAD_REQUEST
    );

    let this = server.app.signed_in(&cookie_header(&anna)).await.expect("reads").expect("anna");
    let this = counterfoil_protocol::encoding::base64url(&this.session.hash);
    let id = listed.iter().filter_map(|rest| rest.split('"').next()).find(|id| *id != this);
    let fields = [("csrf", csrf.as_str()), ("session", id.expect("the other one"))];
    let answer = anna.post("/account/sessions", &fields).await;
    assert_eq!(answer.header("location"), "/account?done=sessions");
    assert!(!is_signed_in(&mut other).await);
    assert!(is_signed_in(&mut anna).await);
    let answer = anna.post("/account/sessions", &[("csrf", &csrf), ("all", "yes")]).await;
    assert_eq!(answer.header("location"), "/sign-in");
    assert!(!is_signed_in(&mut anna).await);
}

fn cookie_header(browser: &Browser<'_>) -> axum::http::HeaderMap {
    let cookie = format!("__Host-counterfoil={}", browser.cookies[SESSION]);
    [(axum::http::header::COOKIE, cookie.parse().expect("a value"))].into_iter().collect()
}

#[tokio::test]
async fn a_forgotten_password_by_a_link_that_works_once() {
    let server = world().await;
    let (mut signed_in, _) = signed_in(&server, "anna").await;
    let mut browser = Browser::new(&server);
    let csrf = field(&browser.get("/forgotten-password").await.body, "csrf");
    let mut answers = Vec::new();
    for email in ["anna@shop.example", "nobody@shop.example", " ANNA@shop.example"] {
        let answer =
            browser.post("/forgotten-password", &[("csrf", &csrf), ("email", email)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "the same to everybody");
    super::letters::wait_for(&server, 2).await;
    let all = letters(&server);
    assert!(all.iter().all(|letter| letter.contains("To: anna@shop.example\r\n")));
    let [older, newer] = [&all[0], &all[1]].map(|letter| link_in(letter));
    // Which of two of the same second came last is in the store alone.
    let mut works = Vec::new();
    for link in [&older, &newer] {
        let page = browser.get(link).await;
        if page.status == StatusCode::OK {
            works.push(link);
        } else {
            assert_eq!(page.status, StatusCode::GONE);
        }
    }
    let [link] = works[..] else { panic!("only the newest works: {works:?}") };
    let token = &parameters(link)["token"];
    let page = browser.get(link).await;
    assert!(page.body.contains("anna@shop.example"), "looking spends nothing");
    let csrf = field(&page.body, "csrf");
    let finish = [("csrf", csrf.as_str()), ("token", token), ("new_password", NEW)];
    let weak = [("csrf", csrf.as_str()), ("token", token), ("new_password", "12345678")];
    assert_eq!(browser.post("/reset-password", &weak).await.status, StatusCode::BAD_REQUEST);
    let mut stranger = Browser::new(&server);
    assert_eq!(stranger.post("/reset-password", &finish).await.status, StatusCode::FORBIDDEN);
    let (status, body) = {
        let answer = browser.post("/reset-password", &finish).await;
        (answer.status, answer.body)
    };
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(browser.post("/reset-password", &finish).await.status, StatusCode::GONE, "once");
    assert!(!is_signed_in(&mut signed_in).await, "every session ends");
    let old = Browser::new(&server).sign_in("/sign-in", "anna@shop.example").await;
    assert_eq!(old.status, StatusCode::FORBIDDEN, "the old password is dead");
}

#[tokio::test]
async fn a_link_ends_after_an_hour_and_strangers_cannot_have_many_sent() {
    let server = world().await;
    let mut browser = Browser::new(&server);
    let csrf = field(&browser.get("/forgotten-password").await.body, "csrf");
    let fields = [("csrf", csrf.as_str()), ("email", "anna@shop.example")];
    for _ in 0..5 {
        assert_eq!(browser.post("/forgotten-password", &fields).await.status, StatusCode::OK);
    }
    super::letters::wait_for(&server, 3).await;
    for _ in 5..20 {
        let nobody = [("csrf", csrf.as_str()), ("email", "nobody@shop.example")];
        assert_eq!(browser.post("/forgotten-password", &nobody).await.status, StatusCode::OK);
    }
    let answer = browser.post("/forgotten-password", &fields).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "180");
    assert_eq!(letters(&server).len(), 3);
    later(&server, 3_600);
    for letter in letters(&server) {
        assert_eq!(browser.get(&link_in(&letter)).await.status, StatusCode::GONE);
    }
    for token in ["", "x", "token=x&token=y"] {
        let answer = browser.get(&format!("/reset-password?token={token}")).await;
        assert!(answer.status.is_client_error(), "{token}");
    }
}

/// Posts the second step of signing in.
async fn give_code(
    browser: &mut Browser<'_>,
    fields: &[(&'static str, String)],
) -> (StatusCode, String) {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = browser.post("/sign-in/code", &fields).await;
    (answer.status, answer.header("location").to_owned())
}

#[tokio::test]
async fn signing_in_with_codes() {
    let server = world().await;
    let (mut other, _) = signed_in(&server, "anna").await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    let before = anna.cookies[SESSION].clone();
    let wrong = [("csrf", csrf.as_str()), ("password", "wrong")];
    assert_eq!(anna.post("/account/codes/begin", &wrong).await.status, StatusCode::FORBIDDEN);
    assert_eq!(anna.get("/account/codes/qr.svg").await.status, StatusCode::NOT_FOUND);
    let recovery = with_codes(&server, &mut anna, &csrf).await;
    assert_eq!(recovery.len(), 10);
    assert_ne!(anna.cookies[SESSION], before, "under another name");
    assert!(!is_signed_in(&mut other).await, "every other browser is signed out");
    assert_eq!(
        anna.get("/account/codes/qr.svg").await.status,
        StatusCode::NOT_FOUND,
        "shown to nobody"
    );
    assert!(letter(&server, "anna@shop.example").await.contains("One-time codes were turned on"));

    // The password alone opens nothing but the page that asks for the code.
    let mut browser = Browser::new(&server);
    let answer = browser.sign_in("/account", "anna@shop.example").await;
    assert_eq!(answer.header("location"), "/sign-in/code?continue=%2Faccount");
    assert!(!is_signed_in(&mut browser).await);
    let page = browser.get(answer.header("location")).await;
    let csrf = field(&page.body, "csrf");
    let used = code_of(&server, "anna").await;
    let prove = |code: &str| {
        vec![("csrf", csrf.clone()), ("continue", "/account".to_owned()), ("code", code.to_owned())]
    };
    let half = browser.cookies[SESSION].clone();
    for code in ["", "000000", &used] {
        assert_eq!(
            give_code(&mut browser, &prove(code)).await.0,
            StatusCode::FORBIDDEN,
            "{code}: used or wrong"
        );
    }
    later(&server, 30);
    let code = code_of(&server, "anna").await;
    let (status, location) = give_code(&mut browser, &prove(&code)).await;
    assert_eq!((status, location.as_str()), (StatusCode::SEE_OTHER, "/account"));
    assert_ne!(browser.cookies[SESSION], half, "under another name");
    assert!(is_signed_in(&mut browser).await);

    // A recovery code does too, once; and no code of another person.
    for (code, status) in
        [(&recovery[0], StatusCode::SEE_OTHER), (&recovery[0], StatusCode::FORBIDDEN)]
    {
        let mut browser = Browser::new(&server);
        let answer = browser.sign_in("/sign-in", "anna@shop.example").await;
        let page = browser.get(answer.header("location")).await;
        let csrf = field(&page.body, "csrf");
        let answer = browser.post("/sign-in/code", &[("csrf", &csrf), ("code", code)]).await;
        assert_eq!(answer.status, status);
    }
    let evil = browser.get("/sign-in/code?continue=https://evil.example/").await;
    assert_eq!(evil.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn five_wrong_codes_lock_them_and_the_person_is_told() {
    let server = world().await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    with_codes(&server, &mut anna, &csrf).await;
    later(&server, 30);
    let mut browser = Browser::new(&server);
    let answer = browser.sign_in("/sign-in", "anna@shop.example").await;
    let csrf = field(&browser.get(answer.header("location")).await.body, "csrf");
    let mut told = Vec::new();
    for _ in 0..5 {
        let answer = browser.post("/sign-in/code", &[("csrf", &csrf), ("code", "wrong")]).await;
        told.push(answer.body.contains("Too many codes"));
    }
    assert_eq!(told, [false, false, false, false, true]);
    let right = code_of(&server, "anna").await;
    let answer = browser.post("/sign-in/code", &[("csrf", &csrf), ("code", &right)]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(letters(&server).iter().any(|letter| letter.contains("five wrong codes")));
    later(&server, 900);
    let mut browser = Browser::new(&server);
    let answer = browser.sign_in("/sign-in", "anna@shop.example").await;
    let csrf = field(&browser.get(answer.header("location")).await.body, "csrf");
    let right = code_of(&server, "anna").await;
    let answer = browser.post("/sign-in/code", &[("csrf", &csrf), ("code", &right)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

/// Posts a decision.
async fn decide(
    browser: &mut Browser<'_>,
    fields: Vec<(&'static str, String)>,
) -> crate::testing::Answer {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post("/oauth/authorize/decision", &fields).await
}

#[tokio::test]
async fn approving_asks_for_a_fresh_code() {
    let server = world().await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    with_codes(&server, &mut anna, &csrf).await;
    later(&server, 300);
    let page = anna.get(&partner_link(&[])).await;
    let (csrf, ticket) = (field(&page.body, "csrf"), field(&page.body, "ticket"));
    let fields = |code: Option<&str>| {
        let mut fields = vec![
            ("csrf", csrf.clone()),
            ("ticket", ticket.clone()),
            ("company", "co_b".to_owned()),
            ("decision", "approve".to_owned()),
        ];
        fields.extend(code.map(|code| ("code", code.to_owned())));
        fields
    };
    let before = anna.cookies[SESSION].clone();
    let asked = decide(&mut anna, fields(None)).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.body.contains("name=\"code\"") && field(&asked.body, "ticket") == ticket);
    let wrong = decide(&mut anna, fields(Some("000000"))).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert_eq!(anna.cookies[SESSION], before, "a wrong code changes nothing");
    let code = code_of(&server, "anna").await;
    let done = decide(&mut anna, fields(Some(&code))).await;
    assert!(done.header("location").starts_with(PARTNER_CALLBACK), "{}", done.body);

    // Whoever planted or saw the session's name before the code has nothing of it.
    assert_ne!(anna.cookies[SESSION], before);
    let mut thief = Browser::new(&server);
    thief.cookies.insert(SESSION.to_owned(), before);
    assert!(!is_signed_in(&mut thief).await);
    assert!(is_signed_in(&mut anna).await);
    assert!(parameters(done.header("location")).contains_key("code"));

    // It speaks for five minutes.
    for (after, asks) in [(299, false), (1, true)] {
        later(&server, after);
        let page = anna.get(&partner_link(&[])).await;
        let (csrf, ticket) = (field(&page.body, "csrf"), field(&page.body, "ticket"));
        let fields = [
            ("csrf", csrf),
            ("ticket", ticket),
            ("company", "co_b".into()),
            ("decision", "approve".into()),
        ];
        let answer = decide(&mut anna, fields.to_vec()).await;
        assert_eq!(answer.body.contains("name=\"code\""), asks, "{after}");
    }
}

#[tokio::test]
async fn a_company_can_demand_codes() {
    let server = world().await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    let path = "/companies/co_b/people/codes";
    let answer = anna.post(path, &[("csrf", &csrf), ("needed", "yes")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    for (company, refused) in [("co_b", true), ("co_a", false)] {
        let page = anna.get(&partner_link(&[])).await;
        let (csrf, ticket) = (field(&page.body, "csrf"), field(&page.body, "ticket"));
        let fields = [
            ("csrf", csrf.as_str()),
            ("ticket", &ticket),
            ("company", company),
            ("decision", "approve"),
        ];
        let answer = anna.post("/oauth/authorize/decision", &fields).await;
        assert_eq!(answer.body.contains("second_factor_needed"), refused, "{}", answer.body);
        assert_eq!(answer.status == StatusCode::FORBIDDEN, refused);
    }
}

#[tokio::test]
async fn codes_are_turned_off_with_password_and_code() {
    let server = world().await;
    let (mut anna, csrf) = signed_in(&server, "anna").await;
    let recovery = with_codes(&server, &mut anna, &csrf).await;
    let csrf = field(&anna.get("/account").await.body, "csrf");
    for (password, code) in [("wrong", recovery[0].as_str()), (PASSWORD, "000000"), (PASSWORD, "")]
    {
        let fields = [("csrf", csrf.as_str()), ("password", password), ("code", code)];
        assert_eq!(anna.post("/account/codes/off", &fields).await.status, StatusCode::FORBIDDEN);
    }
    let fields = [("csrf", csrf.as_str()), ("password", PASSWORD), ("code", &recovery[0])];
    let answer = anna.post("/account/codes/off", &fields).await;
    assert_eq!(answer.header("location"), "/account?done=codes-off");
    let answer = Browser::new(&server).sign_in("/sign-in", "anna@shop.example").await;
    assert_eq!(answer.header("location"), "/");
}

#[tokio::test]
async fn whoever_guesses_elsewhere_locks_nobody_out() {
    let server = world().await;
    let mut anna = Browser::new(&server);
    anna.sign_in("/sign-in", "anna@shop.example").await;
    let mut stranger = Browser::new(&server);
    let csrf = field(&stranger.get("/sign-in").await.body, "csrf");
    let wrong = [("csrf", csrf.as_str()), ("email", "anna@shop.example"), ("password", "wrong")];
    for _ in 0..server.app.config.limits.sign_in_failures_per_minute {
        assert_eq!(stranger.post("/sign-in", &wrong).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(stranger.post("/sign-in", &wrong).await.status, StatusCode::TOO_MANY_REQUESTS);
    let device = anna.cookies["__Host-counterfoil-device"].clone();
    anna.cookies.remove("__Host-counterfoil");
    assert_eq!(anna.sign_in("/sign-in", "anna@shop.example").await.status, StatusCode::SEE_OTHER);

    // A browser of hers that was stolen has the allowance of that browser; it is none for other people.
    stranger.cookies.insert("__Host-counterfoil-device".to_owned(), device);
    for _ in 0..server.app.config.limits.sign_in_failures_per_minute {
        assert_eq!(stranger.post("/sign-in", &wrong).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(stranger.post("/sign-in", &wrong).await.status, StatusCode::TOO_MANY_REQUESTS);
    let bens = [("csrf", csrf.as_str()), ("email", "ben@shop.example"), ("password", "wrong")];
    assert_eq!(stranger.post("/sign-in", &bens).await.status, StatusCode::TOO_MANY_REQUESTS);
}
