//! Asking a running daemon.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Error, Result, anyhow};
use reqwest::{Client, Method, RequestBuilder, Response, redirect::Policy};
use serde_json::{Value, json};

use super::{Found, Where};
use crate::custody;

/// How long an answer may take. The daemon answers after 25 s at the latest.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long the answer to a question may take that the daemon answers from memory.
const BRIEF: Duration = Duration::from_secs(5);

/// A running daemon's admin socket.
pub(super) struct Admin {
    socket: PathBuf,
    client: Client,
    /// How long the first word of an answer may take.
    patience: Duration,
    /// Whether the daemon is there or nowhere.
    is_sure: bool,
    /// Its state, which a daemon that runs holds.
    state_dir: PathBuf,
}

/// Why there is no answer of use.
pub(super) enum Unhelped {
    /// A daemon answered, and said no.
    Refused {
        /// In words.
        words: Silence,
        /// Its answer, as it came.
        problem: Option<Value>,
    },
    /// Nobody answered.
    Silent(Silence),
}

impl Unhelped {
    /// Why, and what to do.
    pub(super) fn words(self) -> Silence {
        match self {
            Self::Refused { words, .. } | Self::Silent(words) => words,
        }
    }

    /// The same for programs: the daemon's own answer, or one that says that there is none.
    pub(super) fn json(self) -> Value {
        match self {
            Self::Refused { problem: Some(problem), .. } => problem,
            other => {
                let Silence { why, next_step } = other.words();
                json!({ "code": "silent", "detail": why, "next_step": next_step })
            }
        }
    }
}

impl From<Unhelped> for Error {
    fn from(unhelped: Unhelped) -> Self {
        let Silence { why, next_step } = unhelped.words();
        anyhow!("{why}\nWhat to do: {next_step}")
    }
}

impl Admin {
    /// Finds the daemon for an order: refuses one that is not the one that the arguments speak of.
    pub(super) async fn order(place: &Where) -> Result<Self> {
        let admin = Self::find(place)?;
        let status = admin.ask(Method::GET, "/v1/admin/status", None).await?;
        place.meant().check(&status, &admin.socket)?;
        Ok(admin)
    }

    /// Finds the socket, for what is only asked. Whether anybody answers shows with the first question.
    pub(super) fn find(place: &Where) -> Result<Self> {
        let found = place.find()?;
        anyhow::ensure!(
            found.is_meant,
            "nothing is asked of a daemon that may be another store's\nWhat to do: correct the store's file, or name the daemon: --socket PATH or --state-dir DIR"
        );
        Self::with(&found, PATIENCE)
    }

    /// Asks only what is answered at once, and does not wait long for it.
    pub(super) fn briefly(found: &Found) -> Result<Self> {
        Self::with(found, BRIEF)
    }

    fn with(found: &Found, patience: Duration) -> Result<Self> {
        let socket = found.places.admin_socket.clone();
        let client = client(&socket).timeout(patience).build()?;
        let state_dir = found.places.state_dir.clone();
        Ok(Self { socket, client, patience, is_sure: found.is_sure, state_dir })
    }

    fn silent(&self, error: &reqwest::Error) -> Unhelped {
        let kind = kind(error);
        let holds = kind == Some(io::ErrorKind::NotFound) && custody::is_held(&self.state_dir);
        let holder = holds.then_some(self.state_dir.as_path());
        Unhelped::Silent(Silence::because(kind, &self.socket, self.is_sure, holder))
    }

    /// Begins to read an answer that does not end.
    pub(super) async fn follow(&self, path: &str) -> Result<Response, Unhelped> {
        let broken = |error: reqwest::Error| self.silent(&error);
        let client = client(&self.socket).build().map_err(broken)?;
        let begun = request(&client, Method::GET, path).send();
        let begun = tokio::time::timeout(self.patience, begun).await;
        let late = Some(io::ErrorKind::TimedOut);
        let response = begun
            .map_err(|_| {
                Unhelped::Silent(Silence::because(late, &self.socket, self.is_sure, None))
            })?
            .map_err(broken)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let text = response.text().await.map_err(broken)?;
        Err(self.refused(&text))
    }

    /// Asks; a refusal becomes an error in the daemon's own words.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        Ok(self.exchange(method, path, body).await?)
    }

    /// The same, and a refusal stays what it is.
    pub(super) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Unhelped> {
        let mut request = request(&self.client, method, path);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let text = self.send(request).await?;
        serde_json::from_str(&text).map_err(|_| self.refused(""))
    }

    /// Reads what is at `path`.
    pub(super) async fn text(&self, path: &str) -> Result<String, Unhelped> {
        self.send(request(&self.client, Method::GET, path)).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<String, Unhelped> {
        let exchange = async {
            let response = request.send().await?;
            Ok((response.status(), response.text().await?))
        };
        let (status, text) = exchange.await.map_err(|error| self.silent(&error))?;
        if status.is_success() { Ok(text) } else { Err(self.refused(&text)) }
    }

    fn refused(&self, text: &str) -> Unhelped {
        let Ok(problem) = serde_json::from_str::<Value>(text) else {
            let next_step = "Name the daemon's socket: --socket PATH or --state-dir DIR";
            let words = Silence { why: self.no_counterfoild(), next_step: next_step.to_owned() };
            return Unhelped::Refused { words, problem: None };
        };
        let word = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or("?");
        let words = Silence {
            why: word("detail").to_owned(),
            next_step: format!("{} ({})", word("next_step"), word("code")),
        };
        Unhelped::Refused { words, problem: Some(problem) }
    }

    fn no_counterfoild(&self) -> String {
        format!("what answers on {} is no counterfoild", self.socket.display())
    }
}

/// Why there is no answer of use, and what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Silence {
    /// In one sentence.
    pub(super) why: String,
    /// With the exact command.
    pub(super) next_step: String,
}

impl Silence {
    /// What a kind of failure means. Where the daemon's place is not sure, nobody there says nothing about it; a
    /// state directory that is `held` has a daemon, whatever became of its socket.
    fn because(
        kind: Option<io::ErrorKind>,
        socket: &Path,
        is_sure: bool,
        held: Option<&Path>,
    ) -> Self {
        let place = socket.display();
        let start = "Start the daemon: systemctl start counterfoild; what it says is in: journalctl -u counterfoild -n 50. If it runs with other places, name --socket or --state-dir.";
        let (why, next_step) = match kind {
            kind if !is_sure
                && !matches!(
                    kind,
                    Some(io::ErrorKind::PermissionDenied | io::ErrorKind::TimedOut)
                ) =>
            {
                (
                    format!(
                        "No daemon was found at {place}. It may run elsewhere: the store's file, which may name its socket, cannot be used."
                    ),
                    "Correct the store's file, or name the socket or the state directory of the daemon: --socket PATH or --state-dir DIR",
                )
            }
            Some(io::ErrorKind::NotFound) if let Some(state) = held => (
                format!(
                    "No daemon answers: one runs and holds {}, but its socket {place} is gone.",
                    state.display()
                ),
                "If it is not just starting or ending, it lost its socket: systemctl restart counterfoild",
            ),
            Some(io::ErrorKind::NotFound) => {
                (format!("No daemon answers: there is no socket {place}."), start)
            }
            Some(io::ErrorKind::ConnectionRefused) => (
                format!(
                    "No daemon answers: nobody listens on {place}; the daemon ended and left it behind."
                ),
                start,
            ),
            Some(io::ErrorKind::PermissionDenied) => (
                format!("This user may not open {place}."),
                "Run the same command as root or as the daemon's user: sudo counterfoild …",
            ),
            Some(io::ErrorKind::TimedOut) => (
                format!("Something listens on {place} and does not answer."),
                "Restart the daemon: systemctl restart counterfoild; then send its log to the plugin's maker: journalctl -u counterfoild",
            ),
            _ => (
                format!("No daemon answers on {place}; what is there broke the exchange off."),
                start,
            ),
        };
        Self { why, next_step: next_step.to_owned() }
    }
}

/// The system's own word for what failed.
fn kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut kind = error.is_timeout().then_some(io::ErrorKind::TimedOut);
    while let Some(it) = cause {
        kind = it.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        cause = it.source();
    }
    kind
}

fn request(client: &Client, method: Method, path: &str) -> RequestBuilder {
    client
        .request(method, format!("http://localhost{path}"))
        .header("counterfoil-client", concat!("counterfoild/", env!("CARGO_PKG_VERSION")))
}

fn client(socket: &Path) -> reqwest::ClientBuilder {
    Client::builder()
        .unix_socket(socket.to_owned())
        .tls_certs_only([])
        .no_proxy()
        .redirect(Policy::none())
}

/// Runs one command's questions.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_dead_whose_place_is_not_known() {
        use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied, TimedOut};
        let socket = Path::new("/s/admin.sock");
        for (kind, is_sure, claims_dead) in [
            (Some(NotFound), true, true),
            (Some(ConnectionRefused), true, true),
            (None, true, true),
            (Some(NotFound), false, false),
            (Some(ConnectionRefused), false, false),
            (None, false, false),
            (Some(PermissionDenied), false, false),
            (Some(TimedOut), false, false),
        ] {
            let silence = Silence::because(kind, socket, is_sure, None);
            assert!(silence.why.contains("/s/admin.sock"), "{silence:?}");
            assert_eq!(silence.why.starts_with("No daemon answers"), claims_dead, "{silence:?}");
            assert_eq!(silence.next_step.starts_with("Start the daemon"), claims_dead);
        }
    }

    #[test]
    fn a_daemon_that_lost_its_socket_is_restarted() {
        let socket = Path::new("/s/admin.sock");
        for (kind, held, is_lost) in [
            (io::ErrorKind::NotFound, Some(Path::new("/state")), true),
            (io::ErrorKind::NotFound, None, false),
        ] {
            let silence = Silence::because(Some(kind), socket, true, held);
            assert_eq!(silence.why.contains("holds /state"), is_lost, "{silence:?}");
            assert_eq!(silence.next_step.contains("restart counterfoild"), is_lost);
            assert_eq!(silence.next_step.contains("start counterfoild; what"), !is_lost);
        }
    }
}
