//! One request to an upstream, and its answer.

use std::{pin::pin, sync::Arc};

use axum::body::Body as Given;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, body::Body as _, header};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    Upstream,
    body::{BodyFault, Bounded, Fate, Outgoing, Received, whole},
    connect::Connector,
};
use crate::outbound::Slots;

/// The most headers of an answer, and the most bytes of its head.
const MAX_HEADERS: usize = 128;
const MAX_HEAD: usize = 64 * 1024;

/// An upstream and the connections to it.
pub struct Gate {
    /// What it is.
    pub upstream: Upstream,
    client: Client<Connector, Outgoing>,
    slots: Slots,
}

/// A request that may pass, with its place among those on their way.
pub struct Passage {
    /// The body.
    pub body: Received,
    slot: [OwnedSemaphorePermit; 2],
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The caller's body did not arrive whole.
    #[error(transparent)]
    Body(#[from] BodyFault),
    /// The answer is no HTTP, or ended before it began.
    #[error("the answer broke off or is none: {0}")]
    Broken(String),
    /// Too much is on its way already.
    #[error("all connections are taken")]
    Busy,
    /// The identity cannot be signed.
    #[error("no identity: {0}")]
    Identity(String),
    /// Nothing came in time.
    #[error("no answer came in time")]
    Late,
    /// It asks for credentials: it does not believe the identity.
    #[error("the upstream answered {0}: it does not take the identity")]
    NotBelieved(StatusCode),
    /// The request has no address there.
    #[error("the request cannot be addressed")]
    Target,
    /// The answer says that it is longer than is passed on.
    #[error("the answer has {0} bytes")]
    TooLong(u64),
    /// There is no connection.
    #[error("no connection: {0}")]
    Unreachable(String),
}

impl Failure {
    /// A stable word for metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body(_) => "body",
            Self::Broken(_) => "broken",
            Self::Busy => "busy",
            Self::Identity(_) => "identity",
            Self::Late => "late",
            Self::NotBelieved(_) => "not_believed",
            Self::Target => "target",
            Self::TooLong(_) => "too_long",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

impl Gate {
    /// Connects nothing yet.
    pub fn new(upstream: Upstream, tls: impl FnOnce() -> TlsConnector) -> Self {
        let bounds = upstream.bounds;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(bounds.idle)
            .pool_max_idle_per_host(bounds.connections)
            .http1_max_headers(MAX_HEADERS)
            .http1_max_buf_size(MAX_HEAD)
            .build(Connector::new(&upstream, tls));
        let slots = Slots::new(bounds.connections, bounds.connections_per_client);
        Self { upstream, client, slots }
    }

    /// Takes a place for a request of a client, and then its body: places bound the memory of bodies, and one client's
    /// slow ones take only his own.
    pub async fn receive(&self, client_id: &str, body: Given) -> Result<Passage, Failure> {
        let bounds = &self.upstream.bounds;
        let slot = timeout(bounds.connect, self.slots.take(client_id)).await;
        let slot = slot.map_err(|_| Failure::Busy)?;
        let body = Received::read(body, bounds.signed_body, bounds.body).await?;
        Ok(Passage { body, slot })
    }

    /// Sends a request once, and once more only if it is a `GET` or `HEAD` without a body whose connection ended before
    /// an answer began: an idle one that the upstream was just closing.
    pub async fn send(
        &self,
        method: Method,
        target: Uri,
        headers: HeaderMap,
        passage: Passage,
    ) -> Result<Response<Bounded>, Failure> {
        let Passage { body, slot } = passage;
        let bounds = &self.upstream.bounds;
        let again = matches!(method, Method::GET | Method::HEAD)
            && body.whole().is_some_and(bytes::Bytes::is_empty);
        let (body, fate) = body.outgoing();
        let request = |body| {
            let mut request = Request::new(body);
            *request.method_mut() = method.clone();
            *request.uri_mut() = target.clone();
            *request.headers_mut() = headers.clone();
            request
        };
        let mut end = Box::pin(sleep(bounds.total));
        let fault = fate.as_ref().map(|fate| Arc::clone(&fate.fault));
        let mut patience = pin!(async {
            if let Some(Fate { sent, .. }) = fate {
                let _ = sent.await;
            }
            sleep(bounds.answer).await;
        });
        let asking = async {
            match self.client.request(request(body)).await {
                Err(error) if again && !error.is_connect() => {
                    self.client.request(request(whole(bytes::Bytes::new()))).await
                }
                answer => answer,
            }
        };
        let answer = tokio::select! {
            answer = asking => answer,
            () = &mut patience => return Err(Failure::Late),
            () = &mut end => return Err(Failure::Late),
        };
        // A body that did not arrive whole is the caller's affair.
        if let Some(fault) = fault.and_then(|fault| fault.get().cloned()) {
            return Err(fault.into());
        }
        let answer = answer.map_err(|error| {
            if error.is_connect() {
                Failure::Unreachable(causes(&error))
            } else {
                Failure::Broken(causes(&error))
            }
        })?;
        let status = answer.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            return Err(Failure::NotBelieved(status));
        }
        if status.is_informational() {
            return Err(Failure::Broken(format!("status {status}")));
        }
        let length = answer.body().size_hint().lower();
        if length > bounds.answer_body {
            return Err(Failure::TooLong(length));
        }
        Ok(answer.map(|body| Bounded {
            body,
            room: bounds.answer_body,
            pause: bounds.answer,
            waiting: None,
            end,
            _slot: slot,
        }))
    }

    /// The headers of a request by the gateway: what passes of the caller's, and what is its own to say.
    #[must_use]
    pub fn headers(&self, given: &HeaderMap) -> HeaderMap {
        let mut headers = super::headers::going_in(given);
        headers.insert(header::HOST, self.upstream.host.clone());
        headers.insert(header::VIA, header::HeaderValue::from_static("1.1 counterfoil"));
        headers
    }
}

/// An error with its causes.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
