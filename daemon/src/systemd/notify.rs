//! Messages to the service manager: datagrams of `NAME=value` lines.

use std::{
    ffi::OsString,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
};

/// The longest status, in bytes. It is a sentence.
const MAX_STATUS: usize = 512;

/// Where messages go; nowhere, if nobody wants them. A message that cannot be sent is lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<Arc<UnixDatagram>>,
}

impl Notifier {
    /// Sends to the socket of this name: a path, or with `@` a name outside of the file system.
    pub(super) fn to(name: Option<OsString>) -> Self {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Self::default() };
        let connect = || {
            let address = match name.as_bytes().strip_prefix(b"@") {
                Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
                None => SocketAddr::from_pathname(&name)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // The manager's full queue must not hold up the daemon.
            socket.set_nonblocking(true)?;
            std::io::Result::Ok(socket)
        };
        match connect() {
            Ok(socket) => Self { socket: Some(Arc::new(socket)) },
            Err(error) => {
                tracing::warn!(%error, "the service manager cannot be told anything");
                Self::default()
            }
        }
    }

    /// Whether somebody wants to hear.
    pub(super) fn is_heard(&self) -> bool {
        self.socket.is_some()
    }

    /// Callers are answered.
    pub(crate) fn ready(&self) {
        self.send("READY=1\n");
    }

    /// The store's file is taken over; [`Self::ready`] follows. `now` is the monotonic clock, in microseconds.
    pub(crate) fn reloading(&self, now: u64) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\n"));
    }

    /// No new callers are taken.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\n");
    }

    /// How it is, in one sentence.
    pub(crate) fn status(&self, text: &str) {
        let end = text.floor_char_boundary(MAX_STATUS);
        let line = text[..end].replace(|c: char| c.is_control(), " ");
        self.send(&format!("STATUS={line}\n"));
    }

    /// The daemon lives.
    pub(super) fn watchdog(&self) {
        self.send("WATCHDOG=1\n");
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(message.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1_024];
        let length = socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let abstract_name = format!("counterfoil-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("a name");
        for (socket, name) in [
            (UnixDatagram::bind(&path).expect("bound"), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&address).expect("bound"), format!("@{abstract_name}").into()),
        ] {
            let notifier = Notifier::to(Some(name));
            notifier.ready();
            assert_eq!(heard(&socket), "READY=1\n");
            notifier.reloading(7);
            assert_eq!(heard(&socket), "RELOADING=1\nMONOTONIC_USEC=7\n");
            // A line of its own cannot be smuggled into a sentence.
            notifier.status("Connected to Ada\nREADY=1.");
            assert_eq!(heard(&socket), "STATUS=Connected to Ada READY=1.\n");
            notifier.status(&"ä".repeat(300));
            assert_eq!(heard(&socket).len(), "STATUS=\n".len() + MAX_STATUS);
            notifier.watchdog();
            assert_eq!(heard(&socket), "WATCHDOG=1\n");
            notifier.stopping();
            assert_eq!(heard(&socket), "STOPPING=1\n");
        }
    }

    #[test]
    fn nobody_hears_and_nothing_fails() {
        for name in [None, Some(""), Some("/nowhere/notify"), Some("@")] {
            let notifier = Notifier::to(name.map(OsString::from));
            notifier.ready();
        }
    }
}
