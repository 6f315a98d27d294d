//! Sockets that listen already when the daemon starts (`sd_listen_fds(3)`): nobody is refused while it is exchanged.
//!
//! Each must be what it is taken for. None is ever removed or given other rights: they are the manager's.

use std::{
    ffi::{OsStr, OsString},
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{AddressFamily, SocketType, sockopt},
};

/// The first descriptor that is passed.
const FIRST: RawFd = 3;

/// The most that make sense: one for each role.
const MOST: usize = Role::ALL.len();

/// What a socket is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    /// For plugins.
    Api,
    /// The owner's.
    Admin,
    /// The loopback port.
    Port,
}

/// What a socket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A unix socket.
    Unix,
    /// A TCP socket.
    Tcp,
}

/// A unix socket with its path.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Listens.
    pub(crate) listener: UnixListener,
    /// Where.
    pub(crate) path: PathBuf,
}

/// A port with its address.
#[derive(Debug)]
pub(crate) struct Port {
    /// Listens.
    pub(crate) listener: TcpListener,
    /// Where.
    pub(crate) address: SocketAddr,
}

/// What was passed.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// The socket for plugins.
    pub(crate) api: Option<Socket>,
    /// The owner's socket.
    pub(crate) admin: Option<Socket>,
    /// The port.
    pub(crate) port: Option<Port>,
}

impl Role {
    const ALL: [Self; 3] = [Self::Api, Self::Admin, Self::Port];

    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Admin => "admin",
            Self::Port => "port",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Api | Self::Admin => Kind::Unix,
            Self::Port => Kind::Tcp,
        }
    }
}

impl Inherited {
    /// Takes as many descriptors as `fds` says. Their names, if any, are separated by colons.
    pub(super) fn take(fds: &OsStr, names: Option<&OsString>) -> Result<Self> {
        let count: usize = fds.to_str().and_then(|fds| fds.parse().ok()).context("LISTEN_FDS")?;
        ensure!(count <= MOST, "{count} sockets were passed; there is use for {MOST}");
        let names = names.and_then(|names| names.to_str()).unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut sockets = Vec::new();
        for (offset, number) in (FIRST..).take(count).enumerate() {
            #[expect(unsafe_code, reason = "a descriptor that was passed has nothing but a number")]
            // SAFETY: the manager has passed it to this process, and nobody else here has touched it yet.
            let socket = unsafe { OwnedFd::from_raw_fd(number) };
            fcntl_setfd(&socket, FdFlags::CLOEXEC)
                .with_context(|| format!("the passed descriptor {number} is not open"))?;
            let name = names.get(offset).copied().unwrap_or_default();
            let kind =
                kind(&socket).with_context(|| format!("the passed socket {number} ({name})"))?;
            sockets.push((name, kind, socket));
        }
        let claims: Vec<_> = sockets.iter().map(|(name, kind, _)| (*name, *kind)).collect();
        let mut inherited = Self::default();
        for (role, (.., socket)) in assign(&claims)?.into_iter().zip(sockets) {
            let what = || format!("the passed socket for {}", role.name());
            match role {
                Role::Api => inherited.api = Some(unix(socket).with_context(what)?),
                Role::Admin => inherited.admin = Some(unix(socket).with_context(what)?),
                Role::Port => inherited.port = Some(tcp(socket).with_context(what)?),
            }
        }
        Ok(inherited)
    }

    /// Whether all that was passed agrees with what the store's file and the arguments say.
    pub(crate) fn check(
        &self,
        socket: Option<&Path>,
        tcp: Option<SocketAddr>,
    ) -> Result<(), String> {
        if let (Some(api), Some(wanted)) = (&self.api, socket)
            && api.path != wanted
        {
            let (has, wanted) = (api.path.display(), wanted.display());
            return Err(format!(
                "the socket for plugins was passed and listens on {has}, so the setting {wanted} would have no effect; make both the same"
            ));
        }
        match (&self.api, &self.admin) {
            (Some(api), Some(admin)) if admin.path != admin_beside(&api.path) => {
                let (has, wanted) = (admin.path.display(), admin_beside(&api.path));
                return Err(format!(
                    "the owner's socket was passed and listens on {has}; it must be {}",
                    wanted.display()
                ));
            }
            (None, Some(_)) => {
                return Err("the owner's socket was passed without the one for plugins".to_owned());
            }
            _ => {}
        }
        match (&self.port, tcp) {
            (Some(_), None) => {
                Err("a TCP socket was passed; set local.tcp to its address, so that it is wanted"
                    .to_owned())
            }
            (Some(port), Some(wanted)) if port.address != wanted => Err(format!(
                "a TCP socket was passed that listens on {}, but local.tcp is {wanted}; make both the same",
                port.address
            )),
            _ => Ok(()),
        }
    }
}

/// Where the owner's socket is, when the one for plugins is at `api`.
pub(crate) fn admin_beside(api: &Path) -> PathBuf {
    api.with_file_name("admin.sock")
}

/// Finds each socket's role: by its name, or else the next one of its kind.
fn assign(claims: &[(&str, Kind)]) -> Result<Vec<Role>> {
    let named = |name: &str| Role::ALL.into_iter().find(|role| role.name() == name);
    let mut free: Vec<Role> = Role::ALL
        .into_iter()
        .filter(|role| !claims.iter().any(|(name, _)| named(name) == Some(*role)))
        .collect();
    let mut roles = Vec::new();
    for (name, kind) in claims {
        let role = match named(name) {
            Some(role) => role,
            None => match free.iter().position(|role| role.kind() == *kind) {
                Some(at) => free.remove(at),
                None => bail!("there is no use for the passed socket {name:?}"),
            },
        };
        ensure!(role.kind() == *kind, "the passed socket {name} is of another kind");
        ensure!(!roles.contains(&role), "two sockets named {name} were passed");
        roles.push(role);
    }
    Ok(roles)
}

fn kind(socket: &OwnedFd) -> Result<Kind> {
    let what = sockopt::socket_type(socket).context("it is no socket")?;
    ensure!(what == SocketType::STREAM, "it is not a stream socket");
    ensure!(sockopt::socket_acceptconn(socket)?, "it does not listen");
    match sockopt::socket_domain(socket)? {
        AddressFamily::UNIX => Ok(Kind::Unix),
        AddressFamily::INET | AddressFamily::INET6 => Ok(Kind::Tcp),
        _ => bail!("it is neither a unix nor a TCP socket"),
    }
}

fn unix(socket: OwnedFd) -> Result<Socket> {
    let listener = UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let path = address.as_pathname().context("it has no path")?.to_owned();
    ensure!(path.is_absolute(), "its path is not absolute");
    Ok(Socket { listener, path })
}

fn tcp(socket: OwnedFd) -> Result<Port> {
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    ensure!(address.ip().is_loopback(), "{address} can be reached from other machines");
    sockopt::set_tcp_nodelay(listener.as_fd(), true)?;
    Ok(Port { listener, address })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    #[test]
    fn names_come_first_then_order() {
        const U: Kind = Kind::Unix;
        const T: Kind = Kind::Tcp;
        for (claims, expected) in [
            (&[][..], Some(&[][..])),
            (&[("", U)], Some(&[Role::Api])),
            (&[("", U), ("", U), ("", T)], Some(&[Role::Api, Role::Admin, Role::Port])),
            (&[("", T), ("", U)], Some(&[Role::Port, Role::Api])),
            (&[("admin", U), ("api", U)], Some(&[Role::Admin, Role::Api])),
            (&[("counterfoild.socket", U), ("api", U)], Some(&[Role::Admin, Role::Api])),
            (&[("port", T)], Some(&[Role::Port])),
            (&[("port", U)], None),
            (&[("api", T)], None),
            (&[("api", U), ("api", U)], None),
            (&[("", U), ("", U), ("", U)], None),
            (&[("", T), ("", T)], None),
        ] {
            assert_eq!(assign(claims).ok().as_deref(), expected, "{claims:?}");
        }
    }

    #[test]
    fn only_what_listens_where_it_may_is_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api.sock");
        let listening: OwnedFd = UnixListener::bind(&path).expect("bound").into();
        assert_eq!(kind(&listening).expect("good"), Kind::Unix);
        assert_eq!(unix(listening).expect("good").path, path);
        let loopback: OwnedFd = TcpListener::bind("127.0.0.1:0").expect("bound").into();
        assert_eq!(kind(&loopback).expect("good"), Kind::Tcp);
        tcp(loopback).expect("good");

        let open_to_all: OwnedFd = TcpListener::bind("0.0.0.0:0").expect("bound").into();
        assert!(tcp(open_to_all).is_err());
        let connected: OwnedFd = UnixStream::pair().expect("a pair").0.into();
        let datagram: OwnedFd = UnixDatagram::unbound().expect("made").into();
        let file: OwnedFd = std::fs::File::open("/dev/null").expect("open").into();
        for wrong in [connected, datagram, file] {
            assert!(kind(&wrong).is_err());
        }
    }

    #[test]
    fn what_was_passed_must_agree_with_the_settings() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let socket = |name: &str| {
            let listener = UnixListener::bind(at(name)).expect("bound");
            Some(Socket { listener, path: at(name) })
        };
        let port = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
            let address = listener.local_addr().expect("an address");
            Some(Port { listener, address })
        };
        let both = Inherited { api: socket("api.sock"), admin: socket("admin.sock"), port: port() };
        let here = both.port.as_ref().map(|port| port.address);
        assert_eq!(both.check(None, here), Ok(()));
        assert_eq!(both.check(Some(&at("api.sock")), here), Ok(()));
        assert!(both.check(Some(&at("other.sock")), here).is_err());
        assert!(both.check(None, None).is_err());
        assert!(both.check(None, Some(([127, 0, 0, 1], 9).into())).is_err());
        let elsewhere =
            Inherited { api: socket("a.sock"), admin: socket("b.sock"), ..Inherited::default() };
        assert!(elsewhere.check(None, None).is_err());
        let alone = Inherited { admin: socket("c.sock"), ..Inherited::default() };
        assert!(alone.check(None, None).is_err());
        assert_eq!(Inherited::default().check(Some(&at("x")), here), Ok(()));
    }
}
