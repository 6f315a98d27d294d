//! The real server, with a company and a merchant in it.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Front,
    picture::Picture,
    process::{Process, binary, free_port, in_memory, until},
};

/// The merchant who can approve for the company "Harbour Books".
pub const MERCHANT_EMAIL: &str = "ada@harbour.example";
/// The merchant's password: also a canary, which must be in no log.
pub const MERCHANT_PASSWORD: &str = "canary-password-5c1e";

/// A server on a free port with a data directory of its own.
pub struct Server {
    directory: TempDir,
    port: u16,
    issuer: String,
    settings: Vec<(String, String)>,
    process: Option<Process>,
}

impl Server {
    /// Starts a server with a company and a merchant.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with settings given as environment variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let port = free_port()?;
        let issuer = format!("http://127.0.0.1:{port}");
        Self::start_as(tempfile::tempdir()?, issuer, port, settings).await
    }

    /// Starts a server that stands behind a front, with its data in memory.
    pub async fn start_behind(front: &Front, settings: &[(&str, &str)]) -> Result<Self> {
        let port = free_port()?;
        front.stand_before(([127, 0, 0, 1], port).into())?;
        Self::start_as(in_memory()?, front.issuer(), port, settings).await
    }

    async fn start_as(
        directory: TempDir,
        issuer: String,
        port: u16,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut server = Self { directory, port, issuer, settings, process: None };
        server.found()?;
        server.resume().await?;
        Ok(server)
    }

    /// Puts the company and the merchant into it: the first server of this process has them made, with keys that take their
    /// time, and the others a copy.
    fn found(&self) -> Result<()> {
        static FOUNDED: Mutex<Option<Picture>> = Mutex::new(None);
        let mut founded = FOUNDED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(picture) = &*founded {
            return picture.lay(self.directory());
        }
        self.operate(&["company", "add", "Harbour Books"], None)?;
        self.add_merchant(MERCHANT_EMAIL, "Harbour Books")?;
        *founded = Some(Picture::of(self.directory())?);
        Ok(())
    }

    /// Starts the process again, on the same data and port.
    pub async fn resume(&mut self) -> Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path())?;
        let mut command = Command::new(binary("counterfoil-server")?);
        command
            .arg("serve")
            .args(["--issuer", &self.issuer(), "--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--data-dir")
            .arg(self.data_dir())
            .envs(self.settings.iter().cloned())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut process = Process::start("counterfoil-server", &mut command)?;
        let url = format!("http://127.0.0.1:{}/healthz", self.port);
        let ready = until("the server to answer", || {
            let (url, ended) = (url.clone(), process.has_ended());
            async move {
                let answers =
                    reqwest::get(&url).await.is_ok_and(|response| response.status().is_success());
                (answers || ended).then_some(answers)
            }
        });
        ensure!(ready.await?, "the server ended:\n{}", self.log()?);
        self.process = Some(process);
        Ok(())
    }

    /// The issuer, which is also the base of every URL.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.issuer.clone()
    }

    /// A URL on this server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Everything that the server printed.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.log_path())?)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
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

    /// Adds a person who may approve for a company.
    pub fn add_merchant(&self, email: &str, company: &str) -> Result<()> {
        let arguments = [
            "user",
            "add",
            "--email",
            email,
            "--company",
            company,
            "--role",
            "admin",
            "--password-stdin",
        ];
        self.operate(&arguments, Some(MERCHANT_PASSWORD)).map(drop)
    }

    /// Runs an operator command with `--json` and reads its answer.
    pub fn operate(&self, arguments: &[&str], stdin: Option<&str>) -> Result<Value> {
        let mut command = Command::new(binary("counterfoil-server")?);
        command.args(arguments).arg("--json").arg("--data-dir").arg(self.data_dir());
        command.envs(self.settings.iter().cloned());
        run(&mut command, stdin).with_context(|| arguments.join(" "))
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    /// The directory that holds data and log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

fn run(command: &mut Command, stdin: Option<&str>) -> Result<Value> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
        pipe.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
