//! Around the finished router: what holds for every request and every answer, those that no route has seen included.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};

use super::{
    error::{Cause, Refusal},
    site::{Site, is_authority_of},
};
use crate::app::App;

/// For so long a browser remembers that this host speaks https alone.
const STRICT_TRANSPORT: &str = "max-age=31536000";

/// Wraps the router, with its `Allow` headers, which it adds outside its own layers.
pub fn around(routes: Router, app: Arc<App>) -> Router {
    Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(app, pass))
}

async fn pass(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let site = Site::of(&request, &app.config);
    let answered = match judge_target(&request, site.origin(&app.config)) {
        Ok(()) => site.elsewhere(&request, &app),
        Err(refusal) => Some(refusal.into_response()),
    };
    let mut response = match answered {
        None => {
            request.extensions_mut().insert(site);
            next.run(request).await
        }
        Some(mut response) => {
            if let Some(Cause { code, text }) = response.extensions_mut().remove() {
                tracing::info!(code, cause = text, "refused");
            }
            response
        }
    };
    let headers = response.headers_mut();
    space_out_allow(headers);
    if app.config.issuer.starts_with("https://") {
        let value = HeaderValue::from_static(STRICT_TRANSPORT);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// Which host a request is for must have one answer (RFC 9112 §3.2). `Host` itself is not compared: behind a proxy it may
/// be anything. All that is made of it is which of our own two hosts is meant.
fn judge_target(request: &Request, origin: &str) -> Result<(), Refusal> {
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        return Err(Refusal::invalid_request("The header Host is given twice."));
    }
    match request.uri().authority() {
        Some(named) if !is_authority_of(named.as_str(), origin) => {
            let sentence = "This server does not answer for the host that the request names.";
            Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "misdirected_request", sentence))
        }
        _ => Ok(()),
    }
}

/// The router joins the names without spaces; RFC 9110 §10.2.1 writes them with, and some clients split there.
fn space_out_allow(headers: &mut HeaderMap) {
    let Some(allow) = headers.get(header::ALLOW).and_then(|allow| allow.to_str().ok()) else {
        return;
    };
    let spaced = allow.split(',').map(str::trim).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::from_str(&spaced) {
        headers.insert(header::ALLOW, value);
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Method};

    use crate::testing::{Answer, TestServer};

    async fn send(server: &TestServer, method: Method, uri: &str, hosts: &[&str]) -> Answer {
        let mut request = super::Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        server.send(request.body(Body::empty()).expect("a request")).await
    }

    #[tokio::test]
    async fn allow_is_spelled_with_spaces() {
        let server = TestServer::start();
        for (method, path, allow) in [
            (Method::POST, "/.well-known/oauth-authorization-server", "GET, HEAD"),
            (Method::POST, "/.well-known/oauth-protected-resource", "GET, HEAD"),
            (Method::OPTIONS, "/oauth/jwks.json", "GET, HEAD"),
            (Method::GET, "/oauth/token", "POST"),
            (Method::HEAD, "/oauth/token", "POST"),
            (Method::PUT, "/sign-in", "GET, HEAD, POST"),
        ] {
            let answer = send(&server, method.clone(), path, &[]).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            let mut named: Vec<_> = answer.header("allow").split(", ").collect();
            named.sort_unstable();
            assert_eq!(named.join(", "), allow, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn every_answer_insists_on_https() {
        let server = TestServer::start();
        let plain = TestServer::with(|config| config.issuer = "http://127.0.0.1:8480".to_owned());
        for path in ["/healthz", "/oauth/jwks.json", "/oauth/token", "/nothing", "/sign-in"] {
            let answer = send(&server, Method::GET, path, &[]).await;
            assert_eq!(answer.header("strict-transport-security"), "max-age=31536000", "{path}");
            let answer = send(&plain, Method::GET, path, &[]).await;
            assert_eq!(answer.header("strict-transport-security"), "", "{path}");
        }
    }

    #[tokio::test]
    async fn a_request_for_another_host_is_not_answered() {
        let server = TestServer::start();
        for own in ["/sign-in", "https://pay.example/sign-in", "http://PAY.example:443/sign-in"] {
            let answer = send(&server, Method::GET, own, &["anything.example"]).await;
            assert_eq!(answer.status, 200, "{own}");
        }
        for other in [
            "http://evil.example/sign-in",
            "https://pay.example.evil.example/sign-in",
            "https://pay.example:8443/sign-in",
            "https://pay.example@evil.example/sign-in",
        ] {
            let answer = send(&server, Method::GET, other, &["pay.example"]).await;
            assert_eq!(answer.status, 421, "{other}");
            assert_eq!(answer.header("set-cookie"), "", "{other}");
        }
        let answer = send(&server, Method::GET, "/sign-in", &["pay.example", "evil.example"]).await;
        assert_eq!((answer.status.as_u16(), answer.header("set-cookie")), (400, ""));
    }
}
