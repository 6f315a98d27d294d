//! What systemd hears of a daemon.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::net::RecvFlags;
use tokio::{net::UnixDatagram, time::timeout};

use crate::Daemon;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

/// A service manager that hears what the daemon says.
pub struct Manager(UnixDatagram);

impl Manager {
    /// Has the daemon started with this manager's address.
    pub fn of(daemon: &mut Daemon) -> Result<Self> {
        let path = daemon.path("notify");
        let name = path.to_str().context("a name")?.to_owned();
        daemon.environment.push(("NOTIFY_SOCKET".to_owned(), name));
        Ok(Self(UnixDatagram::bind(path)?))
    }

    /// The next message.
    pub async fn heard(&self) -> Result<String> {
        self.heard_within(LONG).await?.context("silence")
    }

    /// The next message; `None` if there is none for so long.
    pub async fn heard_within(&self, patience: Duration) -> Result<Option<String>> {
        let mut buffer = [0; 1_024];
        let Ok(length) = timeout(patience, self.0.recv(&mut buffer)).await else { return Ok(None) };
        Ok(Some(String::from_utf8(buffer[..length?].to_vec())?))
    }

    /// Forgets what came and was not heard. A daemon that has ended finds the queue, which is short, empty when it starts.
    pub fn forget(&self) {
        let mut buffer = [0; 1_024];
        while rustix::net::recv(&self.0, &mut buffer, RecvFlags::DONTWAIT).is_ok() {}
    }

    /// Waits for a message that begins so; answers it, and what came before it.
    pub async fn until(&self, beginning: &str) -> Result<(String, Vec<String>)> {
        let mut before = Vec::new();
        loop {
            let message = self.heard().await?;
            if message.starts_with(beginning) {
                return Ok((message, before));
            }
            before.push(message);
        }
    }
}
