use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};

use super::{
    browser::{Browser, parameters},
    world::{KEY, PARTNER, PARTNER_CALLBACK, SITE, STORE, later, link, partner_link, push, world},
};

#[tokio::test]
async fn what_must_not_redirect_does_not() {
    let server = world().await;
    let pushed = push(&server, SITE, KEY).await;
    let request_uri = pushed.split("request_uri=").nth(1).expect("a request_uri");
    let native = |change: &str| format!("{}&scope=x{change}", link(&[("client_id", STORE)]));
    for (path, code) in [
        ("/oauth/authorize".to_owned(), "invalid_authorization_request"),
        (link(&[("client_id", "")]), "invalid_authorization_request"),
        (link(&[("client_id", "nobody")]), "invalid_authorization_request"),
        (link(&[("client_id", "\0\r\n<script>")]), "invalid_authorization_request"),
        (format!("{}&client_id={PARTNER}", partner_link(&[])), "invalid_authorization_request"),
        (format!("{}&state=a", partner_link(&[])), "invalid_authorization_request"),
        (format!("{}&x=%zz", partner_link(&[])), "invalid_authorization_request"),
        (partner_link(&[("redirect_uri", "")]), "invalid_request"),
        (partner_link(&[("redirect_uri", "https://app.example/cb")]), "invalid_request"),
        (partner_link(&[("redirect_uri", "https://evil.example/")]), "invalid_request"),
        (partner_link(&[("redirect_uri", "javascript:alert(1)")]), "invalid_request"),
        (partner_link(&[("state", "a\r\nX: y")]), "invalid_request"),
        (partner_link(&[("state", "a\0")]), "invalid_request"),
        (partner_link(&[("state", &"a".repeat(4_000))]), "invalid_request"),
        (native(""), "invalid_authorization_request"),
        (native("&redirect_uri=https://shop.example/cb"), "invalid_authorization_request"),
        (format!("/oauth/authorize?request_uri={request_uri}"), "invalid_authorization_request"),
        (format!("{pushed}x"), "invalid_request_uri"),
        (
            link(&[("client_id", STORE), ("request_uri", "https://evil.example/r")]),
            "invalid_request_uri",
        ),
        (
            format!("/oauth/authorize?client_id={PARTNER}&request_uri={request_uri}"),
            "invalid_request_uri",
        ),
    ] {
        let answer = Browser::new(&server).get(&path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.header("location"), "", "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert!(answer.body.contains(&format!("<code>{code}</code>")), "{path}: {}", answer.body);
        assert!(!answer.body.contains("<script"), "{path}");
        let json = Request::get(&path)
            .header(header::ACCEPT, "application/json")
            .body(Body::empty())
            .expect("a request");
        let json = server.send(json).await;
        assert_eq!(json.status, StatusCode::BAD_REQUEST);
        assert!(json.body.starts_with(&format!("{{\"error\":\"{code}\"")), "{}", json.body);
    }
}

#[tokio::test]
async fn other_faults_of_partners_go_to_their_callback() {
    let server = world().await;
    for (change, code) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "nonsense"), "invalid_scope"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("resource", "https://elsewhere.example"), "invalid_target"),
        (("request", "e30"), "request_not_supported"),
        (("registration", "{}"), "registration_not_supported"),
    ] {
        let answer = Browser::new(&server).get(&partner_link(&[change])).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{change:?}");
        let location = answer.header("location");
        assert!(location.starts_with(&format!("{PARTNER_CALLBACK}&error={code}&")), "{location}");
        let told = parameters(location);
        assert_eq!((told["state"].as_str(), told["iss"].as_str()), ("xyz", "https://pay.example"));
        assert!(told.contains_key("error_description"));
    }
}

#[tokio::test]
async fn only_what_was_pushed_counts() {
    let server = world().await;
    let pushed = push(&server, SITE, KEY).await;
    let crowded = format!("{pushed}&redirect_uri=https://evil.example&scope=x&state=other");
    let page = Browser::new(&server).get(&crowded).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("name=\"password\""));
    later(&server, 300);
    let page = Browser::new(&server).get(&crowded).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("This link has expired"));
}

#[tokio::test]
async fn methods_and_lengths() {
    let server = world().await;
    let send = |method: Method, path: String| {
        let request = Request::builder().method(method).uri(path).body(Body::empty());
        server.send(request.expect("a request"))
    };
    let answer = send(Method::POST, partner_link(&[])).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("allow").replace(' ', ""), "GET,HEAD");
    let answer = send(Method::HEAD, partner_link(&[])).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
    let long = partner_link(&[("state", &"a".repeat(40_000))]);
    let answer = send(Method::GET, long).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::URI_TOO_LONG, ""));
}

#[tokio::test]
async fn assets_are_cached_under_their_hash() {
    let server = world().await;
    let page = Browser::new(&server).get("/sign-in").await;
    for start in ["/assets/style.css?v=", "/assets/icon.svg?v="] {
        let at = page.body.find(start).expect("named by the page");
        let path = page.body[at..].split('"').next().expect("a path");
        let asset = Browser::new(&server).get(path).await;
        assert_eq!(asset.status, StatusCode::OK);
        assert!(asset.header("cache-control").contains("immutable"));
        let etag = asset.header("etag");
        let again = Request::get(path)
            .header(header::IF_NONE_MATCH, etag)
            .body(Body::empty())
            .expect("a request");
        assert_eq!(server.send(again).await.status, StatusCode::NOT_MODIFIED);
    }
}
