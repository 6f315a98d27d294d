//! The platform's answer on its way to the caller.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use counterfoil_protocol::secret::Secret;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{HeaderMap, StatusCode, body::Frame, header::CONTENT_ENCODING};
use tokio::time::{Sleep, sleep, timeout};

use super::{
    headers::{coming_back, holds},
    unanswered,
};
use crate::{
    local::{Body, Response, problem::whole, turns::Turn},
    trouble::{Code, Trouble},
    upstream::{Proof, SILENCE, read_whole},
};

/// Up to here an answer is looked through before it is passed on, in bytes.
const LOOKED_THROUGH: u64 = 64 * 1_024;

/// How long an answer may take from its head to its end.
const LONGEST: Duration = Duration::from_mins(5);

/// What no answer may hold.
pub(super) struct Secrets {
    token: Secret,
    proof: Secret,
}

/// An answer while it is passed on.
struct Passing {
    response: reqwest::Response,
    /// Bytes that may still come.
    left: u64,
    end: Pin<Box<Sleep>>,
    _turn: Turn,
}

impl Secrets {
    /// What the call was sent with.
    pub(super) fn of(token: &Secret, proof: &Proof) -> Self {
        let proof = Secret::new(proof.header.to_str().unwrap_or_default());
        Self { token: token.clone(), proof }
    }

    fn bytes(&self) -> [&[u8]; 2] {
        [self.token.expose().as_bytes(), self.proof.expose().as_bytes()]
    }

    /// An answer that is whole already.
    pub(super) fn answer(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, Trouble> {
        if self.bytes().iter().any(|secret| holds(&body, secret)) {
            tracing::error!(%status, "the platform's answer holds the token that it was sent");
            return Err(Trouble::of(Code::TokenEchoed));
        }
        Ok(self.render(status, headers, whole(body)))
    }

    /// Passes an answer on as it comes, `limit` bytes at most; a small one only after a look through it.
    pub(super) async fn pass_on(
        &self,
        response: reqwest::Response,
        limit: u64,
        turn: Turn,
    ) -> Result<Response, Trouble> {
        let (status, headers) = (response.status(), response.headers().clone());
        let length = response.content_length();
        if length.is_some_and(|length| length > limit) {
            return Err(Trouble::of(Code::UpstreamTooLarge));
        }
        let can_be_read = !headers.contains_key(CONTENT_ENCODING);
        if can_be_read && length.is_some_and(|length| (1..=LOOKED_THROUGH).contains(&length)) {
            let room = usize::try_from(LOOKED_THROUGH).unwrap_or(usize::MAX);
            let answer = read_whole(response, room).await.map_err(|reason| unanswered(&reason))?;
            return self.answer(status, &headers, answer.body);
        }
        let end = Box::pin(sleep(LONGEST));
        let passing = Passing { response, left: limit, end, _turn: turn };
        let body = StreamBody::new(stream::unfold(Some(passing), Passing::next)).boxed_unsync();
        Ok(self.render(status, &headers, body))
    }

    fn render(&self, status: StatusCode, headers: &HeaderMap, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = coming_back(headers, &self.bytes());
        response
    }
}

impl Passing {
    /// The next part. An answer that breaks off is seen as broken; one that were cut short would be taken for whole.
    async fn next(
        passing: Option<Self>,
    ) -> Option<(Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>, Option<Self>)>
    {
        let mut passing = passing?;
        let chunk = tokio::select! {
            biased;
            () = &mut passing.end => return Some((Err("the answer took too long".into()), None)),
            chunk = timeout(SILENCE, passing.response.chunk()) => chunk,
        };
        let chunk = match chunk {
            Err(_) => return Some((Err("the platform fell silent".into()), None)),
            Ok(Err(error)) => return Some((Err(error.without_url().into()), None)),
            Ok(Ok(chunk)) => chunk?,
        };
        match passing.left.checked_sub(chunk.len() as u64) {
            Some(left) => {
                passing.left = left;
                Some((Ok(Frame::data(chunk)), Some(passing)))
            }
            None => Some((Err("the answer is too long".into()), None)),
        }
    }
}
