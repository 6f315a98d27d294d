//! Processes that end with the test, and waiting for things instead of for time.

use std::{
    net::TcpListener,
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// How long anything may take before a test gives up. Far more than it ever takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(5);

/// Ports below those that the system gives away by itself: what is here for a restart is nobody's meanwhile.
const PORTS: Range<u16> = 14_000..32_000;

/// A port that was free a moment ago. Each process begins to look at another place.
pub fn free_port() -> Result<u16> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let places = u32::from(PORTS.end - PORTS.start);
    (0..places)
        .map(|_| {
            let asked = ASKED.fetch_add(1, Ordering::Relaxed);
            let place = std::process::id().wrapping_mul(97).wrapping_add(asked) % places;
            PORTS.start + u16::try_from(place).unwrap_or_default()
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no port is free")
}

/// How much of it must be free for a directory in memory, in bytes: a container has little of it, and tests have many.
const ROOM: u64 = 48 * 1_024 * 1_024;

/// A directory in memory where the machine has room for that: kills lose no page of it, and a sync costs nothing.
pub fn in_memory() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |it| it.f_bavail.saturating_mul(it.f_frsize));
    Ok(if free >= ROOM { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? })
}

/// Looks again and again until `look` finds something.
pub async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<T> {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .with_context(|| format!("waited in vain for {what}"))
}

/// A child process, killed when dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        Self::start_with(name, command, Stdio::null())
    }

    /// Starts with this as standard input.
    pub(crate) fn start_with(
        name: &'static str,
        command: &mut Command,
        input: Stdio,
    ) -> Result<Self> {
        let child = command.stdin(input).spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and the exit that follows.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        match self.signal("TERM").await? {
            status if status.success() => Ok(()),
            other => bail!("{} ended with {other:?}", self.name),
        }
    }

    /// A signal, and the end that follows.
    pub(crate) async fn signal(&mut self, name: &str) -> Result<ExitStatus> {
        let pid = self.child.id().to_string();
        Command::new("kill").args([format!("-{name}"), pid]).status()?;
        until("the process to end", || {
            let status = self.child.try_wait().ok().flatten();
            async move { status }
        })
        .await
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().ok().flatten().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a binary of this workspace, beside the one that is running.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let found = me.ancestors().map(|directory| directory.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: cargo build --workspace --bins"))
}
