//! HTTP as bytes: what no client library would write, and what an answer looks like on the wire.

use std::{io, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};

/// How long an answer may take. Far more than it ever takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a daemon listens.
#[derive(Clone, Debug)]
pub enum Place {
    /// A unix socket.
    Socket(PathBuf),
    /// A loopback address.
    Port(String),
}

/// A connection, whatever it goes over.
pub struct Line(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What came back before the other side closed.
#[derive(Debug)]
pub struct RawAnswer(pub Vec<u8>);

impl Place {
    /// Opens a connection.
    pub async fn open(&self) -> Result<Line> {
        Ok(Line(match self {
            Self::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Self::Port(address) => Box::new(TcpStream::connect(address).await?),
        }))
    }

    /// Sends bytes on a connection of their own and reads until the other side closes.
    pub async fn say(&self, bytes: impl AsRef<[u8]>) -> Result<RawAnswer> {
        let mut line = self.open().await?;
        line.write(bytes).await?;
        line.read_to_end().await
    }
}

impl Line {
    /// Sends bytes. That the other side no longer listens is no error: it may have answered already.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        match self.0.write_all(bytes.as_ref()).await {
            Err(error) if gone(&error) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Reads until the other side closes.
    pub async fn read_to_end(&mut self) -> Result<RawAnswer> {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut answer)).await;
        match read.context("the connection stays open")? {
            Err(error) if !gone(&error) => Err(error.into()),
            _ => Ok(RawAnswer(answer)),
        }
    }

    /// Reads on until `text` has come.
    pub async fn read_until(&mut self, text: &str) -> Result<RawAnswer> {
        let mut answer = RawAnswer(Vec::new());
        let reading = async {
            while !answer.text().contains(text) {
                let mut part = [0; 4_096];
                let length = self.0.read(&mut part).await?;
                ensure!(length > 0, "it ended before {text:?}: {answer:?}");
                answer.0.extend_from_slice(&part[..length]);
            }
            Ok(answer)
        };
        tokio::time::timeout(PATIENCE, reading).await.context("it does not come")?
    }

    /// Reads one answer that says its length, and leaves the connection open.
    pub async fn read_one(&mut self) -> Result<RawAnswer> {
        let mut answer = RawAnswer(Vec::new());
        let reading = async {
            while !answer.is_whole() {
                let mut part = [0; 4_096];
                let length = self.0.read(&mut part).await?;
                ensure!(length > 0, "the answer broke off: {answer:?}");
                answer.0.extend_from_slice(&part[..length]);
            }
            Ok(answer)
        };
        tokio::time::timeout(PATIENCE, reading).await.context("no answer")?
    }
}

impl RawAnswer {
    /// The whole as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// The status; 0 if the connection was closed without a word.
    #[must_use]
    pub fn status(&self) -> u16 {
        let text = self.text();
        text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (head, _) = text.split_once("\r\n\r\n")?;
        let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }

    /// What follows the head, as it is on the wire.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        let head = self.0.windows(4).position(|window| window == b"\r\n\r\n");
        head.map_or(&[], |at| &self.0[at + 4..])
    }

    /// The code of a problem; empty if it is none.
    #[must_use]
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(self.body()).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    fn is_whole(&self) -> bool {
        let length = self.header("content-length").and_then(|length| length.parse::<usize>().ok());
        length.is_some_and(|length| self.body().len() >= length)
    }
}

fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
