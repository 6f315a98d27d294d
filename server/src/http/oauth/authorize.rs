//! `GET /oauth/authorize`: a request that a browser brings (RFC 6749 §4.1.1), or a reference to one that was pushed.
//!
//! Judged first; then the person signs in, and is shown what is asked for. Nothing is decided here: see [`decision`].

pub mod decision;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{Request, StatusCode, request::Parts},
    response::Response,
};
use counterfoil_protocol::{callback::with_parameters, encoding::sha256};

use super::par::{REQUEST_URI_PREFIX, request_parameters};
use crate::{
    app::App,
    http::{
        error::{Cause, Refusal},
        extract::Parameters,
        pages::{
            consent,
            error::in_place,
            frame::see_other,
            session::SignedIn,
            sign_in::{self, Destination},
        },
    },
    oauth::{
        client::Client,
        consent::judge_again,
        request::{self, AuthorizationRequest, Context, Fault, Redirect, RequestRefusal},
    },
    ownership,
    store::Consent,
};

/// The longest query, in bytes.
const MAX_QUERY: usize = 16 * 1024;

/// The one code that stores' clients know for whatever is wrong with a request; also for requests of nobody we know.
const UNTRUSTED: &str = "invalid_authorization_request";

/// A request that was found good.
struct Asked {
    client: Client,
    request: AuthorizationRequest,
    /// The hash of its `request_uri`, if it was pushed.
    pushed: Option<[u8; 32]>,
}

/// Why a request goes no further.
enum Stop {
    /// The browser stays here: the callback is not known to be good, or nobody has looked at it yet.
    InPlace(Refusal),
    /// The callback is told.
    Callback(Redirect, Fault),
}

impl<T: Into<Refusal>> From<T> for Stop {
    fn from(refusal: T) -> Self {
        Self::InPlace(refusal.into())
    }
}

/// Answers with the sign-in page, the consent page, or why not.
pub async fn authorize(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    match answer(&app, &parts).await {
        Ok(response) => response,
        Err(Stop::InPlace(refusal)) => in_place(&app, &parts.headers, refusal),
        Err(Stop::Callback(redirect, fault)) => {
            let description = fault.to_string();
            let error = [("error", fault.code()), ("error_description", &description)];
            let mut response = back(&app, &redirect.uri, redirect.state.as_deref(), &error);
            let cause = Cause { code: fault.code().to_owned(), text: description };
            response.extensions_mut().insert(cause);
            response
        }
    }
}

async fn answer(app: &Arc<App>, parts: &Parts) -> Result<Response, Stop> {
    let query = parts.uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY {
        let sentence = format!("The query must be at most {MAX_QUERY} bytes.");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, UNTRUSTED, sentence).into());
    }
    let parameters = Parameters::parse(query.as_bytes()).map_err(untrusted)?;
    let client = client(app, parameters.require("client_id").map_err(untrusted)?).await?;
    let asked = match parameters.get("request_uri") {
        Some(request_uri) => pushed(app, client, request_uri).await?,
        None => carried(app, client, &parameters)?,
    };
    let here = Destination::parse(&format!("/oauth/authorize?{query}"))
        .ok_or_else(|| Refusal::invalid_request("The query has characters that no URI has."))?;
    match app.signed_in(&parts.headers).await? {
        Some(signed_in) => Ok(ask(app, asked, &signed_in, &here).await?),
        None => Ok(sign_in::ask(app, &parts.headers, Some(&here))),
    }
}

async fn client(app: &App, id: &str) -> Result<Client, Refusal> {
    let unknown = || {
        let sentence =
            "client_id is not registered. A store registers itself when Connect is pressed.";
        Refusal::bad_request(UNTRUSTED, sentence)
    };
    app.store.client(id, app.now()).await?.ok_or_else(unknown)
}

/// A pushed request: only what was pushed counts (RFC 9126 §4). Nothing is ever fetched.
async fn pushed(app: &App, client: Client, request_uri: &str) -> Result<Asked, Refusal> {
    let gone = |cause: &str| {
        let sentence = "request_uri is unknown, has expired, was used, or is another client's.";
        Refusal::bad_request("invalid_request_uri", sentence).caused_by(cause)
    };
    if !request_uri.starts_with(REQUEST_URI_PREFIX) {
        return Err(gone("not a request_uri of ours"));
    }
    let hash = sha256(request_uri.as_bytes());
    let found = app.store.pushed_request(&hash, app.now()).await?;
    let found = found.ok_or_else(|| gone("unknown, expired or decided"))?;
    if found.request.client_id != client.id {
        return Err(gone("pushed by another client"));
    }
    Ok(Asked { client, request: found.request, pushed: Some(hash) })
}

fn carried(app: &App, client: Client, parameters: &Parameters) -> Result<Asked, Stop> {
    let context = Context {
        client: &client,
        profile: client.installation().and_then(|i| app.profiles.get(&i.platform)),
        resource: &app.uris.resource,
        proof_key: None,
        now: app.now(),
    };
    match request::judge(&request_parameters(parameters), &context) {
        Ok(request) => Ok(Asked { client, request, pushed: None }),
        Err(RequestRefusal { fault, redirect: Some(redirect) }) => {
            Err(Stop::Callback(redirect, fault))
        }
        Err(RequestRefusal { fault, redirect: None }) => Err(Stop::InPlace(refuse(&client, fault))),
    }
}

/// Shows the consent page, whatever was approved before, and remembers to whom.
async fn ask(
    app: &Arc<App>,
    asked: Asked,
    signed_in: &SignedIn,
    here: &Destination,
) -> Result<Response, Refusal> {
    let Asked { client, request, pushed } = asked;
    let slot = judge_again(&request, &client, app.now()).map_err(|fault| refuse(&client, fault))?;
    let ownership = match slot {
        Some((slot, _)) => ownership::known(app, &client, slot).await?,
        None => None,
    };
    let ticket = app.entropy.secret("");
    let shown = consent::Shown {
        client: &client,
        request: &request,
        slot: slot.map(|(slot, _)| slot),
        ownership,
        signed_in,
        here,
        ticket: &ticket,
    };
    let page = consent::page(app, &shown).await?;
    let consent = Consent {
        hash: sha256(ticket.as_bytes()),
        session_hash: signed_in.session.hash,
        user_id: signed_in.user.id.clone(),
        pushed,
        expires_at: app.now() + app.config.lifetimes.consent,
        request,
    };
    app.store.show_consent(consent).await?;
    Ok(page)
}

/// A request that is refused before it is known whose it is.
fn untrusted(refusal: Refusal) -> Refusal {
    Refusal { code: UNTRUSTED.to_owned(), ..refusal }
}

/// A fault shown in place.
fn refuse(client: &Client, fault: Fault) -> Refusal {
    let native = client.installation().is_some();
    let code = if native { UNTRUSTED } else { fault.code() };
    Refusal::bad_request(code, fault)
}

/// Sends the browser to a callback, with the state that came and our name (RFC 9207).
fn back(app: &App, callback: &str, state: Option<&str>, answer: &[(&str, &str)]) -> Response {
    let mut parameters = answer.to_vec();
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", &app.config.issuer));
    see_other(&with_parameters(callback, &parameters))
}
