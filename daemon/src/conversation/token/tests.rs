use hyper::{HeaderMap, StatusCode};
use serde_json::json;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn whole() -> Value {
    json!({
        "access_token": "a",
        "refresh_token": "r2",
        "token_type": "DPoP",
        "expires_in": 3_600,
        "scope": "company:read",
    })
}

#[test]
fn answers_of_the_token_endpoint_are_final_or_may_pass() {
    let passes = |status, body: &str| match read(&answer(status, body), Code::ReconnectRequired) {
        Ok(_) => None,
        Err(Failure::Passing(_)) => Some(true),
        Err(Failure::Final(_)) => Some(false),
    };
    assert_eq!(passes(200, &whole().to_string()), None);
    for (status, body) in [
        (200, ""),
        (200, "<html>"),
        (200, "{"),
        (200, "{}"),
        (302, ""),
        (403, "<html>blocked</html>"),
        (404, ""),
        (408, ""),
        (425, ""),
        (429, r#"{"error":"slow_down"}"#),
        (500, r#"{"error":"invalid_grant"}"#),
        (502, "<html>"),
        (400, r#"{"error":"server_error"}"#),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (400, r#"{"error":"invalid_dpop_proof"}"#),
        (400, r#"{"error":"DPoP proof was already used."}"#),
        (400, r#"{"error":"use_dpop_nonce"}"#),
    ] {
        assert_eq!(passes(status, body), Some(true), "{status} {body}");
    }
    for error in
        ["invalid_grant", "invalid_client", "invalid_dpop_key", "invalid_target", "Nonsense."]
    {
        for status in [200, 400, 401, 403] {
            let body = json!({ "error": error }).to_string();
            assert_eq!(passes(status, &body), Some(false), "{status} {error}");
        }
    }
    for member in ["access_token", "refresh_token", "token_type", "expires_in"] {
        let mut body = whole();
        body.as_object_mut().expect("an object").remove(member);
        assert_eq!(passes(200, &body.to_string()), Some(true), "without {member}");
    }
}

#[test]
fn what_a_refresh_must_not_change() {
    let scopes = ScopeSet::parse("company:read").expect("a set");
    let approved = Approved {
        client_id: "c".to_owned(),
        audience: "urn:api".to_owned(),
        scopes: scopes.clone(),
        company_id: "co".to_owned(),
        grant_id: "g".to_owned(),
        refresh: Secret::new("r1"),
    };
    let key = Thumbprint([7; 32]);
    let asked = Asked::again(&approved, &key, UnixTime(0), Code::ReconnectRequired);
    let claims = || Claims {
        iss: "https://pay.example".to_owned(),
        aud: vec!["urn:api".to_owned()],
        sub: None,
        client_id: "c".to_owned(),
        scope: scopes.clone(),
        iat: UnixTime(1_000),
        exp: UnixTime(4_600),
        nbf: None,
        jti: None,
        cnf: None,
        company_id: Some("co".to_owned()),
        company_name: None,
        grant_id: Some("g".to_owned()),
        installation_id: Some("c".to_owned()),
        family_id: None,
    };
    let judge = |body: Value, claims: Claims| {
        let response = serde_json::from_value(body).expect("a response");
        grant(response, claims, &asked, UnixTime(500), UnixTime(1_100))
    };
    let good = judge(whole(), claims()).expect("good");
    // The server's clock is 600 s ahead: 3,500 s of the token are left there, and here.
    assert_eq!((good.issued_at, good.expires_at), (UnixTime(500), UnixTime(4_000)));
    let with = |member: &str, value: Value| {
        let mut body = whole();
        body[member] = value;
        body
    };
    for body in [
        with("refresh_token", json!("r1")),
        with("token_type", json!("Bearer")),
        with("expires_in", json!(0)),
        with("scope", json!("company:read company:write")),
    ] {
        assert!(matches!(judge(body.clone(), claims()), Err(Failure::Final(_))), "{body}");
    }
    for changed in [
        Claims { company_id: Some("other".to_owned()), ..claims() },
        Claims { grant_id: Some("other".to_owned()), ..claims() },
    ] {
        assert!(matches!(judge(whole(), changed), Err(Failure::Final(_))));
    }
    assert!(judge(with("token_type", json!("dpop")), claims()).is_ok());
    let expired = Claims { exp: UnixTime(1_050), ..claims() };
    let replayed = judge(whole(), expired).expect("a replay of long ago");
    assert_eq!(replayed.expires_at, replayed.issued_at, "renewed at once");
}

#[test]
fn a_token_that_has_merely_expired_is_taken() {
    #[track_caller]
    fn check(
        name: &str,
        now: i64,
        date: Option<i64>,
        took: i64,
        expected: Result<Option<i64>, ClaimRefusal>,
    ) {
        let scopes = ScopeSet::parse("company:read").expect("a set");
        let thumbprint = counterfoil_protocol::jwk::Thumbprint([7; 32]);
        let claims: Claims = serde_json::from_value(json!({
            "iss": "https://pay.example", "aud": "urn:api", "client_id": "c", "installation_id": "c",
            "scope": "company:read", "iat": 100_000, "exp": 103_600, "cnf": { "jkt": thumbprint },
            "company_id": "co", "grant_id": "g",
        }))
        .expect("claims");
        let expectation = |scopes| ClientExpectation {
            issuer: "https://pay.example",
            audience: "urn:api",
            client_id: "c",
            thumbprint: &thumbprint,
            scopes,
            now: UnixTime(now),
            replayed: false,
        };
        let judged = judge(&claims, expectation(&scopes), date.map(UnixTime), took);
        assert_eq!(judged, expected.map(|date| date.map(UnixTime)), "{name}");
        let others = ScopeSet::parse("company:write").expect("a set");
        let judged = judge(&claims, expectation(&others), date.map(UnixTime), took);
        assert_eq!(judged, Err(ClaimRefusal::Scope), "{name}: all else must fit");
    }
    check("in time", 100_001, Some(100_001), 1, Ok(None));
    check("in time by a clock that is off", 101_000, Some(100_001), 1, Ok(None));
    check("without a date", 103_600, None, 1, Ok(None));
    check("expired when it was given", 103_700, Some(103_699), 1, Ok(None));
    check("asleep for two hours", 107_201, Some(100_001), 7_201, Ok(None));
    check("asleep for three days", 360_000, None, 260_000, Ok(None));
    check("our clock is two hours ahead", 107_201, Some(100_001), 1, Ok(Some(100_001)));
    check("and asleep for ten minutes", 107_801, Some(100_001), 600, Ok(Some(100_001)));
    check("our clock is an hour behind", 96_400, Some(100_001), 1, Ok(Some(100_001)));
    check("and the server's date is the wrong one", 107_201, Some(90_000), 1, Ok(None));
    check("made in the future", 96_400, None, 1, Err(ClaimRefusal::Time));
    check("made in the future of both", 96_400, Some(97_000), 1, Err(ClaimRefusal::Time));
}
