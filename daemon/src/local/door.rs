//! Listening: the two sockets and the loopback port.

use std::{
    fs, io,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use tokio::net::{TcpListener, UnixListener};

use super::Guests;
use crate::{
    config::Local,
    files,
    places::Places,
    situation::Situations,
    systemd::{Inherited, Socket},
};

/// Connections that the kernel keeps waiting. A plugin whose connect does not fit is refused at once.
const BACKLOG: i32 = 4_096;

/// Everything that listens.
pub(crate) struct Doors {
    /// The socket for plugins.
    pub(super) api: UnixListener,
    /// The owner's socket.
    pub(super) admin: UnixListener,
    /// The port.
    pub(super) port: Option<TcpListener>,
    /// Who owns the state.
    pub(super) owner: u32,
    /// Files of sockets that are ours to remove in the end.
    own: Vec<PathBuf>,
}

impl Doors {
    /// Opens both sockets, and the port where it is wished; those that were `inherited` are open already.
    pub(crate) async fn open(
        places: &Places,
        local: &Local,
        guests: &Guests,
        owner: u32,
        inherited: Inherited,
    ) -> Result<Self> {
        let mut own = Vec::new();
        let dir = places.socket_dir();
        make_dir(dir)?;
        files::check_trusted(dir)?;
        let mut open = |inherited: Option<Socket>, path: &Path, mode, group| {
            if let Some(socket) = inherited {
                return anyhow::Ok(UnixListener::from_std(socket.listener)?);
            }
            own.push(path.to_owned());
            listen(path, mode, group)
        };
        let api = open(inherited.api, &places.api_socket, 0o660, guests.socket_group)?;
        let admin = open(inherited.admin, &places.admin_socket, 0o600, None)?;
        let port = match local.tcp {
            None => None,
            Some(address) => {
                let listener = match inherited.port {
                    Some(port) => TcpListener::from_std(port.listener)?,
                    None => TcpListener::bind(address)
                        .await
                        .with_context(|| format!("cannot listen on {address}"))?,
                };
                Some(listener)
            }
        };
        Ok(Self { api, admin, port, owner, own })
    }

    /// Files of sockets that are ours: a manager's sockets stay.
    pub(crate) fn own(&self) -> &[PathBuf] {
        &self.own
    }
}

/// Keeps the socket's file in the group of those whom the store's file lets in. Runs until the daemon ends.
pub(crate) async fn keep_group(socket: PathBuf, mut situations: Situations) {
    let mut group = situations.borrow().guests.socket_group;
    while situations.changed().await.is_ok() {
        let now = situations.borrow_and_update().guests.socket_group;
        if now != group {
            // Nobody's socket is the daemon's own again.
            give(&socket, now.unwrap_or_else(|| rustix::process::getegid().as_raw()));
            group = now;
        }
    }
}

fn give(socket: &Path, group: u32) {
    if let Err(error) = chown(socket, None, Some(group)) {
        tracing::warn!(
            %error, group, socket = %socket.display(),
            "cannot give the socket to its guests' group; make the daemon's user a member of it"
        );
    }
}

/// Listens on a socket of our own; one that a dead daemon left behind is replaced.
fn listen(path: &Path, mode: u32, group: Option<u32>) -> Result<UnixListener> {
    match StdUnixStream::connect(path) {
        Ok(_) => bail!("something already listens on {}", path.display()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("cannot replace the old socket {}", path.display()))?,
        Err(_) => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    rustix::net::listen(&listener, BACKLOG)?;
    if let Some(group) = group {
        give(path, group);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Makes the directory of the sockets, if there is none; those who may call can enter it.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    if !dir.exists() {
        files::create_private_dir(dir)
            .with_context(|| format!("cannot make {} for the sockets", dir.display()))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
