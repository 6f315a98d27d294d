//! The verbs by which plugins and people steer the connection.

use std::time::Duration;

use counterfoil_protocol::{scope::ScopeSet, secret::Secret};
use hyper::{
    Request, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::{Deserialize, Serialize};

use super::{
    Answered, App, Response,
    problem::{json, whole},
    routes::control_body,
    site,
};
use crate::{
    session::{Ask, Company, Connected, Done, Event, Leftover, NOTHING_TO_DO, State, Status},
    situation::{Life, Situation},
    trouble::{Code, Trouble},
};

/// How long a caller waits for a step that takes the server; the step itself goes on.
pub(super) const PATIENCE: Duration = Duration::from_secs(25);

/// What to do after a disconnect of which the server knows nothing.
pub(super) const REVOKE_THERE: &str =
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
    let site = site::named(request.headers())?;
    let body: ConnectBody = control_body(request).await?;
    let scopes = body.scopes.map(|names| ScopeSet::from_names(names.iter().map(String::as_str)));
    let scopes = scopes.transpose().map_err(|_| Trouble::of(Code::ScopesRefused))?;
    let ask = Ask { bind: bind(body.bind)?, scopes, site };
    match app.ask(Event::ConnectAsked(ask), PATIENCE).await?.map(|answered| answered.done) {
        Some(Done::Authorization(authorization)) => Ok(json(StatusCode::OK, &authorization)),
        Some(_) => Err(Trouble::of(Code::Internal)),
        None => Err(app.no_reply(Code::ServerAnswerTimeout)),
    }
}

/// `POST /v1/callback`
pub(super) async fn callback(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let site = site::named(request.headers())?;
    let body: CallbackBody = control_body(request).await?;
    let bind = bind(body.bind)?.map(|bind| bind.expose().to_owned());
    let event = Event::CallbackReceived { query: Secret::new(body.query), bind };
    match app.ask(event, PATIENCE).await? {
        Some(Answered { situation, done: Done::Connected(connected) }) => {
            site::connected(app, site).await;
            Ok(json(StatusCode::OK, &told(app, &situation, connected)?))
        }
        Some(_) => Err(Trouble::of(Code::Internal)),
        None => Err(app.no_reply(Code::CallbackPending)),
    }
}

/// `POST /v1/disconnect`
pub(super) async fn disconnect(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let body: DisconnectBody = control_body(request).await?;
    let event = Event::DisconnectAsked { forget: body.forget };
    let leftover = match app.ask(event, PATIENCE).await?.map(|answered| answered.done) {
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
pub(super) async fn status(app: &App) -> Response {
    look_at_key(app).await;
    json(StatusCode::OK, &status_of(app).for_guests())
}

/// Looks whether the key's file is in order, before somebody is told how it is.
pub(super) async fn look_at_key(app: &App) {
    if let Life::Working(working) = &app.situation().life {
        working.keeping.look().await;
    }
}

/// `GET /healthz`: the process answers. Whether the store is connected is for status to say.
pub(super) fn health() -> Response {
    let mut response = Response::new(whole("ok\n"));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// What status says, whatever the state of things; what is said of the key's file is added for who reads it.
pub(super) fn status_of(app: &App) -> Status {
    let situation = app.situation();
    let status = match &situation.life {
        Life::Working(working) => {
            let (session, cx) = (working.actor.session(), app.context(&situation));
            let status =
                session.status(working.upstream.health(), working.upstream.key_home(), &cx);
            Status { strangers: app.strangers.list(), ..status }.with_key(working.keeping.unkept())
        }
        Life::Degraded { why, next_step } => Status {
            summary: format!("The daemon cannot work: {why}."),
            next_step: (*next_step).to_owned(),
            ..Status::bare(State::Degraded, &situation.config)
        },
    };
    let next_step = match situation.file.next_step() {
        Some(next_step) if status.next_step == NOTHING_TO_DO => next_step,
        _ => status.next_step,
    };
    Status { next_step, config: situation.file.clone(), ..status }
}

fn told(app: &App, situation: &Situation, connected: Connected) -> Result<ConnectedBody, Trouble> {
    let session = situation.working()?.actor.session();
    let cx = app.context(situation);
    let state = session.state(&cx);
    let (summary, _) = session.words(state, &cx);
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
