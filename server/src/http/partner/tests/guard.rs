//! Every refusal of the guard, beside the honest request that passes.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use counterfoil_protocol::{UnixTime, encoding::base64url, scope::ScopeSet};

use super::shop::{API, Ath, ISSUER, Key, Knobs, Shop, json, ok, refused};
use crate::{
    audit::Actor,
    oauth::{grant::EndReason, installation::UNAPPROVED_LIFETIME},
    testing::{Answer, TestServer},
};

const LINKS: &str = "/api/partner/v1/makepay/payment-links";
const METADATA: &str = r#"resource_metadata="https://pay.example/.well-known/oauth-protected-resource/api/partner/v1""#;

async fn get(shop: &Shop<'_>, change: impl FnOnce(&mut HeaderMap)) -> Answer {
    let mut request = shop.request("GET", "payment-links", "");
    change(request.headers_mut());
    shop.server.send(request).await
}

/// A request with another token and a right proof for that token.
async fn with_token(shop: &Shop<'_>, scheme: &str, token: &str) -> Answer {
    let knobs = Knobs { ath: Ath::Of(token), ..Knobs::default() };
    let proof = shop.proof("GET", LINKS, &knobs);
    get(shop, |headers| {
        headers.insert(header::AUTHORIZATION, value(&format!("{scheme} {token}")));
        headers.insert("dpop", value(&proof));
    })
    .await
}

/// A request with another proof.
async fn with_proof(shop: &Shop<'_>, proof: &str) -> Answer {
    get(shop, |headers| {
        headers.insert("dpop", value(proof));
    })
    .await
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a header")
}

#[track_caller]
fn challenged(answer: &Answer, code: &str) {
    refused(answer, 401, code);
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, format!(r#"DPoP error="{code}", algs="ES256", {METADATA}"#));
    // Some clients cannot read a 401 of this scheme without one.
    assert!(!answer.header("dpop-nonce").is_empty());
}

#[tokio::test]
async fn an_honest_request_passes() {
    let server = TestServer::start();
    for platform in ["wordpress", "btcpay-server", "medusa"] {
        let shop = Shop::connect(&server, platform, "Nordwind").await;
        ok(&shop.call("GET", "payment-links", "").await, 200);
        for scheme in ["dpop", "DPOP", "DpOp"] {
            ok(&with_token(&shop, scheme, &shop.token).await, 200);
        }
    }
}

#[tokio::test]
async fn what_passes_is_noted_and_what_is_refused_is_not() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let grant = shop.claims.grant_id.as_deref().expect("a grant");
    let (app, first) = (&server.app, server.app.now());
    ok(&shop.call("GET", "payment-links", "").await, 200);
    assert_eq!(app.last_access.newest(grant, None), Some(first));
    server.clock.advance(5);
    let knobs = Knobs { signer: Some(&Key::new()), ..Knobs::default() };
    let foreign = shop.proof("GET", LINKS, &knobs);
    refused(&with_proof(&shop, &foreign).await, 401, "invalid_token");
    assert_eq!(app.last_access.newest(grant, None), Some(first));
    ok(&shop.call("GET", "payment-links", "").await, 200);
    let newest = Some(first + 5);
    assert_eq!(app.last_access.newest(grant, None), newest);
    // Written, it is there for whoever opens the database.
    assert_eq!(app.store.last_access(grant).await.expect("reads"), None);
    app.last_access.flush(&*app.store).await.expect("writes");
    assert_eq!(app.last_access.newest(grant, None), None);
    assert_eq!(app.store.last_access(grant).await.expect("reads"), newest);
}

#[tokio::test]
async fn without_credentials_the_challenge_names_no_error() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    for (route, method) in [
        ("branding", "GET"),
        ("payment-links", "GET"),
        ("payment-links", "POST"),
        ("payment-links/x", "GET"),
        ("payment-links/x", "PATCH"),
        ("settings", "GET"),
        ("webhook-secret", "POST"),
        ("webhook-subscriptions/current", "GET"),
        ("webhook-subscriptions/current", "PUT"),
        ("webhook-subscriptions/current", "DELETE"),
    ] {
        let mut request = shop.request(method, route, "");
        request.headers_mut().remove(header::AUTHORIZATION);
        let answer = server.send(request).await;
        refused(&answer, 401, "invalid_token");
        let challenges: Vec<_> = answer.headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
        let dpop = format!(r#"DPoP algs="ES256", {METADATA}"#);
        assert_eq!(challenges, [&*dpop, &*format!("Bearer {METADATA}")], "{method} {route}");
        for scheme in ["Authorization: Bearer", "Authorization: DPoP"] {
            assert!(answer.body.contains(scheme), "{}", answer.body);
        }
    }
    for other in ["Basic YTpi", "Digest x", "token"] {
        let answer = get(&shop, |headers| {
            headers.insert(header::AUTHORIZATION, value(other));
        });
        assert!(!answer.await.header("www-authenticate").contains("error="), "{other}");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_read() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let token = &shop.token;
    for text in [
        "DPoP".to_owned(),
        format!("DPoP  {token}"),
        format!("DPoP\t{token}"),
        format!("DPoP {token} {token}"),
        format!("DPoP {token},"),
    ] {
        let answer = get(&shop, |headers| {
            headers.insert(header::AUTHORIZATION, value(&text));
        });
        refused(&answer.await, 400, "invalid_request");
    }
    let twice = get(&shop, |headers| {
        headers.append(header::AUTHORIZATION, value(&format!("DPoP {token}")));
    });
    refused(&twice.await, 400, "invalid_request");
    let in_query = shop.request("GET", &format!("payment-links?access_token={token}"), "");
    refused(&server.send(in_query).await, 400, "invalid_request");
    Shop::assert_good(&shop.call("GET", "payment-links", "").await);
}

#[tokio::test]
async fn api_keys() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    for name in super::super::guard::API_KEY_HEADERS {
        let key = (HeaderName::from_static(name), HeaderValue::from_static("mk_makepay_x"));
        let both = get(&shop, |headers| {
            headers.insert(key.0.clone(), key.1.clone());
        });
        refused(&both.await, 400, "invalid_request");
        let alone = get(&shop, |headers| {
            headers.remove(header::AUTHORIZATION);
            headers.insert(key.0, key.1);
        });
        refused(&alone.await, 401, "invalid_token");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_here() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let now = server.app.now();
    let other = Shop::connect(&server, "wordpress", "Nordwind").await;
    for token in [
        shop.token_with(|claims| claims.iss = "https://evil.example".to_owned()),
        shop.token_with(|claims| claims.aud = vec![ISSUER.to_owned()]),
        shop.token_with(|claims| claims.exp = now),
        shop.token_with(|claims| claims.exp = UnixTime(0)),
        shop.token_with(|claims| claims.nbf = Some(now + 61)),
        shop.token_with(|claims| claims.jti = None),
        shop.token_with(|claims| claims.grant_id = None),
        shop.token_with(|claims| claims.grant_id = Some("unknown".to_owned())),
        shop.token_with(|claims| claims.family_id = Some(base64url(&[0; 16]))),
        shop.token_with(|claims| claims.client_id.push('x')),
        shop.token_with(|claims| claims.client_id.clone_from(&other.claims.client_id)),
        // Unbound, sent as DPoP.
        shop.token_with(|claims| claims.cnf = None),
        format!("{}x", shop.token),
        "..".to_owned(),
        "mco_rt_x".to_owned(),
        "A".repeat(9_000),
    ] {
        challenged(&with_token(&shop, "DPoP", &token).await, "invalid_token");
    }
    Shop::assert_good(&shop.call("GET", "payment-links", "").await);
}

#[tokio::test]
async fn a_bound_token_is_no_bearer_token() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    for scheme in ["Bearer", "bearer", "BeArEr"] {
        challenged(&with_token(&shop, scheme, &shop.token).await, "invalid_token");
        let without_proof = get(&shop, |headers| {
            headers.insert(header::AUTHORIZATION, value(&format!("{scheme} {}", shop.token)));
            headers.remove("dpop");
        });
        challenged(&without_proof.await, "invalid_token");
    }
}

#[tokio::test]
async fn an_unbound_token_is_a_bearer_token() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let token = shop.token_with(|claims| claims.cnf = None);
    ok(&with_token(&shop, "Bearer", &token).await, 200);
    let token = shop.token_with(|claims| (claims.cnf, claims.exp) = (None, claims.iat));
    let answer = with_token(&shop, "Bearer", &token).await;
    refused(&answer, 401, "invalid_token");
    let challenge = format!(r#"Bearer error="invalid_token", {METADATA}"#);
    assert_eq!(answer.header("www-authenticate"), challenge);
}

#[tokio::test]
async fn another_key() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let thief = Key::new();
    let knobs = Knobs { signer: Some(&thief), ..Knobs::default() };
    let proof = shop.proof("GET", LINKS, &knobs);
    challenged(&with_proof(&shop, &proof).await, "invalid_token");
}

#[tokio::test]
async fn a_wrong_proof() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let links = |knobs: &Knobs<'_>| shop.proof("GET", LINKS, knobs);
    let default = Knobs::default;
    for proof in [
        links(&Knobs { method: Some("POST"), ..default() }),
        links(&Knobs {
            uri: Some("https://evil.example/api/partner/v1/makepay/payment-links"),
            ..default()
        }),
        links(&Knobs {
            uri: Some("https://pay.example/api/partner/v1/makepay/payment-links/"),
            ..default()
        }),
        links(&Knobs { uri: Some("https://pay.example/oauth/token"), ..default() }),
        links(&Knobs { seconds_ahead: 301, ..default() }),
        links(&Knobs { seconds_ahead: -301, ..default() }),
        links(&Knobs { ath: Ath::Absent, ..default() }),
        links(&Knobs { ath: Ath::Of("another"), ..default() }),
        "x".to_owned(),
        String::new(),
    ] {
        challenged(&with_proof(&shop, &proof).await, "invalid_dpop_proof");
    }
    let none = get(&shop, |headers| {
        headers.remove("dpop");
    });
    challenged(&none.await, "invalid_dpop_proof");
    let (one, two) = (links(&default()), links(&default()));
    let twice = get(&shop, |headers| {
        headers.insert("dpop", value(&one));
        headers.append("dpop", value(&two));
    });
    challenged(&twice.await, "invalid_dpop_proof");
    // Neither of the two was spent by that.
    Shop::assert_good(&with_proof(&shop, &one).await);
    Shop::assert_good(&with_proof(&shop, &two).await);
}

#[tokio::test]
async fn the_clock_of_a_proof() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    for seconds_ahead in [300, 61, 0, -300] {
        let proof = shop.proof("GET", LINKS, &Knobs { seconds_ahead, ..Knobs::default() });
        Shop::assert_good(&with_proof(&shop, &proof).await);
    }
    // Partner applications have no shop's clock.
    let mut app = Shop::connect(&server, "wordpress", "Nordwind").await;
    app.token = app.token_with(|claims| claims.installation_id = None);
    for (seconds_ahead, good) in [(60, true), (61, false), (-300, true), (-301, false)] {
        let proof = app.proof("GET", LINKS, &Knobs { seconds_ahead, ..Knobs::default() });
        let answer = with_proof(&app, &proof).await;
        assert_eq!(answer.status.is_success(), good, "{seconds_ahead}");
    }
}

#[tokio::test]
async fn a_proof_is_good_once() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let proof = shop.proof("GET", LINKS, &Knobs::default());
    Shop::assert_good(&with_proof(&shop, &proof).await);
    challenged(&with_proof(&shop, &proof).await, "invalid_dpop_proof");
    let with_query = shop.request_with("GET", &format!("{LINKS}?limit=1"), "", &proof);
    challenged(&server.send(with_query).await, "invalid_dpop_proof");
}

#[tokio::test]
async fn where_a_proof_is_for_is_configured() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let lie = |headers: &mut HeaderMap| {
        headers.insert(header::HOST, HeaderValue::from_static("evil.example"));
        headers.insert("x-forwarded-host", HeaderValue::from_static("evil.example"));
    };
    Shop::assert_good(&get(&shop, lie).await);
    let uri = "https://evil.example/api/partner/v1/makepay/payment-links";
    let proof = shop.proof("GET", LINKS, &Knobs { uri: Some(uri), ..Knobs::default() });
    let answer = get(&shop, |headers| {
        lie(headers);
        headers.insert("dpop", value(&proof));
    });
    challenged(&answer.await, "invalid_dpop_proof");
}

#[tokio::test]
async fn scopes() {
    let server = TestServer::start();
    let all = "makepay:payment-links:read makepay:payment-links:write makepay:webhooks:read makepay:webhooks:write makepay:settings:read makepay:settings:write";
    for (method, route, scope) in [
        ("GET", "payment-links", "makepay:payment-links:read"),
        ("GET", "payment-links/x", "makepay:payment-links:read"),
        ("POST", "payment-links", "makepay:payment-links:write"),
        ("PATCH", "payment-links/x", "makepay:payment-links:write"),
        ("GET", "webhook-subscriptions/current", "makepay:webhooks:read"),
        ("PUT", "webhook-subscriptions/current", "makepay:webhooks:write"),
        ("DELETE", "webhook-subscriptions/current", "makepay:webhooks:write"),
        ("POST", "webhook-secret", "makepay:settings:write"),
        ("GET", "branding", "makepay:settings:read"),
        ("GET", "settings", "makepay:settings:read"),
    ] {
        let mut shop = Shop::connect(&server, "wordpress", "Nordwind").await;
        shop.claims.scope = ScopeSet::parse(all).expect("scopes");
        shop.token = shop.without(scope);
        let answer = shop.call(method, route, "{}").await;
        refused(&answer, 403, "insufficient_scope");
        let expected = format!(
            r#"DPoP error="insufficient_scope", scope="{scope}", algs="ES256", {METADATA}"#
        );
        assert_eq!(answer.header("www-authenticate"), expected);
        let alone = ScopeSet::parse(scope).expect("scopes");
        shop.token = shop.token_with(|claims| claims.scope = alone);
        let answer = shop.call(method, route, "{}").await;
        assert_ne!(answer.status.as_u16(), 403, "{method} {route}: {}", answer.body);
    }
}

#[tokio::test]
async fn nonces_where_the_client_must_have_them() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let ours = server.app.new_nonce();
    for (nonce, code) in
        [(Some("made-up"), Some("use_dpop_nonce")), (Some(&*ours), None), (None, None)]
    {
        let proof = shop.proof("GET", LINKS, &Knobs { nonce, ..Knobs::default() });
        let answer = with_proof(&shop, &proof).await;
        match code {
            Some(code) => challenged(&answer, code),
            None => Shop::assert_good(&answer),
        }
        let offered = if code.is_some() { ours.as_str() } else { "" };
        assert_eq!(answer.header("dpop-nonce"), offered);
    }
}

#[tokio::test]
async fn what_a_token_rests_on() {
    let server = TestServer::start();
    let (store, now) = (&server.app.store, server.app.now());

    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let jti = shop.claims.jti.as_deref().expect("a name");
    store.revoke_access(jti, shop.claims.exp).await.expect("revokes");
    challenged(&shop.call("GET", "payment-links", "").await, "invalid_token");
    let sibling = shop.token_with(|claims| claims.jti = Some("another".to_owned()));
    ok(&with_token(&shop, "DPoP", &sibling).await, 200);

    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let family = shop.claims.family_id.as_deref().expect("a family");
    let family = counterfoil_protocol::encoding::from_base64url_exact(family).expect("16 bytes");
    store.end_family(&family, EndReason::Revoked, &Actor::System, now).await.expect("ends");
    challenged(&shop.call("GET", "payment-links", "").await, "invalid_token");

    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    store.end_grant(shop.grant_id(), EndReason::Revoked, &Actor::System, now).await.expect("ends");
    challenged(&shop.call("GET", "payment-links", "").await, "invalid_token");

    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    store
        .release(&shop.claims.client_id, &Actor::System, server.app.now())
        .await
        .expect("releases");
    challenged(&shop.call("GET", "payment-links", "").await, "invalid_token");
}

#[tokio::test]
async fn a_token_ends_with_its_hour() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    server.clock.advance(3_599);
    Shop::assert_good(&shop.call("GET", "payment-links", "").await);
    server.clock.advance(1);
    challenged(&shop.call("GET", "payment-links", "").await, "invalid_token");
    server.clock.advance(UNAPPROVED_LIFETIME);
    let renewed = shop.token_with(|claims| claims.exp = server.app.now() + 60);
    ok(&with_token(&shop, "DPoP", &renewed).await, 200);
}

#[tokio::test]
async fn methods_paths_and_bodies() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress", "Nordwind").await;
    let answer = shop.call("PUT", "payment-links", "{}").await;
    refused(&answer, 405, "method_not_allowed");
    assert_eq!(answer.header("allow").replace(' ', ""), "GET,HEAD,POST");
    for path in ["payment-links/", "Payment-Links", "payment%2dlinks", "/payment-links", "unknown"]
    {
        assert_eq!(shop.call("GET", path, "").await.status.as_u16(), 404, "{path}");
    }
    let large = format!(r#"{{"payload":{{"amount":"1","note":"{}"}}}}"#, "x".repeat(70_000));
    refused(&shop.call("POST", "payment-links", &large).await, 413, "invalid_request");
    let mut request = shop.request("POST", "payment-links", "{}");
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    refused(&server.send(request).await, 415, "invalid_request");
    for body in
        ["", "{", "[]", "null", "{}x", r#"{"a":1,"a":2}"#, r#"{"payload":{"amount":1e400}}"#]
    {
        refused(&shop.call("POST", "payment-links", body).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn the_resource_describes_itself() {
    let server = TestServer::start();
    for path in ["/.well-known/oauth-protected-resource", super::super::metadata::PATH] {
        let request = axum::http::Request::get(path).header(header::HOST, "evil.example");
        let answer = server.send(request.body(axum::body::Body::empty()).expect("a request")).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let body = json(&answer);
        assert_eq!(body["resource"], format!("{ISSUER}/api/partner/v1"));
        assert!(API.starts_with("/api/partner/v1"));
        assert_eq!(body["authorization_servers"], serde_json::json!([ISSUER]));
        assert_eq!(body["bearer_methods_supported"], serde_json::json!(["header"]));
        assert_eq!(body["dpop_signing_alg_values_supported"], serde_json::json!(["ES256"]));
        assert_eq!(body["dpop_bound_access_tokens_required"], false);
    }
}
