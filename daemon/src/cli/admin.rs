//! Asking a running daemon.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Method, redirect::Policy};
use serde_json::Value;

use super::Where;

/// A running daemon's admin socket.
pub(super) struct Admin {
    socket: PathBuf,
    client: Client,
}

impl Admin {
    /// Finds the socket. Whether anybody answers shows with the first question.
    pub(super) fn find(place: &Where) -> Result<Self> {
        let socket = place.find()?.admin_socket;
        let client = Client::builder()
            .unix_socket(socket.clone())
            .tls_certs_only([])
            .no_proxy()
            .redirect(Policy::none())
            .timeout(Duration::from_secs(40))
            .build()?;
        Ok(Self { socket, client })
    }

    /// Asks; a refusal becomes an error in the daemon's own words.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let mut request = self
            .client
            .request(method, format!("http://localhost{path}"))
            .header("counterfoil-client", concat!("counterfoild/", env!("CARGO_PKG_VERSION")));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let socket = self.socket.display();
        let response = request.send().await.map_err(reqwest::Error::without_url).with_context(|| {
            format!("no daemon answers on {socket}; is it running, and do you run this as its user or as root?")
        })?;
        let status = response.status();
        let answer: Value = serde_json::from_slice(&response.bytes().await?)
            .with_context(|| format!("what answers on {socket} is no counterfoild"))?;
        if !status.is_success() {
            let word =
                |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
            bail!("{}\nWhat to do: {} ({})", word("detail"), word("next_step"), word("code"));
        }
        Ok(answer)
    }
}

/// Runs one command's questions.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
