//! The gate of the real daemon: who is let in, with what head, how often, and what happens when everything is taken.

mod descriptors;
mod heads;
mod limits;
mod port;
mod rights;

use anyhow::Result;
use world::{Daemon, Settings, free_port};

/// A store that needs no server for what is tried here.
const NOWHERE: &str = "http://127.0.0.1:1";
const SITE: &str = "http://127.0.0.1:18080";

/// Tokens of two plugins at the port.
const SHOPS: &str = "0123456789abcdef0123456789abcdef";
const OTHERS: &str = "ffffffffffffffffffffffffffffffff";

/// A daemon that listens at a port too; its address.
async fn with_port(
    local: &str,
    descriptors: Option<u32>,
) -> Result<(Daemon, String, tempfile::TempDir)> {
    let directory = tempfile::tempdir()?;
    let tokens = directory.path().join("tokens");
    std::fs::write(&tokens, format!("# two plugins\nshop {SHOPS}\nother {OTHERS}\n"))?;
    set_mode(&tokens, 0o640)?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let file = tokens.display();
    let local = format!("tcp = \"{address}\"\ntcp_token_file = \"{file}\"\n{local}");
    let settings = Settings { local: &local, descriptors, ..Settings::default() };
    Ok((Daemon::start_with(NOWHERE, SITE, settings).await?, address, directory))
}

fn set_mode(path: &std::path::Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}

/// An honest request for status, on a connection that ends with it.
fn status(client: &str) -> String {
    format!(
        "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nCounterfoil-Client: {client}/1.0\r\nConnection: close\r\n\r\n"
    )
}

/// The same at the port.
fn status_with(client: &str, token: &str) -> String {
    status(client).replacen("\r\n", &format!("\r\nAuthorization: Bearer {token}\r\n"), 1)
}
