//! `/v1/api/…`: a plugin's call, forwarded with token and proof. The plugin sees neither.

use bytes::Bytes;
use counterfoil_protocol::secret::Secret;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::{Frame, Incoming},
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName, SET_COOKIE,
    },
};

use super::{
    App, Body, Pass, Response,
    paths::{self, PathRefusal},
    problem::whole,
    routes::{self, not_allowed},
    webhooks,
};
use crate::{
    situation::Working,
    trouble::{Code, Trouble},
    upstream::{
        Again, NONCE, Proof, Unanswered, answer::challenge_error, authorization, read_whole,
    },
};

/// The longest request body, in bytes: kept, so that it can be sent once more.
const MAX_REQUEST: usize = 1_024 * 1_024;

/// The longest answer passed on, in bytes.
const MAX_ANSWER: u64 = 32 * 1_024 * 1_024;

/// The longest body of a 401 that is read before deciding whether to try again, in bytes.
const MAX_REFUSAL: usize = 64 * 1_024;

/// What belongs to one connection and is never passed on (RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One call, ready to be sent as often as it takes.
struct Call {
    method: Method,
    /// Below the API base, the query included.
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Forwards one call. A refused token is renewed once, a nonce or a clock is heard once, and the call sent again.
pub(super) async fn forward(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let situation = app.situation();
    situation.working()?;
    let path = request.uri().path().strip_prefix(routes::API).unwrap_or_default().to_owned();
    match paths::check_call(&situation.config.platform, request.method(), &path) {
        Ok(()) => {}
        Err(PathRefusal::Method(allow)) => {
            return Ok(not_allowed(Trouble::of(Code::MethodNotAllowed), &allow));
        }
        Err(PathRefusal::NotListed) => return Err(Trouble::of(Code::CallRefused)),
        Err(PathRefusal::NotPlain) => return Err(Trouble::of(Code::PathRefused)),
    }
    let call = prepare(&path, request).await?;
    let Pass { mut situation, mut token } = app.token(None).await?;
    let (mut renewed, mut nonce_heard, mut clock_heard) = (false, false, false);
    loop {
        let working = situation.working()?;
        let (response, proof) = send(working, &situation.config.api_base, &call, &token).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::CONFLICT if is_short(&response) => {
                let refusal = read_whole(response, MAX_REFUSAL).await;
                let refusal = refusal.map_err(|reason| unanswered(&reason))?;
                webhooks::heed(working, &refusal);
                return Ok(answer(refusal.status, &refusal.headers, whole(refusal.body)));
            }
            _ => return pass_on(response),
        }
        let refusal =
            read_whole(response, MAX_REFUSAL).await.map_err(|reason| unanswered(&reason))?;
        let error = challenge_error(&refusal.headers).or_else(|| refusal.error());
        match working.upstream.again(401, &refusal.headers, error.as_deref(), &proof) {
            Again::WithNonce if !nonce_heard => nonce_heard = true,
            Again::WithClock(offset) if !clock_heard => {
                clock_heard = true;
                working.upstream.learn_clock(offset);
            }
            _ if !renewed => {
                renewed = true;
                let newer = app.token(Some(&token)).await?;
                if newer.token == token {
                    return Ok(answer(refusal.status, &refusal.headers, whole(refusal.body)));
                }
                Pass { situation, token } = newer;
            }
            _ => return Ok(answer(refusal.status, &refusal.headers, whole(refusal.body))),
        }
    }
}

async fn prepare(path: &str, request: Request<Incoming>) -> Result<Call, Trouble> {
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or_default();
    if !paths::is_plain_query(query) {
        return Err(Trouble::of(Code::PathRefused));
    }
    let separator = if query.is_empty() { "" } else { "?" };
    let target = format!("{path}{separator}{query}");
    let headers = going_in(request.headers());
    let body = routes::body(request, MAX_REQUEST).await?;
    Ok(Call { method, target, headers, body })
}

/// Whether an answer says that it is short enough to be read before it is passed on.
fn is_short(response: &reqwest::Response) -> bool {
    response.content_length().is_some_and(|length| length <= MAX_REFUSAL as u64)
}

async fn send(
    working: &Working,
    api_base: &str,
    call: &Call,
    token: &Secret,
) -> Result<(reqwest::Response, Proof), Trouble> {
    let upstream = &working.upstream;
    let url = format!("{api_base}/{}", call.target);
    let proof = upstream
        .proof(&call.method, &url, Some(token))
        .await
        .map_err(|reason| unanswered(&reason))?;
    let mut headers = call.headers.clone();
    headers.insert(HeaderName::from_static("dpop"), proof.header.clone());
    headers.insert(AUTHORIZATION, authorization(token).ok_or(Trouble::of(Code::Internal))?);
    let response = upstream
        .begin(call.method.clone(), &url, headers, call.body.clone(), None)
        .await
        .map_err(|reason| unanswered(&reason))?;
    Ok((response, proof))
}

/// Streams an answer through, within the bound.
fn pass_on(response: reqwest::Response) -> Result<Response, Trouble> {
    if response.content_length().is_some_and(|length| length > MAX_ANSWER) {
        return Err(Trouble::of(Code::UpstreamTooLarge));
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let bounded =
        stream::unfold((response.bytes_stream(), MAX_ANSWER), |(mut chunks, left)| async move {
            let chunk = match chunks.next().await? {
                Ok(chunk) => chunk,
                Err(error) => return Some((Err(error.without_url().into()), (chunks, 0))),
            };
            // An answer that breaks off is seen as broken; one that were cut short would be taken for whole.
            match left.checked_sub(chunk.len() as u64) {
                Some(left) => Some((Ok(Frame::data(chunk)), (chunks, left))),
                None => Some((Err("the answer is too long".into()), (chunks, 0))),
            }
        });
    Ok(answer(status, &headers, StreamBody::new(bounded).boxed_unsync()))
}

fn answer(status: StatusCode, headers: &HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = coming_back(headers);
    response
}

/// The caller's headers without what is ours to say and what belongs to the local connection.
fn going_in(headers: &HeaderMap) -> HeaderMap {
    without(headers, |name| {
        [AUTHORIZATION, COOKIE, HOST, CONTENT_LENGTH, EXPECT].contains(name)
            || name.as_str().starts_with("dpop")
            || name.as_str().starts_with("counterfoil-")
    })
}

/// The server's headers without what is between it and the daemon.
fn coming_back(headers: &HeaderMap) -> HeaderMap {
    without(headers, |name| *name == SET_COOKIE || name.as_str() == NONCE)
}

fn without(headers: &HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    // `Connection` names further headers that end with the hop.
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let goes_on = |name: &HeaderName| {
        let text = name.as_str();
        !HOP_BY_HOP.contains(&text) && !named.iter().any(|it| it == text) && !unwanted(name)
    };
    headers
        .iter()
        .filter(|(name, _)| goes_on(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn unanswered(reason: &Unanswered) -> Trouble {
    tracing::warn!(%reason, "a forwarded call has no answer");
    Trouble::of(match reason {
        Unanswered::Network(_) => Code::ServerUnreachable,
        Unanswered::Proxy(_) => Code::ProxyRefused,
        Unanswered::TooLong => Code::UpstreamTooLarge,
        Unanswered::Untrusted(_) => Code::ServerUntrusted,
        Unanswered::KeySilent => Code::KeyUnavailable,
        Unanswered::Unsigned => Code::Internal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), value.parse().expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn what_is_ours_to_say_is_not_the_callers() {
        let given = headers(&[
            ("accept", "application/json"),
            ("authorization", "Bearer stolen"),
            ("connection", "close, X-Secret"),
            ("content-length", "2"),
            ("content-type", "application/json"),
            ("cookie", "session=1"),
            ("counterfoil-client", "shop/1"),
            ("counterfoil-site", "home"),
            ("dpop", "proof"),
            ("dpop-previous", "proof"),
            ("expect", "100-continue"),
            ("host", "localhost"),
            ("idempotency-key", "order-1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-secret", "1"),
        ]);
        let mut kept = going_in(&given);
        assert_eq!(kept.remove("idempotency-key").expect("kept"), "order-1");
        assert_eq!(names(&kept), ["accept", "content-type"]);
    }

    #[test]
    fn what_is_between_server_and_daemon_stays_there() {
        let given = headers(&[
            ("content-type", "application/json"),
            ("dpop-nonce", "n"),
            ("idempotent-replayed", "true"),
            ("keep-alive", "timeout=5"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
        ]);
        assert_eq!(names(&coming_back(&given)), ["content-type", "idempotent-replayed"]);
    }
}
