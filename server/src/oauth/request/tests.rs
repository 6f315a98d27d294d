use counterfoil_protocol::callback::RedirectUri;

use super::*;
use crate::oauth::{
    client::App,
    installation::{Address, Installation, STAGED_LIFETIME, Staged},
};

const KEY: Thumbprint = Thumbprint([1; 32]);
const STAGED: Thumbprint = Thumbprint([2; 32]);
const STRANGER: Thumbprint = Thumbprint([3; 32]);
const NOW: UnixTime = UnixTime(1_000_000);
const RESOURCE: &str = "https://pay.example/api/partner/v1";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const HOME: &str = "https://shop.example/makepay/oauth/callback";
const ELSEWHERE: &str = "https://new.example/makepay/oauth/callback";
const APP: &str = "https://app.example/callback";
const SCOPES: &str = "company:read makepay:payment-links:read makepay:payment-links:write";

fn client(id: &str, kind: ClientKind) -> Client {
    Client {
        id: id.to_owned(),
        name: "Shop".to_owned(),
        kind,
        scopes: ScopeSet::parse(SCOPES).expect("scopes"),
        require_nonce: false,
        created_at: UnixTime(1),
    }
}

/// An approved store with a key, and another that waits.
fn store(moved_to: Option<Address>, staged_at: UnixTime) -> Client {
    let installation = Installation {
        platform: "medusa".to_owned(),
        site_url: "https://shop.example".to_owned(),
        redirect_uri: HOME.to_owned(),
        plugin_version: "1".to_owned(),
        platform_version: None,
        key: Some(KEY),
        staged: Some(Staged { key: STAGED, moved_to, at: staged_at }),
        registered_at: UnixTime(1),
        approved_at: Some(UnixTime(2)),
    };
    client("mco_app_store", ClientKind::Native(installation))
}

fn app(secret_hash: Option<[u8; 32]>, redirect_uris: &[&str]) -> Client {
    let redirect_uris =
        redirect_uris.iter().map(|uri| RedirectUri::parse(uri).expect("a callback")).collect();
    let app =
        App { company_id: "company".to_owned(), secret_hash, redirect_uris, ..App::default() };
    client("mco_app_partner", ClientKind::App(app))
}

fn profile() -> Profile {
    let text = include_str!("../../../profiles/medusa.toml");
    Profile::parse(text).expect("a profile")
}

/// A request with nothing wrong, at this callback, without a key.
fn parameters(redirect_uri: &str) -> Parameters {
    Parameters {
        response_type: Some("code".to_owned()),
        redirect_uri: Some(redirect_uri.to_owned()),
        scope: Some(SCOPES.to_owned()),
        state: Some("state".to_owned()),
        code_challenge: Some(CHALLENGE.to_owned()),
        code_challenge_method: Some("S256".to_owned()),
        ..Parameters::default()
    }
}

/// An honest store's request.
fn of_store(change: impl FnOnce(&mut Parameters)) -> Parameters {
    let mut parameters = parameters(HOME);
    parameters.dpop_jkt = Some(KEY.to_string());
    parameters.resource = vec![RESOURCE.to_owned()];
    change(&mut parameters);
    parameters
}

/// An honest application's request.
fn of_app(change: impl FnOnce(&mut Parameters)) -> Parameters {
    let mut parameters = parameters(APP);
    change(&mut parameters);
    parameters
}

fn judge_for(
    client: &Client,
    proof_key: Option<&Thumbprint>,
    parameters: &Parameters,
) -> Result<AuthorizationRequest, RequestRefusal> {
    let profile = client.installation().map(|_| profile());
    let context =
        Context { client, profile: profile.as_ref(), resource: RESOURCE, proof_key, now: NOW };
    judge(parameters, &context)
}

/// A store is told in place, whatever is wrong.
#[track_caller]
fn refuses_store(change: impl FnOnce(&mut Parameters), fault: Fault) {
    let refusal = judge_for(&store(None, NOW), None, &of_store(change));
    assert_eq!(refusal, Err(RequestRefusal { fault, redirect: None }));
}

/// An application is told at its callback, once that was found good.
#[track_caller]
fn refuses_app(change: impl FnOnce(&mut Parameters), fault: Fault, redirects: bool) {
    let parameters = of_app(change);
    let redirect = redirects.then(|| Redirect {
        uri: parameters.redirect_uri.clone().expect("a callback"),
        state: parameters.state.clone(),
    });
    let refusal = judge_for(&app(None, &[APP]), None, &parameters);
    assert_eq!(refusal, Err(RequestRefusal { fault, redirect }));
}

#[test]
fn honest_requests() {
    let request = judge_for(&store(None, NOW), None, &of_store(|_| ())).expect("good");
    let expected = AuthorizationRequest {
        client_id: "mco_app_store".to_owned(),
        redirect_uri: HOME.to_owned(),
        scope: ScopeSet::parse(SCOPES).expect("scopes"),
        state: Some("state".to_owned()),
        challenge: CHALLENGE.to_owned(),
        key: Some(KEY),
        resource: RESOURCE.to_owned(),
    };
    assert_eq!(request, expected);

    let request = judge_for(&app(None, &[APP]), None, &of_app(|p| p.state = None)).expect("good");
    assert_eq!((request.key, request.state), (None, None));
    assert_eq!(request.resource, RESOURCE);
}

#[test]
fn without_a_good_callback_nobody_is_sent_anywhere() {
    let missing = |p: &mut Parameters| p.redirect_uri = None;
    refuses_app(missing, Fault::RedirectUriMissing, false);
    refuses_store(missing, Fault::RedirectUriMissing);
    for wrong in [
        "https://app.example/callback/",
        "https://app.example/callback?x",
        "https://app.example/callback#x",
        "https://app.example/Callback",
        "https://APP.example/callback",
        "https://app.example/%63allback",
        "https://app.example:443/callback",
        "https://app.example@attacker.example/callback",
        "https://attacker.example/callback",
        "http://app.example/callback",
        "javascript:alert(1)",
        "*",
    ] {
        let unregistered = |p: &mut Parameters| p.redirect_uri = Some(wrong.to_owned());
        refuses_app(unregistered, Fault::RedirectUriUnknown, false);
        refuses_store(unregistered, Fault::RedirectUriUnknown);
    }
    // Whatever else is wrong is not told to a stranger's address.
    let all_wrong = |p: &mut Parameters| {
        *p = Parameters { redirect_uri: Some(ELSEWHERE.to_owned()), ..Parameters::default() };
    };
    refuses_app(all_wrong, Fault::RedirectUriUnknown, false);
}

#[test]
fn a_state_that_cannot_be_handed_back_is_not() {
    let longest = "s".repeat(MAX_STATE_LENGTH);
    assert!(
        judge_for(&app(None, &[APP]), None, &of_app(|p| p.state = Some(longest.clone()))).is_ok()
    );
    for wrong in [format!("{longest}s"), "a\r\nb".to_owned(), "\0".to_owned(), "ü".to_owned()] {
        let malformed = |p: &mut Parameters| p.state = Some(wrong.clone());
        refuses_app(malformed, Fault::StateMalformed, false);
        refuses_store(malformed, Fault::StateMalformed);
    }
}

#[test]
fn what_is_wrong_is_told_to_a_good_callback_of_an_app_alone() {
    type Change = fn(&mut Parameters);
    let cases: [(Change, Fault); 16] = [
        (|p| p.request = Some("eyJ".to_owned()), Fault::RequestObject),
        (|p| p.registration = Some("{}".to_owned()), Fault::Registration),
        (|p| p.response_type = None, Fault::ResponseTypeMissing),
        (|p| p.response_type = Some("token".to_owned()), Fault::ResponseTypeUnsupported),
        (|p| p.response_type = Some("code id_token".to_owned()), Fault::ResponseTypeUnsupported),
        (|p| p.response_mode = Some("fragment".to_owned()), Fault::ResponseMode),
        (|p| p.code_challenge = None, Fault::PkceRequired),
        (|p| p.code_challenge_method = None, Fault::PkceRequired),
        (|p| p.code_challenge_method = Some("plain".to_owned()), Fault::PkceRequired),
        (
            |p| p.code_challenge = Some(CHALLENGE[1..].to_owned()),
            Fault::Pkce(PkceRefusal::MalformedChallenge),
        ),
        (|p| p.scope = Some("company:read  wallet".to_owned()), Fault::Scope),
        (|p| p.scope = Some("company:read admin".to_owned()), Fault::Scope),
        (|p| p.scope = Some(String::new()), Fault::Scope),
        (|p| p.resource = vec!["https://pay.example/".to_owned()], Fault::ResourceUnknown),
        (|p| p.resource = vec![RESOURCE.to_owned(); 2], Fault::ResourceUnknown),
        (|p| p.dpop_jkt = Some("short".to_owned()), Fault::DpopJkt),
    ];
    for (change, fault) in cases {
        refuses_app(change, fault, true);
        refuses_store(change, fault);
        // Without a state none is made up.
        let without_state = |p: &mut Parameters| {
            change(p);
            p.state = None;
        };
        refuses_app(without_state, fault, true);
    }
}

#[test]
fn what_a_profile_demands() {
    refuses_store(|p| p.state = None, Fault::StateMissing);
    refuses_store(|p| p.resource = Vec::new(), Fault::ResourceMissing);
    refuses_store(|p| p.scope = None, Fault::ScopeIncomplete);
    refuses_store(|p| p.scope = Some("company:read".to_owned()), Fault::ScopeIncomplete);
}

#[test]
fn scopes_of_an_app() {
    let scope = |scope: Option<&str>| {
        let parameters = of_app(|p| p.scope = scope.map(str::to_owned));
        judge_for(&app(None, &[APP]), None, &parameters).expect("good").scope
    };
    assert_eq!(scope(Some("company:read")).to_string(), "company:read");
    assert_eq!(scope(None).to_string(), SCOPES);
}

#[test]
fn response_mode_query_may_be_named() {
    let named = of_app(|p| p.response_mode = Some("query".to_owned()));
    assert!(judge_for(&app(None, &[APP]), None, &named).is_ok());
}

/// The key that a request names in `dpop_jkt`, and the one that signed the proof beside it.
#[track_caller]
fn check_keys(
    client: &Client,
    redirect_uri: &str,
    declared: Option<Thumbprint>,
    signed: Option<Thumbprint>,
    expected: Result<Option<Thumbprint>, Fault>,
) {
    let mut parameters = parameters(redirect_uri);
    parameters.resource = vec![RESOURCE.to_owned()];
    parameters.dpop_jkt = declared.map(|key| key.to_string());
    let judged = judge_for(client, signed.as_ref(), &parameters);
    assert_eq!(judged.map(|request| request.key).map_err(|refusal| refusal.fault), expected);
}

#[test]
fn an_apps_request_is_bound_to_the_key_it_shows() {
    let app = app(None, &[APP]);
    check_keys(&app, APP, None, None, Ok(None));
    check_keys(&app, APP, Some(KEY), None, Ok(Some(KEY)));
    check_keys(&app, APP, None, Some(KEY), Ok(Some(KEY)));
    check_keys(&app, APP, Some(KEY), Some(KEY), Ok(Some(KEY)));
    check_keys(&app, APP, Some(KEY), Some(STRANGER), Err(Fault::KeysDiffer));
}

#[test]
fn a_stores_request_is_bound_to_a_key_of_its_own() {
    let store = store(None, NOW);
    for key in [KEY, STAGED] {
        check_keys(&store, HOME, Some(key), None, Ok(Some(key)));
        check_keys(&store, HOME, None, Some(key), Ok(Some(key)));
        check_keys(&store, HOME, Some(key), Some(key), Ok(Some(key)));
        check_keys(&store, HOME, Some(key), Some(STRANGER), Err(Fault::KeysDiffer));
        check_keys(&store, HOME, Some(STRANGER), Some(key), Err(Fault::KeysDiffer));
    }
    check_keys(&store, HOME, Some(KEY), Some(STAGED), Err(Fault::KeysDiffer));
    check_keys(&store, HOME, Some(STRANGER), Some(STRANGER), Err(Fault::KeyUnknown));
    check_keys(&store, HOME, Some(STRANGER), None, Err(Fault::KeyUnknown));
    check_keys(&store, HOME, None, None, Err(Fault::KeyUnknown));
}

#[test]
fn a_staged_key_has_its_day() {
    let late = store(None, NOW - STAGED_LIFETIME);
    check_keys(&late, HOME, Some(STAGED), None, Err(Fault::KeyUnknown));
    check_keys(&late, HOME, Some(KEY), None, Ok(Some(KEY)));
}

#[test]
fn a_moving_store_asks_from_where_it_goes() {
    let moved_to = || {
        let site_url = "https://new.example".to_owned();
        Some(Address { site_url, redirect_uri: ELSEWHERE.to_owned() })
    };
    let moving = store(moved_to(), NOW);
    check_keys(&moving, ELSEWHERE, Some(STAGED), None, Ok(Some(STAGED)));
    check_keys(&moving, HOME, Some(KEY), None, Ok(Some(KEY)));
    check_keys(&moving, HOME, Some(STAGED), None, Err(Fault::KeyUnknown));
    check_keys(&moving, ELSEWHERE, Some(KEY), None, Err(Fault::KeyUnknown));
    let late = store(moved_to(), NOW - STAGED_LIFETIME);
    check_keys(&late, ELSEWHERE, Some(STAGED), None, Err(Fault::RedirectUriUnknown));
}

#[test]
fn the_port_of_a_loopback_callback_is_free_for_public_apps_alone() {
    let registered = ["http://127.0.0.1/callback"];
    let judged = |client: &Client, uri: &str| {
        judge_for(client, None, &parameters(uri)).map_err(|refusal| refusal.fault)
    };
    let public = app(None, &registered);
    assert!(judged(&public, "http://127.0.0.1:51004/callback").is_ok());
    assert_eq!(judged(&public, "http://127.0.0.1:51004/other"), Err(Fault::RedirectUriUnknown));
    assert_eq!(judged(&public, "http://localhost:51004/callback"), Err(Fault::RedirectUriUnknown));
    let confidential = app(Some([0; 32]), &registered);
    let elsewhere = judged(&confidential, "http://127.0.0.1:51004/callback");
    assert_eq!(elsewhere, Err(Fault::RedirectUriUnknown));
}

#[test]
fn the_code_of_each_fault() {
    for (fault, code) in [
        (Fault::DpopJkt, "invalid_request"),
        (Fault::KeysDiffer, "invalid_dpop_proof"),
        (Fault::KeyUnknown, "invalid_dpop_proof"),
        (Fault::PkceRequired, "invalid_request"),
        (Fault::Pkce(PkceRefusal::MalformedChallenge), "invalid_request"),
        (Fault::RedirectUriMissing, "invalid_request"),
        (Fault::RedirectUriUnknown, "invalid_request"),
        (Fault::Registration, "registration_not_supported"),
        (Fault::RequestObject, "request_not_supported"),
        (Fault::ResourceMissing, "invalid_target"),
        (Fault::ResourceUnknown, "invalid_target"),
        (Fault::ResponseMode, "invalid_request"),
        (Fault::ResponseTypeMissing, "invalid_request"),
        (Fault::ResponseTypeUnsupported, "unsupported_response_type"),
        (Fault::Scope, "invalid_scope"),
        (Fault::ScopeIncomplete, "invalid_scope"),
        (Fault::StateMissing, "invalid_request"),
        (Fault::StateMalformed, "invalid_request"),
    ] {
        assert_eq!(fault.code(), code, "{fault}");
    }
}

#[test]
fn resources() {
    #[track_caller]
    fn check(named: &[&str], required: bool, expected: Result<(), Fault>) {
        let named: Vec<_> = named.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(judge_resource(&named, RESOURCE, required), expected);
    }
    check(&[], false, Ok(()));
    check(&[], true, Err(Fault::ResourceMissing));
    for required in [false, true] {
        check(&[RESOURCE], required, Ok(()));
        for wrong in [
            "",
            "/api/partner/v1",
            "https://pay.example/api/partner/v1/",
            "https://pay.example/api/partner/v1#x",
            "https://pay.example",
            "https://PAY.example/api/partner/v1",
        ] {
            check(&[wrong], required, Err(Fault::ResourceUnknown));
        }
        check(&[RESOURCE, RESOURCE], required, Err(Fault::ResourceUnknown));
        check(&[RESOURCE, "https://other.example"], required, Err(Fault::ResourceUnknown));
    }
}
