//! An API that says, byte by byte, what a test wants.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How long a call may be awaited. Far more than it ever takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// The API.
pub struct Api(TcpListener);

/// One call that came, on a connection of its own.
pub struct Exchange {
    stream: TcpStream,
    /// The request line and the headers.
    pub head: String,
    /// What has come of the body, as it is on the wire.
    pub body: Vec<u8>,
}

impl Api {
    /// Listens on a free port.
    pub async fn listen() -> Result<Self> {
        Ok(Self(TcpListener::bind(("127.0.0.1", 0)).await?))
    }

    /// The setting of a store's file that has calls sent here.
    pub fn setting(&self) -> Result<String> {
        Ok(format!("api_base = \"http://{}/api/partner/v1\"", self.0.local_addr()?))
    }

    /// The next call, when its head is there.
    pub async fn next(&self) -> Result<Exchange> {
        let taking = async {
            let (stream, _) = self.0.accept().await?;
            let mut exchange = Exchange { stream, head: String::new(), body: Vec::new() };
            exchange.read_until(|received| find(received, b"\r\n\r\n").is_some()).await?;
            let end = find(&exchange.body, b"\r\n\r\n").context("a head")? + 4;
            let body = exchange.body.split_off(end);
            exchange.head = String::from_utf8(std::mem::replace(&mut exchange.body, body))?;
            Ok(exchange)
        };
        tokio::time::timeout(PATIENCE, taking).await.context("no call came")?
    }
}

impl Exchange {
    /// Reads on until what came of the body is enough.
    pub async fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> Result<()> {
        let mut part = vec![0; 65_536];
        while !enough(&self.body) {
            let reading = tokio::time::timeout(PATIENCE, self.stream.read(&mut part));
            let length = reading.await.context("no more comes")??;
            ensure!(length > 0, "the call broke off after {} bytes", self.body.len());
            self.body.extend_from_slice(&part[..length]);
        }
        Ok(())
    }

    /// Whether the other side has closed before its call was whole.
    pub async fn broke_off(mut self) -> Result<bool> {
        let mut part = vec![0; 65_536];
        loop {
            match tokio::time::timeout(PATIENCE, self.stream.read(&mut part)).await? {
                Ok(0) | Err(_) => return Ok(!self.body.ends_with(b"0\r\n\r\n")),
                Ok(length) => self.body.extend_from_slice(&part[..length]),
            }
        }
    }

    /// Says bytes.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.stream.write_all(bytes.as_ref()).await?)
    }

    /// Says bytes and closes; waits until the other side has seen it, so that it sends no other call this way.
    pub async fn end(mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.say(bytes).await?;
        self.stream.shutdown().await?;
        self.broke_off().await.map(drop)
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
