//! The table of routes.

use std::time::Duration;

use bytes::Bytes;
use counterfoil_protocol::json;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    Method, Request,
    body::Incoming,
    header::{ALLOW, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Response, Visit, admin, control, events, keys, ownership, problem::problem, proofs, proxy,
    report, rights::Verb, site, webhooks,
};
use crate::{
    platform::{Call, Platform},
    trouble::{Code, Trouble},
};

/// The longest body of a control request, in bytes.
const MAX_CONTROL_BODY: usize = 64 * 1_024;

/// How long a control request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Below this, calls are forwarded.
pub(super) const API: &str = "/v1/api/";

/// Below this, everything is for the owner alone, whether it exists or not.
const ADMIN: &str = "/v1/admin/";

/// Path, methods as `Allow` lists them, and what is done. Sorted by path.
pub(super) const ROUTES: &[(&str, &str, Verb)] = &[
    ("/healthz", "GET", Verb::Health),
    ("/v1/admin/adopt", "POST", Verb::Adopt),
    ("/v1/admin/events", "GET", Verb::History),
    ("/v1/admin/key", "GET", Verb::Key),
    ("/v1/admin/key/rotate", "POST", Verb::RotateKey),
    ("/v1/admin/log", "POST", Verb::Log),
    ("/v1/admin/metrics", "GET", Verb::Metrics),
    ("/v1/admin/reload", "POST", Verb::Reload),
    ("/v1/admin/separate", "POST", Verb::Separate),
    ("/v1/admin/status", "GET", Verb::OwnersStatus),
    ("/v1/admin/webhook/rotate", "POST", Verb::WebhookRotate),
    ("/v1/callback", "POST", Verb::Callback),
    ("/v1/connect", "POST", Verb::Connect),
    ("/v1/disconnect", "POST", Verb::Disconnect),
    ("/v1/events", "GET", Verb::Events),
    ("/v1/ownership", "POST", Verb::Ownership),
    ("/v1/proofs", "POST", Verb::Proofs),
    ("/v1/status", "GET", Verb::Status),
    ("/v1/webhooks/verify", "POST", Verb::WebhookVerify),
];

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoBody {}

/// Answers a request that the gate has admitted, if its caller `may`.
pub(super) async fn answer(
    visit: &Visit<'_>,
    may: impl Fn(Verb) -> Result<(), Trouble>,
    request: Request<Incoming>,
) -> Response {
    let app = visit.app;
    let path = request.uri().path();
    let route = ROUTES.iter().find(|(route, ..)| *route == path);
    let verb = match route {
        Some((.., verb)) => *verb,
        None if path.starts_with(ADMIN) => Verb::Admin,
        None if path.starts_with(API) => Verb::Api,
        None => return problem(&Trouble::of(Code::NotFound)),
    };
    if let Err(trouble) = may(verb) {
        return problem(&trouble);
    }
    if let Some((_, allow, _)) = route
        && request.method().as_str() != *allow
    {
        return not_allowed(Trouble::of(Code::MethodNotAllowed), allow);
    }
    match site::judge(app, verb, request.headers()).await {
        Ok(None) => {}
        Ok(Some(answer)) => return answer,
        Err(trouble) => return problem(&trouble),
    }
    let answer = match verb {
        Verb::Admin => Err(Trouble::of(Code::NotFound)),
        Verb::Adopt => admin::adopt(app, request).await,
        Verb::Api => proxy::forward(visit, request).await,
        Verb::Key => keys::show(app),
        Verb::RotateKey => keys::rotate(app, request).await,
        Verb::Callback => control::callback(app, request).await,
        Verb::Connect => control::connect(app, request).await,
        Verb::Disconnect => control::disconnect(app, request).await,
        Verb::Events => events::follow(app),
        Verb::History => report::history(app, request).await,
        Verb::Metrics => Ok(report::metrics(app)),
        Verb::OwnersStatus => Ok(report::status(app).await),
        Verb::Health => Ok(control::health()),
        Verb::Log => admin::log(app, request).await,
        Verb::Reload => admin::reload(app, request).await,
        Verb::Ownership => ownership::answer(app, request).await,
        Verb::Proofs => proofs::sign(app, request).await,
        Verb::Separate => admin::separate(app, request).await,
        Verb::Status => Ok(control::status(app).await),
        Verb::WebhookRotate => webhooks::rotate(app).await,
        Verb::WebhookVerify => webhooks::verify(app, request).await,
    };
    answer.unwrap_or_else(|trouble| {
        problem(&if verb.is_the_owners() { trouble } else { trouble.for_guests() })
    })
}

/// What a request asks for, in words that are ours: its method, and its route or the pattern of the forwarded path.
/// The patterns of the store's file are `other`.
pub(super) fn label(
    platform: &Platform,
    request: &Request<Incoming>,
) -> (&'static str, &'static str) {
    const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
    let method = METHODS.into_iter().find(|known| *known == request.method().as_str());
    let path = request.uri().path();
    let route = match path.strip_prefix(API) {
        Some(path) => {
            let call = platform.calls.iter().find(|call| call.reaches(path));
            call.map(Call::pattern)
        }
        None => ROUTES.iter().find(|(route, ..)| *route == path).map(|(route, ..)| *route),
    };
    (method.unwrap_or("other"), route.unwrap_or("other"))
}

/// A refusal that names the methods that would be taken (RFC 9110 §15.5.6).
pub(super) fn not_allowed(trouble: Trouble, allow: &str) -> Response {
    let mut response = problem(&Trouble { code: Code::MethodNotAllowed, ..trouble });
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Reads a body of at most `limit` bytes, in the time that it may take.
async fn body(request: Request<Incoming>, limit: usize) -> Result<Bytes, Trouble> {
    let body = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Trouble::of(Code::BodyTooLarge)),
        Ok(Err(_)) | Err(_) => Err(Trouble::of(Code::BodyBrokenOff)),
    }
}

/// Reads a control body: a JSON object with known members only. No body at all is the empty object.
pub(super) async fn control_body<T: DeserializeOwned>(
    request: Request<Incoming>,
) -> Result<T, Trouble> {
    control_body_within(request, MAX_CONTROL_BODY).await
}

/// Reads a control body of at most `limit` bytes.
pub(super) async fn control_body_within<T: DeserializeOwned>(
    request: Request<Incoming>,
    limit: usize,
) -> Result<T, Trouble> {
    let may_be_absent = request.method() == Method::POST;
    let bytes = body(request, limit).await?;
    let bytes = if bytes.is_empty() && may_be_absent { Bytes::from_static(b"{}") } else { bytes };
    let refuse = |what: &str| {
        let said = format!("The plugin's request is not understood: {what}.");
        Trouble::new(Code::BodyMalformed, said)
    };
    // Objects alone, with no member twice: a list would pass for a structure otherwise.
    let object = json::parse_object(&bytes).map_err(|_| refuse("it is not one JSON object"))?;
    serde_json::from_value(Value::Object(object)).map_err(|error| refuse(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_stay_sorted() {
        assert!(ROUTES.is_sorted_by_key(|(path, ..)| path));
    }

    #[test]
    fn what_is_below_admin_is_the_owners_and_nothing_else_is() {
        for (path, _, verb) in ROUTES {
            assert_eq!(path.starts_with(ADMIN), verb.is_the_owners(), "{path}");
            assert!(!path.starts_with(API), "{path}");
        }
    }
}
