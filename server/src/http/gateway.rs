//! Gateway mode on the wire: a request to the platform's own API passes the guard, is signed for, and forwarded.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::any,
};
use counterfoil_protocol::access_token::Claims;

use super::{
    address::ClientAddress,
    error::{DPOP_NONCE, Refusal},
    extract::is_too_slow,
    partner::{
        challenge,
        guard::{Admitted, admit},
    },
};
use crate::{
    app::App,
    events,
    gateway::{
        BodyFault, Call, Failure, Gate, IDENTITY, Identity, Judged, TYPE, Verdict, going_out,
    },
    partner::access::Scheme,
};

/// The paths of all upstreams.
pub fn routes(gates: &[Arc<Gate>]) -> Router<Arc<App>> {
    gates.iter().fold(Router::new(), |router, gate| {
        gate.upstream.routes().iter().fold(router, |router, path| {
            let gate = Arc::clone(gate);
            let handler = any(async move |State(app): State<Arc<App>>, request: Request| {
                pass(&app, &gate, request).await
            });
            router.route(path, handler)
        })
    })
}

async fn pass(app: &Arc<App>, gate: &Gate, request: Request) -> Response {
    let began = app.clock.monotonic();
    let (parts, body) = request.into_parts();
    let permits = |scheme, claims: &Claims| permits(app, gate, &parts, scheme, claims);
    let admitted = match admit(app, &parts, permits).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.into_response(),
    };
    let answer = forward(app, gate, &parts, &admitted, body).await;
    let took = app.clock.monotonic().saturating_sub(began);
    let (client_id, company_id) = (&*admitted.holder.client_id, &*admitted.holder.company.id);
    let mut response = match answer {
        Ok(response) => {
            let status = response.status().as_u16();
            let call = (parts.method.as_str(), parts.uri.path());
            events::forwarded(&gate.upstream.name, call, (client_id, company_id), status, took);
            response
        }
        Err(failure) => {
            events::not_forwarded(&gate.upstream.name, (client_id, company_id), failure.code());
            refusal(&failure).into_response()
        }
    };
    if let Some(nonce) = admitted.next_nonce(app) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}

/// What a good token opens here. Who has none learns nothing of the paths.
fn permits(
    app: &App,
    gate: &Gate,
    parts: &Parts,
    scheme: Scheme,
    claims: &Claims,
) -> Result<(), Refusal> {
    match gate.upstream.judge(parts.method.as_str(), parts.uri.path()) {
        Judged::NotPlain(fault) => {
            Err(Refusal::bad_request("invalid_path", format!("The path {fault}.")))
        }
        Judged::Ruled(Verdict::Unknown) => {
            let sentence = "There is nothing at this address.";
            Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", sentence))
        }
        Judged::Ruled(Verdict::OtherMethods(allow)) => {
            let sentence = "This address does not take this method; see Allow.";
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", sentence)
                .with_header(header::ALLOW, &allow))
        }
        Judged::Ruled(Verdict::Needs(scopes)) => {
            let lacks = |scope: &&str| !claims.scope.contains(scope);
            let missing: Vec<_> = scopes.iter().map(String::as_str).filter(lacks).collect();
            if missing.is_empty() {
                Ok(())
            } else {
                let (needed, missing) = (scopes.join(" "), missing.join(" "));
                Err(challenge::insufficient_scope(app, scheme, &needed, &missing))
            }
        }
    }
}

async fn forward(
    app: &App,
    gate: &Gate,
    parts: &Parts,
    admitted: &Admitted,
    body: Body,
) -> Result<Response, Failure> {
    let asked = parts.uri.path_and_query().map_or("/", |asked| asked.as_str());
    let target = gate.upstream.target(asked).ok_or(Failure::Target)?;
    let passage = gate.receive(&admitted.holder.client_id, body).await?;
    let call = Call {
        upstream: &gate.upstream.name,
        company_id: &admitted.holder.company.id,
        method: parts.method.as_str(),
        path: target.path(),
        query: target.query().unwrap_or_default(),
        body: passage.body.whole().map(|bytes| &**bytes),
        address: &ClientAddress::of(&parts.extensions).0.to_string(),
        jti: &app.entropy.id(""),
        now: app.now(),
    };
    let identity =
        app.keys.current().sign_as(TYPE, &Identity::of(&admitted.claims, &call), call.now);
    let identity = identity.map_err(|error| Failure::Identity(error.to_string()))?;
    let mut headers = gate.headers(&parts.headers);
    headers.insert(IDENTITY, HeaderValue::try_from(identity).map_err(|_| Failure::Target)?);
    let answer = gate.send(parts.method.clone(), target, headers, passage).await?;
    let (mut head, body) = answer.into_parts();
    head.headers = going_out(&head.headers, &gate.upstream, &app.config.issuer, asked);
    head.extensions.clear();
    Ok(Response::from_parts(head, Body::new(body)))
}

/// What the caller hears. Nothing of it tells where the upstream is.
fn refusal(failure: &Failure) -> Refusal {
    let behind = |status, code: &str, sentence: &str| Refusal::new(status, code, sentence);
    let refusal = match failure {
        Failure::Body(BodyFault::TooLong(limit)) => behind(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request",
            &format!("The body must be at most {limit} bytes."),
        ),
        Failure::Body(BodyFault::Broken(error)) if is_too_slow(&***error) => behind(
            StatusCode::REQUEST_TIMEOUT,
            "invalid_request",
            "The body took too long to arrive.",
        ),
        Failure::Body(BodyFault::Broken(_)) => Refusal::invalid_request("The body broke off."),
        Failure::Broken(_) => behind(
            StatusCode::BAD_GATEWAY,
            "upstream_broken",
            "The API behind this address broke off, or did not answer in HTTP. It may have done what it was asked.",
        ),
        Failure::Busy => behind(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_busy",
            "Too much is on its way to the API behind this address. Nothing was sent; try again.",
        )
        .with_header(header::RETRY_AFTER, "1"),
        Failure::Late => behind(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "The API behind this address did not answer in time. It may have done what it was asked.",
        ),
        Failure::NotBelieved(_) => behind(
            StatusCode::BAD_GATEWAY,
            "upstream_unauthorized",
            "The API behind this address does not take this server's word. Its operator must mend that.",
        ),
        Failure::TooLong(_) => behind(
            StatusCode::BAD_GATEWAY,
            "upstream_answer_too_large",
            "The answer of the API behind this address is longer than is passed on.",
        ),
        Failure::Unreachable(_) => behind(
            StatusCode::BAD_GATEWAY,
            "upstream_unreachable",
            "The API behind this address cannot be reached. Nothing was sent; try again.",
        ),
        Failure::Identity(_) | Failure::Target => return Refusal::server_error(failure),
    };
    refusal.caused_by(failure)
}
