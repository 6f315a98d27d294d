//! A command that goes on: what it says is read as it comes.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// How long a command may be silent before a test gives up. Far more than it ever is.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running command, killed when dropped.
pub struct Talk {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    heard: String,
}

impl Talk {
    /// Starts it.
    pub(crate) fn begin(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().context("a pipe")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines(), heard: String::new() })
    }

    /// Waits for a line that holds this.
    pub async fn line(&mut self, part: &str) -> Result<String> {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await;
            let line =
                line.with_context(|| format!("waited for {part:?}; heard {}", self.heard))?;
            let line = line?.with_context(|| format!("ended without {part:?}: {}", self.heard))?;
            self.heard.push_str(&line);
            self.heard.push('\n');
            if line.contains(part) {
                return Ok(line);
            }
        }
    }

    /// Waits for the end: how it ended, and all that it said.
    pub async fn end(mut self) -> Result<(ExitStatus, String)> {
        let rest = async {
            while let Some(line) = self.lines.next_line().await? {
                self.heard.push_str(&line);
                self.heard.push('\n');
            }
            if let Some(stderr) = &mut self.child.stderr {
                stderr.read_to_string(&mut self.heard).await?;
            }
            anyhow::Ok(self.child.wait().await?)
        };
        let status = timeout(PATIENCE, rest).await.context("waited in vain for the end")??;
        Ok((status, self.heard))
    }
}
