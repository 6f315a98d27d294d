//! A proxy that stands at the issuer's address before the real server and spoils what a test tells it to.
//!
//! It follows a script for each step of the conversation between daemon and server: the first request of a step
//! meets the first behaviour of its list, and so on; when the list is empty, requests pass. It records what came.

mod forge;
mod script;
mod seen;

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use reqwest::{Client, redirect::Policy};
use rustix::net::sockopt::set_socket_linger;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use self::{forge::Forger, seen::secrets_of};
pub use self::{
    forge::Forgery,
    script::{Behaviour, Step},
    seen::{Secrets, Seen},
};

/// How an exchange with a client ends: with an answer, or with none.
type Outcome = std::result::Result<Response<BoxBody<Bytes, Broken>>, Broken>;

/// The connection is to be closed without an answer, or within one.
#[derive(Debug, thiserror::Error)]
#[error("the front breaks off")]
struct Broken;

/// The front. It serves until it is dropped.
pub struct Front {
    address: SocketAddr,
    hall: Arc<Hall>,
    serving: JoinHandle<()>,
}

struct Hall {
    server: OnceLock<SocketAddr>,
    http: Client,
    forger: Forger,
    memory: Mutex<Memory>,
    held: watch::Sender<bool>,
}

#[derive(Default)]
struct Memory {
    script: HashMap<Step, VecDeque<Behaviour>>,
    /// The good answers of the token endpoint, oldest first.
    answers: VecDeque<Answer>,
    seen: Vec<Seen>,
    secrets: Secrets,
    signing_secrets: Vec<String>,
    challenges: u64,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Front {
    /// Listens on a free port. The server behind it is named later.
    pub async fn listen() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let hall = Arc::new(Hall {
            server: OnceLock::new(),
            http: Client::builder().redirect(Policy::none()).no_proxy().build()?,
            forger: Forger::new()?,
            memory: Mutex::default(),
            held: watch::Sender::new(true),
        });
        let attending = Arc::clone(&hall);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let hall = Arc::clone(&attending);
                tokio::spawn(async move { attend(&hall, stream).await });
            }
        });
        Ok(Self { address, hall, serving })
    }

    /// The issuer that the server behind must have.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Names the server behind.
    pub fn stand_before(&self, server: SocketAddr) -> Result<()> {
        self.hall.server.set(server).ok().context("the front has a server already")
    }

    /// Lets the next requests of a step meet these behaviours.
    pub fn script(&self, step: Step, behaviours: &[Behaviour]) {
        self.hall.memory().script.insert(step, behaviours.iter().copied().collect());
    }

    /// Lets everything pass, and whatever is held go on.
    pub fn be_honest(&self) {
        self.hall.memory().script.clear();
        self.release();
    }

    /// Lets what is held go on.
    pub fn release(&self) {
        self.hall.held.send_replace(false);
    }

    /// What came, oldest first, since this was asked last.
    #[must_use]
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.hall.memory().seen)
    }

    /// How many requests of a step came since [`Front::take_seen`].
    #[must_use]
    pub fn count(&self, step: Step) -> usize {
        self.hall.memory().seen.iter().filter(|seen| seen.step == step).count()
    }

    /// Every secret that passed so far.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.hall.memory().secrets.clone()
    }

    /// The secrets that the server gave for its notifications, oldest first.
    #[must_use]
    pub fn signing_secrets(&self) -> Vec<String> {
        self.hall.memory().signing_secrets.clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn attend(hall: &Arc<Hall>, stream: TcpStream) {
    // A second handle on the socket, by which it can be reset while the first serves.
    let Ok(own) = stream.into_std() else { return };
    let (Ok(handle), Ok(stream)) = (own.try_clone(), TcpStream::from_std(own)) else { return };
    let service = service_fn(|request| async {
        let (outcome, reset) = hall.answer(request).await;
        if reset {
            // Closed like this, a socket says RST and not FIN.
            let _ = set_socket_linger(&handle, Some(Duration::ZERO));
        }
        outcome
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Hall {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers as the script says; and whether the connection is to be reset.
    async fn answer(&self, request: Request<Incoming>) -> (Outcome, bool) {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            return (Err(Broken), false);
        };
        let step = Step::of(&head.method, head.uri.path(), &body);
        let behaviour = {
            let mut memory = self.memory();
            memory.secrets.extend(secrets_of(&head.headers, &body));
            let behaviour = memory.script.get_mut(&step).and_then(VecDeque::pop_front);
            let behaviour = behaviour.unwrap_or(Behaviour::Pass);
            if matches!(behaviour, Behaviour::Hold | Behaviour::HoldAnswer) {
                self.held.send_replace(true);
            }
            memory.seen.push(Seen::of(step, behaviour, &head.headers, &body));
            behaviour
        };
        let forwarded = Request::from_parts(head, body);
        let outcome = self.behave(step, behaviour, &forwarded).await;
        (outcome, behaviour == Behaviour::Reset)
    }

    async fn behave(&self, step: Step, behaviour: Behaviour, request: &Request<Bytes>) -> Outcome {
        match behaviour {
            Behaviour::LoseRequest | Behaviour::Reset => return Err(Broken),
            Behaviour::Refuse(status) => return Ok(plain(status, "text/plain", "not now")),
            Behaviour::Redirect => return Ok(redirect()),
            Behaviour::RejectToken => return Ok(rejected()),
            Behaviour::LoseFamily => {
                return Ok(plain(400, "application/json", r#"{"error":"invalid_grant"}"#));
            }
            Behaviour::Challenge => return Ok(self.challenge(step)),
            Behaviour::OldAnswer => {
                let old = self.memory().answers.front().cloned();
                return old.map_or(Err(Broken), |answer| Ok(whole(answer)));
            }
            Behaviour::Hold => self.wait().await,
            _ => {}
        }
        let answer = self.pass(step, request).await?;
        Ok(match behaviour {
            Behaviour::LoseAnswer => return Err(Broken),
            Behaviour::Hide(status) => plain(status, "text/plain", "it was done, but not by me"),
            Behaviour::Html => {
                plain(200, "text/html", "<html><body>Welcome to nginx!</body></html>")
            }
            Behaviour::WrongJson => plain(200, "application/json", "{\"ok\":true}"),
            Behaviour::Truncate => truncated(answer),
            Behaviour::HoldAnswer => {
                self.wait().await;
                whole(answer)
            }
            Behaviour::Forge(forgery) => {
                let body = self.forger.forge(&answer.body, forgery).unwrap_or(answer.body);
                whole(Answer { body, ..answer })
            }
            _ => whole(answer),
        })
    }

    async fn wait(&self) {
        let _ = self.held.subscribe().wait_for(|held| !*held).await;
    }

    /// Asks the real server.
    async fn pass(
        &self,
        step: Step,
        request: &Request<Bytes>,
    ) -> std::result::Result<Answer, Broken> {
        let server = self.server.get().ok_or(Broken)?;
        let url = format!("http://{server}{}", request.uri());
        let mut headers = request.headers().clone();
        for hop in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(hop);
        }
        let sent = self
            .http
            .request(request.method().clone(), url)
            .headers(headers)
            .body(request.body().clone());
        let response = sent.send().await.map_err(|_| Broken)?;
        let (status, mut headers) = (response.status(), response.headers().clone());
        for hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(hop);
        }
        let mut body = response.bytes().await.map_err(|_| Broken)?;
        if step == Step::Jwks {
            body = self.forger.publish(&body).unwrap_or(body);
        }
        let answer = Answer { status, headers, body };
        let mut memory = self.memory();
        let secrets = secrets_of(&answer.headers, &answer.body);
        let signing = secrets.iter().filter(|(what, _)| *what == "signingSecret");
        memory.signing_secrets.extend(signing.map(|(_, secret)| secret.clone()));
        memory.secrets.extend(secrets);
        if let Some(seen) = memory.seen.iter_mut().rev().find(|seen| seen.step == step) {
            seen.answered = Some(status.as_u16());
        }
        if matches!(step, Step::Code | Step::Refresh) && status.is_success() {
            memory.answers.push_back(answer.clone());
            if memory.answers.len() > 2 {
                memory.answers.pop_front();
            }
        }
        Ok(answer)
    }

    /// `use_dpop_nonce` with a nonce that was not used before (RFC 9449 §8, §9).
    fn challenge(&self, step: Step) -> Response<BoxBody<Bytes, Broken>> {
        let mut memory = self.memory();
        memory.challenges += 1;
        let nonce = format!("front-{}", memory.challenges);
        let status =
            if matches!(step, Step::Api | Step::Webhook | Step::Reset) { 401 } else { 400 };
        let mut response = plain(status, "application/json", r#"{"error":"use_dpop_nonce"}"#);
        if let Ok(nonce) = HeaderValue::from_str(&nonce) {
            response.headers_mut().insert("dpop-nonce", nonce);
        }
        response
    }
}

fn plain(status: u16, kind: &'static str, body: &'static str) -> Response<BoxBody<Bytes, Broken>> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    whole(Answer { status, headers, body: Bytes::from_static(body.as_bytes()) })
}

fn redirect() -> Response<BoxBody<Bytes, Broken>> {
    let mut response = plain(307, "text/plain", "elsewhere");
    response
        .headers_mut()
        .insert("location", HeaderValue::from_static("http://127.0.0.1:1/elsewhere"));
    response
}

/// An API's answer to a token that it does not take (RFC 9449 §7.1).
fn rejected() -> Response<BoxBody<Bytes, Broken>> {
    let mut response = plain(401, "application/json", r#"{"error":"invalid_token"}"#);
    let challenge = HeaderValue::from_static("DPoP error=\"invalid_token\", algs=\"ES256\"");
    response.headers_mut().insert("www-authenticate", challenge);
    response
}

fn whole(answer: Answer) -> Response<BoxBody<Bytes, Broken>> {
    let body = Full::new(answer.body).map_err(|never: Infallible| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// The head promises the whole answer; half of it comes.
fn truncated(answer: Answer) -> Response<BoxBody<Bytes, Broken>> {
    let half = answer.body.slice(..answer.body.len() / 2);
    let length = HeaderValue::from(answer.body.len());
    let frames = [Ok(Frame::data(half)), Err(Broken)];
    let body = BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)));
    let mut response = whole(answer).map(|_| body);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}
