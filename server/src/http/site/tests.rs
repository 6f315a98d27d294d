use axum::body::Body;

use super::{
    Place::{Both, Issuer, Page, Portal},
    place,
};
use crate::testing::{Answer, TestServer};

const ISSUER: &str = "pay.example";
const PORTAL: &str = "apps.pay.example";

fn server() -> TestServer {
    TestServer::with(|config| config.portal_origin = Some(format!("https://{PORTAL}")))
}

async fn ask(server: &TestServer, method: &str, host: &str, path: &str) -> Answer {
    let request = super::Request::builder().method(method).uri(path).header("host", host);
    server.send(request.body(Body::empty()).expect("a request")).await
}

#[test]
fn where_everything_is() {
    for (path, expected) in [
        ("/", Both),
        ("/healthz", Both),
        ("/sign-in", Page),
        ("/sign-in/code", Page),
        ("/sign-in/portal", Page),
        ("/sign-in/handed-over", Portal),
        ("/signed-out", Portal),
        ("/forgotten-password", Page),
        ("/reset-password", Page),
        ("/invitation", Page),
        ("/sign-out", Both),
        ("/assets/style.css", Both),
        ("/icons/x.png", Both),
        ("/companies/co_a", Both),
        ("/companies/co_a/applications", Portal),
        ("/companies/co_a/applications/mco_app_x/secret", Portal),
        ("/companies/co_a/connected-apps", Page),
        ("/companies/co_a/people", Page),
        ("/companies/co_a/applicationsx", Page),
        ("/companies/co_a/webhooks", Page),
        ("/account", Page),
        ("/account/sessions", Page),
        ("/oauth/authorize", Issuer),
        ("/oauth/token", Issuer),
        ("/.well-known/oauth-authorization-server", Issuer),
        ("/api/partner/v1/company", Issuer),
        ("/payment/x", Issuer),
        ("/sign-out/x", Issuer),
        ("/accounts", Issuer),
        ("/nothing", Issuer),
    ] {
        assert_eq!(place(path), expected, "{path}");
    }
}

#[tokio::test]
async fn nothing_of_oauth_is_at_the_developers_host() {
    let server = server();
    for (method, path) in [
        ("GET", "/oauth/authorize?client_id=x"),
        ("POST", "/oauth/authorize/decision"),
        ("POST", "/oauth/token"),
        ("POST", "/oauth/par"),
        ("POST", "/oauth/introspect"),
        ("POST", "/oauth/revoke"),
        ("POST", "/oauth/native/installations"),
        ("GET", "/oauth/jwks.json"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/api/partner/v1/makepay/payment-links"),
    ] {
        for host in [PORTAL, "APPS.pay.example:443"] {
            let answer = ask(&server, method, host, path).await;
            assert_eq!(answer.status, 404, "{method} {path} at {host}");
        }
        assert_ne!(ask(&server, method, ISSUER, path).await.status, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn each_page_is_at_its_host() {
    let server = server();
    let applications = "/companies/co_a/applications?page=1";
    let sent = ask(&server, "GET", ISSUER, applications).await;
    assert_eq!(sent.status, 303);
    assert_eq!(sent.header("location"), format!("https://{PORTAL}{applications}"));
    let sent = ask(&server, "GET", PORTAL, "/companies/co_a/people").await;
    assert_eq!(sent.header("location"), "https://pay.example/companies/co_a/people");
    for (host, path) in [(ISSUER, applications), (PORTAL, "/account"), (PORTAL, "/sign-in")] {
        assert_eq!(ask(&server, "POST", host, path).await.status, 421, "{path}");
    }
    for host in [ISSUER, PORTAL] {
        for path in ["/assets/style.css", "/healthz"] {
            assert_eq!(ask(&server, "GET", host, path).await.status, 200, "{path} at {host}");
        }
    }
    let sent = ask(&server, "GET", PORTAL, "//evil.example/companies/../account").await;
    assert_eq!(sent.status, 404);
    let alone = TestServer::start();
    let answer = ask(&alone, "GET", PORTAL, applications).await;
    assert!(answer.body.contains("name=\"password\""), "without the setting there is one host");
}
