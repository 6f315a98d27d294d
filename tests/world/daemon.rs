//! The real daemon of one store, and a plugin that speaks to it over its socket.

use std::{
    os::{
        fd::OwnedFd,
        unix::{net::UnixListener, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, body::Bytes};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::{
    Browser, Decision, Place, Talk,
    process::{Process, binary, until},
};

/// A daemon with a store file, a state directory and a socket of its own.
pub struct Daemon {
    directory: TempDir,
    process: Option<Process>,
    /// Arguments of `run` besides the usual ones.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// The program, with its arguments, through which it is started; none if empty.
    pub wrapper: Vec<String>,
    /// Its standard input: a socket that listens already.
    pub passed: Option<UnixListener>,
    /// The user and group it runs as, where they are not the test's own.
    pub user: Option<u32>,
}

/// What is particular to one daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// Lines of the store's file.
    pub store: &'a str,
    /// Lines below `[local]`.
    pub local: &'a str,
    /// How many descriptors it may open, if not as many as the test itself.
    pub descriptors: Option<u32>,
}

/// An answer of the local API.
#[derive(Debug)]
pub struct LocalAnswer {
    /// The status.
    pub status: u16,
    /// The body, when it is JSON.
    pub body: Value,
}

impl Daemon {
    /// Starts a daemon for a WordPress store at `site_url`.
    pub async fn start(issuer: &str, site_url: &str, local: &str) -> Result<Self> {
        let mut daemon = Self::prepare(tempfile::tempdir()?, issuer, site_url, local)?;
        daemon.resume().await?;
        Ok(daemon)
    }

    /// Starts a daemon with settings of its own.
    pub async fn start_with(issuer: &str, site_url: &str, settings: Settings<'_>) -> Result<Self> {
        let Settings { store, local, descriptors } = settings;
        let mut daemon = Self::prepare(tempfile::tempdir()?, issuer, site_url, local)?;
        let file = daemon.path("store.toml");
        std::fs::write(&file, format!("{store}\n{}", std::fs::read_to_string(&file)?))?;
        if let Some(limit) = descriptors {
            daemon.wrapper = vec!["prlimit".to_owned(), format!("--nofile={limit}:{limit}")];
        }
        daemon.resume().await?;
        Ok(daemon)
    }

    /// Prepares a daemon for a WordPress store at `site_url`, without starting it.
    pub fn prepare(directory: TempDir, issuer: &str, site_url: &str, local: &str) -> Result<Self> {
        let callback = format!("{site_url}/wp-admin/admin-post.php?action=counterfoil_callback");
        let config = format!(
            "platform = \"wordpress\"\nsite_url = \"{site_url}\"\nredirect_uri = \"{callback}\"\nplugin_version = \"1.0.0\"\nplatform_version = \"6.8\"\nissuer = \"{issuer}\"\n[local]\n{local}\n"
        );
        std::fs::write(directory.path().join("store.toml"), config)?;
        Ok(Self {
            directory,
            process: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            passed: None,
            user: None,
        })
    }

    /// Starts the process again, on the same state.
    pub async fn resume(&mut self) -> Result<()> {
        ensure!(self.try_resume().await?, "the daemon ended:\n{}", self.log()?);
        Ok(())
    }

    /// Starts the process again; whether it lives to answer.
    pub async fn try_resume(&mut self) -> Result<bool> {
        self.process = None;
        let log =
            std::fs::File::options().create(true).append(true).open(self.path("daemon.log"))?;
        let mut command = match &self.wrapper[..] {
            [] => Command::new(binary("counterfoild")?),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary("counterfoild")?);
                command
            }
        };
        let input = match &self.passed {
            Some(listener) => OwnedFd::from(listener.try_clone()?).into(),
            None => Stdio::null(),
        };
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
            .current_dir(self.directory.path())
            .arg("run")
            .arg("--config")
            .arg(self.path("store.toml"));
        command.arg("--state-dir").arg(self.path("state")).arg("--socket").arg(self.socket());
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command.stdout(log.try_clone()?).stderr(log);
        let mut process = Process::start_with("counterfoild", &mut command, input)?;
        // The owner's door opens after the plugins'.
        let (socket, owners) = (self.socket(), self.path("admin.sock"));
        let ready = until("the daemon to answer", || {
            let (socket, owners, ended) = (socket.clone(), owners.clone(), process.has_ended());
            async move {
                let answers = UnixStream::connect(&socket).await.is_ok()
                    && UnixStream::connect(&owners).await.is_ok();
                (answers || ended).then_some(answers)
            }
        });
        let answers = ready.await?;
        self.process = Some(process);
        Ok(answers)
    }

    /// Tells the process to read its files again.
    pub fn reload(&self) -> Result<()> {
        let sent = Command::new("kill").args(["-HUP", &self.pid().to_string()]).status()?;
        ensure!(sent.success(), "kill -HUP");
        Ok(())
    }

    /// Kills the process at once.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Asks the process to stop and waits until it has, with success.
    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Adds settings to the section `local` of the store's file.
    pub fn configure(&self, settings: &str) -> Result<()> {
        let mut text = std::fs::read_to_string(self.path("store.toml"))?;
        text.push_str(settings);
        Ok(std::fs::write(self.path("store.toml"), text)?)
    }

    /// Runs another command of the program, for this daemon.
    pub fn command(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary("counterfoild")?);
        command.args(arguments).arg("--config").arg(self.path("store.toml"));
        command.arg("--state-dir").arg(self.path("state")).arg("--socket").arg(self.socket());
        Ok(command.output()?)
    }

    /// Runs the program with these arguments alone.
    pub fn bare(arguments: &[&str]) -> Result<Output> {
        Ok(Command::new(binary("counterfoild")?).args(arguments).output()?)
    }

    /// Starts a command of the program that goes on, for this daemon.
    pub fn begin(&self, arguments: &[&str]) -> Result<Talk> {
        let mut command = tokio::process::Command::new(binary("counterfoild")?);
        command.args(arguments).arg("--config").arg(self.path("store.toml"));
        command.arg("--state-dir").arg(self.path("state")).arg("--socket").arg(self.socket());
        Talk::begin(command)
    }

    /// Runs another command of the program, for the daemon of this state directory, wherever it listens.
    pub fn command_by_state(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary("counterfoild")?);
        command.args(arguments).arg("--config").arg(self.path("store.toml"));
        Ok(command.arg("--state-dir").arg(self.path("state")).output()?)
    }

    /// Sends a signal that ends the process, and waits for the end.
    pub async fn signal(&mut self, name: &str) -> Result<ExitStatus> {
        self.process.take().context("no process")?.signal(name).await
    }

    /// Whether the process has ended by itself, or was never started.
    pub fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(Process::has_ended)
    }

    /// The socket of plugins.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("api.sock")
    }

    /// Where plugins call.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::Socket(self.socket())
    }

    /// Where its owner calls.
    #[must_use]
    pub fn owners_place(&self) -> Place {
        Place::Socket(self.path("admin.sock"))
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }

    /// A file in the daemon's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Everything that the daemon printed.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.path("daemon.log"))?)
    }

    /// Calls the local API as a plugin does: one connection a request.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<LocalAnswer> {
        call(&self.socket(), method, path, body).await
    }

    /// Calls as its owner does.
    pub async fn owners_call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<LocalAnswer> {
        call(&self.path("admin.sock"), method, path, body).await
    }
    /// The daemon's state as its status tells it.
    pub async fn state(&self) -> Result<String> {
        let status = self.call(Method::GET, "/v1/status", None).await?;
        Ok(status.body["state"].as_str().unwrap_or_default().to_owned())
    }

    /// Connects the store: the plugin asks, the merchant decides, the plugin hands over the callback.
    pub async fn connect(&self, browser: &mut Browser, decision: Decision) -> Result<LocalAnswer> {
        let answer = self
            .call(Method::POST, "/v1/connect", Some(Value::Object(serde_json::Map::default())))
            .await?;
        let url = answer.body["authorization_url"]
            .as_str()
            .with_context(|| format!("{answer:?}"))?
            .to_owned();
        let landed = browser.decide(&url, decision).await?;
        let query = landed.split_once('?').map_or("", |(_, query)| query);
        self.call(Method::POST, "/v1/callback", Some(serde_json::json!({ "query": query }))).await
    }
}

/// One request to a socket of the daemon, on a connection of its own.
async fn call(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<LocalAnswer> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("counterfoil-client", "tests/1.0")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.map(|body| body.to_string()).unwrap_or_default())))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await?.to_bytes();
    drop(sender);
    connection.await?.context("the connection broke off")?;
    Ok(LocalAnswer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}
