//! `/v1/api/…`: a plugin's call, forwarded with token and proof. The plugin sees neither.

mod answer;
mod headers;
mod payload;

use std::time::Duration;

use counterfoil_protocol::secret::Secret;
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, HeaderName},
};
use tokio::time::{sleep, timeout};

use self::{
    answer::Secrets,
    payload::{Fate, Payload},
};
use super::{
    Pass, Response, Visit,
    paths::{self, PathRefusal},
    routes::{self, not_allowed},
    webhooks,
};
use crate::{
    situation::Working,
    trouble::{Code, Trouble},
    upstream::{
        Again, Proof, SILENCE, Unanswered, answer::challenge_error, authorization, read_whole,
    },
};

/// The longest body of a 401 that is read before deciding whether to try again, in bytes.
const MAX_REFUSAL: usize = 64 * 1_024;

/// How long a call may wait until others of its caller's are through.
const TURN_PATIENCE: Duration = Duration::from_secs(25);

/// How long a body may take to be sent.
const LONGEST: Duration = Duration::from_mins(5);

/// One call, ready to be sent.
struct Call {
    method: Method,
    /// Below the API base.
    path: String,
    query: String,
    headers: HeaderMap,
}

/// Forwards one call. A refused token is renewed once, a nonce or a clock is heard once, and the call sent again, if
/// its body is still there.
pub(super) async fn forward(
    visit: &Visit<'_>,
    request: Request<Incoming>,
) -> Result<Response, Trouble> {
    let app = visit.app;
    let situation = app.situation();
    situation.working()?;
    let path = request.uri().path().strip_prefix(routes::API).unwrap_or_default();
    let config = &situation.config;
    match paths::check_call(&config.platform, &config.local.calls, request.method(), path) {
        Ok(()) => {}
        Err(PathRefusal::Method(allow)) => {
            return Ok(not_allowed(Trouble::of(Code::MethodNotAllowed), &allow));
        }
        Err(PathRefusal::NotListed) => return Err(Trouble::of(Code::CallRefused)),
        Err(PathRefusal::NotPlain) => return Err(Trouble::of(Code::PathRefused)),
    }
    let call = Call::of(path, &request)?;
    let limit = situation.config.local.limits.max_body;
    // Whoever cannot have a token learns it before he sends a long body, and holds nobody up.
    app.token(None).await?;
    let turn = timeout(TURN_PATIENCE, visit.turns.wait(visit.who)).await.ok().flatten();
    let turn = turn.ok_or(Trouble::of(Code::Busy).retry_after(1))?;
    let mut payload = Some(Payload::receive(request.into_body(), limit).await?);
    let Pass { mut situation, mut token } = app.token(None).await?;
    let (mut renewed, mut nonce_heard, mut clock_heard) = (false, false, false);
    loop {
        let body = match payload.take() {
            Some(Payload::Whole(bytes)) => {
                payload = Some(Payload::Whole(bytes.clone()));
                Payload::Whole(bytes)
            }
            Some(streamed) => streamed,
            // By now the daemon has the token, the nonce or the clock that was missing.
            None => return Err(Trouble::of(Code::BodyNotRepeatable).retry_after(1)),
        };
        let working = situation.working()?;
        let (response, proof) =
            call.send(working, &situation.config.api_base, body, &token).await?;
        let secrets = Secrets::of(&token, &proof);
        match response.status() {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::CONFLICT if is_short(&response) => {
                let refusal = read_whole(response, MAX_REFUSAL).await;
                let refusal = refusal.map_err(|reason| unanswered(&reason))?;
                webhooks::heed(working, &refusal);
                return secrets.answer(refusal.status, &refusal.headers, refusal.body);
            }
            _ => return secrets.pass_on(response, limit, turn).await,
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
                    return secrets.answer(refusal.status, &refusal.headers, refusal.body);
                }
                Pass { situation, token } = newer;
            }
            _ => return secrets.answer(refusal.status, &refusal.headers, refusal.body),
        }
    }
}

impl Call {
    fn of(path: &str, request: &Request<Incoming>) -> Result<Self, Trouble> {
        let query = request.uri().query().unwrap_or_default();
        if !paths::is_plain_query(query) {
            return Err(Trouble::of(Code::PathRefused));
        }
        let headers = headers::going_in(request.headers());
        let (path, query) = (path.to_owned(), query.to_owned());
        Ok(Self { method: request.method().clone(), path, query, headers })
    }

    async fn send(
        &self,
        working: &Working,
        api_base: &str,
        body: Payload,
        token: &Secret,
    ) -> Result<(reqwest::Response, Proof), Trouble> {
        let upstream = &working.upstream;
        let url = paths::url(api_base, &self.path, &self.query);
        let proof = upstream
            .proof(&self.method, &url, Some(token))
            .await
            .map_err(|reason| unanswered(&reason))?;
        let mut headers = self.headers.clone();
        headers.insert(HeaderName::from_static("dpop"), proof.header.clone());
        headers.insert(AUTHORIZATION, authorization(token).ok_or(Trouble::of(Code::Internal))?);
        let (body, fate) = match body {
            Payload::Whole(bytes) => (reqwest::Body::from(bytes), None),
            Payload::Streamed(streamed) => {
                let fate = streamed.fate();
                (reqwest::Body::wrap(*streamed), Some(fate))
            }
        };
        let patience = async {
            match &fate {
                None => sleep(SILENCE).await,
                Some(fate) => patience_with(fate).await,
            }
        };
        let response = upstream.begin(self.method.clone(), &url, headers, body, patience).await;
        // A body that broke off on its way in is the caller's affair, not the platform's.
        if let Some(trouble) = fate.as_ref().and_then(|fate| fate.trouble()) {
            return Err(trouble);
        }
        Ok((response.map_err(|reason| unanswered(&reason))?, proof))
    }
}

/// Whether an answer says that it is short enough to be read before it is passed on.
fn is_short(response: &reqwest::Response) -> bool {
    response.content_length().is_some_and(|length| length <= MAX_REFUSAL as u64)
}

/// Ends when a body took too long to be sent, or the platform too long to answer it.
async fn patience_with(fate: &Fate) {
    let _ = timeout(LONGEST, fate.ended()).await;
    sleep(SILENCE).await;
}

fn unanswered(reason: &Unanswered) -> Trouble {
    tracing::warn!(%reason, "a forwarded call has no answer");
    Trouble::of(reason.code(Code::UpstreamTooLarge))
}
