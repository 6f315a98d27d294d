//! An ssh-agent with a P-256 key, asked over its socket: what a local signature costs elsewhere
//! (draft-ietf-sshm-ssh-agent).

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::load::{Connections, Measured, measure};

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// About as long as what a DPoP proof signs.
const MESSAGE: [u8; 400] = [b'm'; 400];

/// A running agent.
pub struct Agent {
    directory: TempDir,
    child: Child,
}

impl Agent {
    /// Starts an agent and gives it a key.
    pub async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (socket, key) = (directory.path().join("agent"), directory.path().join("key"));
        let silent = |command: &mut Command| -> Result<()> {
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            ensure!(status.success(), "{command:?}");
            Ok(())
        };
        silent(
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f"])
                .arg(&key),
        )?;
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("ssh-agent")?;
        let agent = Self { directory, child };
        world::until("the agent to listen", async || UnixStream::connect(agent.socket()).ok())
            .await?;
        silent(Command::new("ssh-add").arg(&key).env("SSH_AUTH_SOCK", &socket))?;
        Ok(agent)
    }

    /// Asks for signatures, one after another.
    pub fn signatures(&self, connections: Connections, count: usize) -> Result<Measured> {
        let mut stream = UnixStream::connect(self.socket())?;
        let listed = ask(&mut stream, &[REQUEST_IDENTITIES])?;
        ensure!(listed.first() == Some(&IDENTITIES), "no identities");
        let key = string_at(&listed, 5)?.to_vec();
        let mut request = vec![SIGN_REQUEST];
        for part in [&key[..], &MESSAGE] {
            request.extend_from_slice(&u32::try_from(part.len())?.to_be_bytes());
            request.extend_from_slice(part);
        }
        request.extend_from_slice(&[0; 4]);
        measure(
            connections,
            count,
            || Ok(UnixStream::connect(self.socket())?),
            |stream| {
                let signed = ask(stream, &request)?;
                ensure!(signed.first() == Some(&SIGN_RESPONSE), "no signature");
                Ok(())
            },
        )
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("agent")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends one message and reads the answer to it.
fn ask(stream: &mut UnixStream, message: &[u8]) -> Result<Vec<u8>> {
    let mut framed = u32::try_from(message.len())?.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length))?;
    ensure!(length <= 256 * 1_024, "an answer of {length} bytes");
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// The string that begins at `at`.
fn string_at(message: &[u8], at: usize) -> Result<&[u8]> {
    let rest = message.get(at..).context("a string")?;
    let (length, rest) = rest.split_first_chunk::<4>().context("a length")?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length))?).context("a whole string")
}
