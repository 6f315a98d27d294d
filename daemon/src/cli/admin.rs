//! Asking a running daemon.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Error, Result, anyhow};
use reqwest::{Client, Method, RequestBuilder, Response, redirect::Policy};
use serde_json::Value;

use super::Where;

/// How long an answer may take. The daemon answers after 25 s at the latest.
const PATIENCE: Duration = Duration::from_secs(40);

/// A running daemon's admin socket.
pub(super) struct Admin {
    socket: PathBuf,
    client: Client,
}

/// Why there is no answer of use.
pub(super) enum Unhelped {
    /// A daemon answered, and said no.
    Refused(Error),
    /// Nobody answered.
    Silent(Silence),
}

impl Unhelped {
    fn silent(error: &reqwest::Error, socket: &Path) -> Self {
        Self::Silent(Silence::of(error, socket))
    }
}

impl From<Unhelped> for Error {
    fn from(unhelped: Unhelped) -> Self {
        match unhelped {
            Unhelped::Refused(words) => words,
            Unhelped::Silent(Silence { why, next_step }) => {
                anyhow!("{why}\nWhat to do: {next_step}")
            }
        }
    }
}

impl Admin {
    /// Finds the socket. Whether anybody answers shows with the first question.
    pub(super) fn find(place: &Where) -> Result<Self> {
        Self::at(&place.find()?.admin_socket)
    }

    /// The daemon behind this socket.
    pub(super) fn at(socket: &Path) -> Result<Self> {
        let client = client(socket).timeout(PATIENCE).build()?;
        Ok(Self { socket: socket.to_owned(), client })
    }

    /// Begins to read an answer that does not end.
    pub(super) async fn follow(&self, path: &str) -> Result<Response, Unhelped> {
        let broken = |error: reqwest::Error| Unhelped::silent(&error, &self.socket);
        let client = client(&self.socket).build().map_err(broken)?;
        let response = request(&client, Method::GET, path).send().await.map_err(broken)?;
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
        let mut request = request(&self.client, method, path);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let text = self.send(request).await?;
        serde_json::from_str(&text).with_context(|| self.no_counterfoild())
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
        let (status, text) =
            exchange.await.map_err(|error| Unhelped::silent(&error, &self.socket))?;
        if status.is_success() { Ok(text) } else { Err(self.refused(&text)) }
    }

    fn refused(&self, text: &str) -> Unhelped {
        let Ok(problem) = serde_json::from_str::<Value>(text) else {
            return Unhelped::Refused(anyhow!(self.no_counterfoild()));
        };
        let word = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or("?");
        let words =
            anyhow!("{}\nWhat to do: {} ({})", word("detail"), word("next_step"), word("code"));
        Unhelped::Refused(words)
    }

    fn no_counterfoild(&self) -> String {
        format!("what answers on {} is no counterfoild", self.socket.display())
    }
}

/// Why no daemon answers on a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Silence {
    /// In one sentence.
    pub(super) why: String,
    /// With the exact command.
    pub(super) next_step: String,
}

impl Silence {
    fn of(error: &reqwest::Error, socket: &Path) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut kind = error.is_timeout().then_some(io::ErrorKind::TimedOut);
        while let Some(it) = cause {
            kind = it.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
            cause = it.source();
        }
        Self::because(kind, socket)
    }

    /// What a kind of failure means.
    pub(super) fn because(kind: Option<io::ErrorKind>, socket: &Path) -> Self {
        let place = socket.display();
        let start = "Start the daemon: systemctl start counterfoild; what it says is in: journalctl -u counterfoild -n 50. If it runs with other places, name --socket or --state-dir.";
        let (why, next_step) = match kind {
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
