//! The verbs by which plugins and people steer the connection.

use std::time::Duration;

use bytes::Bytes;
use counterfoil_protocol::{scope::ScopeSet, secret::Secret};
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Request, StatusCode,
    body::{Frame, Incoming},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, Serialize};

use super::{
    App, Life, Response,
    problem::{json, whole},
    routes::control_body,
};
use crate::{
    session::{Ask, Company, Connected, Done, Event, Leftover, Session, State, Status},
    trouble::{Code, Trouble},
};

/// How long a caller waits for a step that takes the server; the step itself goes on.
const PATIENCE: Duration = Duration::from_secs(25);

/// What to do after a disconnect of which the server knows nothing.
const REVOKE_THERE: &str =
    "The payment platform was not told: open its Connected apps page and revoke this store there.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectBody {
    bind: Option<String>,
    scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackBody {
    query: String,
    bind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisconnectBody {
    #[serde(default)]
    forget: bool,
}

#[derive(Serialize)]
struct ConnectedBody {
    state: State,
    summary: String,
    company: Company,
    scopes: Vec<String>,
    connected_at: counterfoil_protocol::UnixTime,
}

#[derive(Serialize)]
struct DisconnectedBody {
    state: State,
    summary: String,
    next_step: String,
    leftover: Option<Leftover>,
}

/// `POST /v1/connect`
pub(super) async fn connect(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let body: ConnectBody = control_body(request).await?;
    let scopes = body.scopes.map(|names| ScopeSet::from_names(names.iter().map(String::as_str)));
    let scopes = scopes.transpose().map_err(|_| Trouble::of(Code::ScopesRefused))?;
    let ask = Ask { bind: bind(body.bind)?, scopes };
    match ask_actor(app, Event::ConnectAsked(ask)).await? {
        Some(Done::Authorization(authorization)) => Ok(json(StatusCode::OK, &authorization)),
        Some(_) => Err(Trouble::of(Code::Internal)),
        None => Err(Trouble::of(Code::ServerUnreachable).retry_after(5)),
    }
}

/// `POST /v1/callback`
pub(super) async fn callback(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let body: CallbackBody = control_body(request).await?;
    let bind = bind(body.bind)?.map(|bind| bind.expose().to_owned());
    let event = Event::CallbackReceived { query: Secret::new(body.query), bind };
    match ask_actor(app, event).await? {
        Some(Done::Connected(connected)) => Ok(json(StatusCode::OK, &told(app, connected)?)),
        Some(_) => Err(Trouble::of(Code::Internal)),
        None => Err(Trouble::of(Code::CallbackPending).retry_after(5)),
    }
}

/// `POST /v1/disconnect`
pub(super) async fn disconnect(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let body: DisconnectBody = control_body(request).await?;
    let leftover = match ask_actor(app, Event::DisconnectAsked { forget: body.forget }).await? {
        Some(Done::Disconnect(disconnecting)) => disconnecting.leftover,
        Some(_) => return Err(Trouble::of(Code::Internal)),
        None => None,
    };
    let Status { state, summary, next_step, .. } = status_of(app);
    let next_step = match leftover {
        Some(_) => REVOKE_THERE.to_owned(),
        None => next_step,
    };
    let status = match state {
        State::DisconnectPending => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    Ok(json(status, &DisconnectedBody { state, summary, next_step, leftover }))
}

/// `GET /v1/status`
pub(super) fn status(app: &App) -> Response {
    json(StatusCode::OK, &status_of(app))
}

/// `GET /healthz`: the process answers. Whether the store is connected is for status to say.
pub(super) fn health() -> Response {
    let mut response = Response::new(whole("ok\n"));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// `GET /v1/events`: the state now, and again whenever it changes, as server-sent events.
pub(super) fn events(app: &App) -> Result<Response, Trouble> {
    /// How often a line is sent that means nothing, so that a dead connection is noticed.
    const KEEP_ALIVE: Duration = Duration::from_secs(15);
    let (actor, config) = (&app.working()?.actor, app.config.clone());
    let (clock, entropy) = (app.clock.clone(), app.entropy.clone());
    let describe = move |session: &Session| {
        let cx = crate::session::Context { config: &config, now: clock.now(), entropy: &*entropy };
        let (summary, next_step) = session.words(session.state(&cx), &cx);
        let state = session.state(&cx);
        let data =
            serde_json::json!({ "state": state, "summary": summary, "next_step": next_step });
        format!("event: state\ndata: {data}\n\n")
    };
    let first = (actor.watch(), None::<String>);
    let changes = stream::unfold((first, describe), |((mut watch, last), describe)| async move {
        loop {
            let now = describe(&watch.borrow_and_update().clone());
            if last.as_ref() != Some(&now) {
                let frame = Frame::data(Bytes::from(now.clone()));
                return Some((Ok(frame), ((watch, Some(now)), describe)));
            }
            match tokio::time::timeout(KEEP_ALIVE, watch.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => {
                    let frame = Frame::data(Bytes::from_static(b":\n\n"));
                    return Some((Ok(frame), ((watch, last), describe)));
                }
            }
        }
    });
    let mut response = Response::new(StreamBody::new(changes).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What status says, whatever the state of things.
fn status_of(app: &App) -> Status {
    match &app.life {
        Life::Working(working) => {
            let session = working.actor.session();
            session.status(working.thumbprint, working.upstream.health(), &app.context())
        }
        Life::Degraded { why, next_step } => Status {
            summary: format!("The daemon cannot work: {why}."),
            next_step: (*next_step).to_owned(),
            ..Status::bare(State::Degraded, &app.config)
        },
    }
}

async fn ask_actor(app: &App, event: Event) -> Result<Option<Done>, Trouble> {
    app.working()?.actor.ask(event, PATIENCE).await.transpose()
}

fn told(app: &App, connected: Connected) -> Result<ConnectedBody, Trouble> {
    let session = app.working()?.actor.session();
    let state = session.state(&app.context());
    let (summary, _) = session.words(state, &app.context());
    let Connected { company, scopes, connected_at } = connected;
    Ok(ConnectedBody { state, summary, company, scopes, connected_at })
}

fn bind(text: Option<String>) -> Result<Option<Secret>, Trouble> {
    match text {
        Some(text) if text.is_empty() || text.len() > 512 => Err(Trouble::new(
            Code::BodyMalformed,
            "The plugin's request is not understood: bind has 1 to 512 characters.",
        )),
        text => Ok(text.map(Secret::new)),
    }
}
