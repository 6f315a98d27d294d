//! What only the owner is told, through his socket: where the daemon lives, what happened, what was counted.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use bytes::Bytes;
use counterfoil_protocol::UnixTime;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Request, StatusCode,
    body::{Frame, Incoming},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use super::{
    App, Response,
    control::{look_at_key, status_of},
    problem::{json, whole},
    stopped,
};
use crate::{
    events, history,
    history::{Kind, Query, Record},
    log, metrics,
    session::Status,
    trouble::{Code, Trouble},
};

/// Records that are answered where no number is asked for.
const USUAL_LIMIT: usize = 200;

/// Records that are answered at most.
const MAX_LIMIT: usize = 20_000;

/// How often a line is sent that means nothing, so that a dead connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where this daemon lives, as it was decided at the start.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Residence {
    /// When the daemon started.
    pub(crate) started_at: UnixTime,
    /// The store's file.
    pub(crate) config_file: PathBuf,
    /// The state directory.
    pub(crate) state_dir: PathBuf,
    /// The socket for plugins.
    pub(crate) api_socket: PathBuf,
    /// The owner's socket.
    pub(crate) admin_socket: PathBuf,
    /// Where metrics are read, if anywhere.
    pub(crate) metrics_listen: Option<std::net::SocketAddr>,
}

/// `GET /v1/admin/status`: what guests see, and what is the owner's business.
#[derive(Serialize)]
pub(super) struct OwnersStatus {
    #[serde(flatten)]
    status: Status,
    daemon: Daemon,
}

/// The running process.
#[derive(Serialize)]
struct Daemon {
    #[serde(flatten)]
    residence: Residence,
    now: UnixTime,
    pid: u32,
    uid: u32,
    guests: Guests,
    open_files_limit: Option<u64>,
    history_dropped: u64,
    log: log::Report,
}

/// Who may call besides the owner and root, by number.
#[derive(Serialize)]
struct Guests {
    users: Vec<u32>,
    groups: Vec<u32>,
}

/// `GET /v1/admin/status`
pub(super) async fn status(app: &App) -> Response {
    look_at_key(app).await;
    json(StatusCode::OK, &owners_status(app))
}

/// Everything that the owner is told of how it is.
pub(super) fn owners_status(app: &App) -> OwnersStatus {
    let guests = &app.situation().guests;
    OwnersStatus {
        status: status_of(app).for_owner(),
        daemon: Daemon {
            residence: app.residence.clone(),
            now: app.clock.now(),
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            guests: Guests { users: guests.users.clone(), groups: guests.groups.clone() },
            open_files_limit: getrlimit(Resource::Nofile).current,
            history_dropped: events::history().map_or(0, history::History::dropped),
            log: log::report(),
        },
    }
}

/// `GET /v1/admin/metrics`: what the metrics listener tells, where there is none.
pub(super) fn metrics(app: &App) -> Response {
    let mut response = Response::new(whole(metrics_text(app)));
    response.headers_mut().insert(CONTENT_TYPE, metrics::CONTENT_TYPE);
    response
}

/// The metrics now, in Prometheus' text form.
pub(crate) fn metrics_text(app: &App) -> String {
    let dropped = events::history().map_or(0, history::History::dropped);
    metrics::METRICS.told(&status_of(app), app.residence.started_at, dropped)
}

/// `GET /v1/admin/events`: one JSON object a line, the oldest first; with `follow=true`, what happens from now on.
pub(super) async fn history(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let asked = Asked::read(request.uri().query().unwrap_or_default())?;
    let Some(history) = events::history() else {
        return Err(Trouble::new(Code::StorageFailed, "The daemon keeps no history."));
    };
    if asked.follow {
        return Ok(follow(app, asked.query.kinds, history.listen()));
    }
    history.flushed().await;
    let path = app.residence.state_dir.join(history::FILE);
    let read = tokio::task::spawn_blocking(move || history::read(&path, &asked.query)).await;
    let records = read.map_err(|_| Trouble::of(Code::Internal))?.map_err(|error| {
        tracing::warn!(%error, "the history cannot be read");
        Trouble::new(Code::StorageFailed, "The history cannot be read.")
    })?;
    Ok(lines(whole(records.iter().map(line).collect::<String>())))
}

/// What a request for the history asks for.
#[derive(Debug, Eq, PartialEq)]
struct Asked {
    query: Query,
    follow: bool,
}

impl Asked {
    fn read(query: &str) -> Result<Self, Trouble> {
        let refuse = |name: &str| {
            let said = format!("The request for the history is not understood: {name}.");
            Trouble::new(Code::BodyMalformed, said)
        };
        let mut asked =
            Self { query: Query { limit: USUAL_LIMIT, ..Query::default() }, follow: false };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "since" => {
                    let since = value.parse().map_err(|_| refuse("since"))?;
                    asked.query.since = Some(UnixTime(since));
                }
                "kind" => {
                    let kind = Kind::named(&value).ok_or_else(|| refuse("kind"))?;
                    asked.query.kinds.push(kind);
                }
                "limit" => {
                    let limit: usize = value.parse().map_err(|_| refuse("limit"))?;
                    asked.query.limit = limit.min(MAX_LIMIT);
                }
                "follow" => asked.follow = value.parse().map_err(|_| refuse("follow"))?,
                _ => return Err(refuse("a name that nobody knows")),
            }
        }
        Ok(asked)
    }
}

fn follow(
    app: &App,
    kinds: Vec<Kind>,
    records: tokio::sync::broadcast::Receiver<Record>,
) -> Response {
    let listener = (records, kinds, app.stopping.clone(), VecDeque::from([String::from("\n")]));
    let frames = stream::unfold(listener, |(mut records, kinds, stopping, mut ready)| async move {
        loop {
            if let Some(line) = ready.pop_front() {
                let frame = Frame::data(Bytes::from(line));
                return Some((Ok(frame), (records, kinds, stopping, ready)));
            }
            let next = tokio::select! {
                () = stopped(stopping.clone()) => return None,
                next = tokio::time::timeout(KEEP_ALIVE, records.recv()) => next,
            };
            match next {
                Ok(Ok(record)) if kinds.is_empty() || kinds.contains(&record.kind) => {
                    ready.push_back(line(&record));
                }
                // Whoever reads too slowly misses some; the file has them.
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => ready.push_back("\n".to_owned()),
            }
        }
    });
    lines(StreamBody::new(frames).boxed_unsync())
}

fn line(record: &Record) -> String {
    let mut line = serde_json::to_string(record).unwrap_or_default();
    line.push('\n');
    line
}

fn lines(body: super::Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_understood_whole_or_refused() {
        let query =
            Query { since: Some(UnixTime(5)), kinds: vec![Kind::Renewed, Kind::Refused], limit: 7 };
        let asked = Asked::read("since=5&kind=renewed&kind=refused&limit=7&follow=true");
        assert_eq!(asked, Ok(Asked { query, follow: true }));
        let usual = Query { limit: USUAL_LIMIT, ..Query::default() };
        assert_eq!(Asked::read(""), Ok(Asked { query: usual, follow: false }));
        for wrong in ["since=x", "kind=coffee", "limit=-1", "follow=maybe", "sicne=5"] {
            assert_eq!(
                Asked::read(wrong).map_err(|it| it.code),
                Err(Code::BodyMalformed),
                "{wrong}"
            );
        }
    }
}
