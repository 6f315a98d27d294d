//! Where state and sockets live: a flag first, then the store's file, then systemd, then the user's own directories.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use directories::ProjectDirs;

use crate::{files, systemd};

/// The file in the state directory that says where the socket is.
const NOTE: &str = "socket";

/// What the command line says about places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// `--state-dir`.
    pub(crate) state_dir: Option<PathBuf>,
    /// `--socket`.
    pub(crate) socket: Option<PathBuf>,
}

/// What systemd says about places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    state_dir: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
}

/// Where this daemon's state and sockets are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Places {
    /// The state directory.
    pub(crate) state_dir: PathBuf,
    /// The socket for plugins.
    pub(crate) api_socket: PathBuf,
    /// The socket for whoever owns the state.
    pub(crate) admin_socket: PathBuf,
}

impl Service {
    /// Reads what systemd put into the environment.
    pub(crate) fn from_environment() -> Self {
        // Of several directories, systemd separates the names by colons; the first is ours.
        let first = |name| {
            let value = std::env::var(name).ok()?;
            value.split(':').next().filter(|path| !path.is_empty()).map(PathBuf::from)
        };
        Self { state_dir: first("STATE_DIRECTORY"), runtime_dir: first("RUNTIME_DIRECTORY") }
    }
}

impl Places {
    /// Decides the places. `socket` is what the store's file says.
    pub(crate) fn decide(
        wishes: &Wishes,
        service: &Service,
        socket: Option<&Path>,
    ) -> Result<Self> {
        let state_dir = wishes
            .state_dir
            .clone()
            .or_else(|| service.state_dir.clone())
            .or_else(own_state_dir)
            .context(
                "there is no home directory to keep the state in; name one with --state-dir",
            )?;
        let state_dir = std::path::absolute(&state_dir)
            .with_context(|| format!("{} is no path for the state", state_dir.display()))?;
        let api_socket = wishes
            .socket
            .clone()
            .or_else(|| socket.map(Path::to_owned))
            .or_else(|| service.runtime_dir.as_ref().map(|dir| dir.join("api.sock")))
            .unwrap_or_else(|| state_dir.join("api.sock"));
        let api_socket = std::path::absolute(&api_socket)
            .with_context(|| format!("{} is no path for a socket", api_socket.display()))?;
        let admin_socket = systemd::admin_beside(&api_socket);
        anyhow::ensure!(
            admin_socket != api_socket,
            "the socket for plugins cannot be called admin.sock: that name is the owner's socket"
        );
        Ok(Self { state_dir, api_socket, admin_socket })
    }

    /// Leaves a note of the sockets in the state directory, for those who know only that.
    pub(crate) fn record(&self) -> io::Result<()> {
        let directory = self.state_dir.canonicalize()?;
        let note = [&self.api_socket, &directory].map(|path| path.as_os_str().as_encoded_bytes());
        files::write_durably(&self.state_dir.join(NOTE), &note.join(&0), 0o600)
    }

    /// The places that the daemon of this state directory noted down; `None` where there is no note.
    ///
    /// A note that came here with a copied state speaks of the original's daemon, so it is none.
    pub(crate) fn recorded(state_dir: &Path) -> Option<Self> {
        let note = fs::read(state_dir.join(NOTE)).ok()?;
        let mut paths = note.split(|byte| *byte == 0);
        let mut path = || paths.next().map(|bytes| PathBuf::from(OsString::from_vec(bytes.into())));
        let (socket, directory) = (path()?, path()?);
        if state_dir.canonicalize().ok()? != directory {
            return None;
        }
        let wishes = Wishes { state_dir: Some(state_dir.to_owned()), socket: Some(socket) };
        Self::decide(&wishes, &Service::default(), None).ok()
    }

    /// The directory that both sockets are in.
    pub(crate) fn socket_dir(&self) -> &Path {
        self.api_socket.parent().unwrap_or(Path::new("/"))
    }
}

fn own_state_dir() -> Option<PathBuf> {
    let own = ProjectDirs::from("", "", "counterfoil")?;
    Some(own.state_dir().unwrap_or(own.data_local_dir()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_the_file_and_the_file_before_systemd() {
        let file = Path::new("/srv/file.sock");
        let service = Service {
            state_dir: Some("/var/lib/counterfoil".into()),
            runtime_dir: Some("/run/counterfoil".into()),
        };
        let flags = Wishes { state_dir: Some("/s".into()), socket: Some("/f/api.sock".into()) };
        let none = Wishes::default();
        for (wishes, file, state, socket, admin) in [
            (&flags, Some(file), "/s", "/f/api.sock", "/f/admin.sock"),
            (&none, Some(file), "/var/lib/counterfoil", "/srv/file.sock", "/srv/admin.sock"),
            (
                &none,
                None,
                "/var/lib/counterfoil",
                "/run/counterfoil/api.sock",
                "/run/counterfoil/admin.sock",
            ),
        ] {
            let places = Places::decide(wishes, &service, file).expect("places");
            assert_eq!(places.state_dir, Path::new(state));
            assert_eq!(places.api_socket, Path::new(socket));
            assert_eq!(places.admin_socket, Path::new(admin));
        }
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Places::recorded(dir.path()), None);
        let here =
            Wishes { state_dir: Some(dir.path().into()), socket: Some("/r/api.sock".into()) };
        let places = Places::decide(&here, &Service::default(), None).expect("places");
        places.record().expect("noted");
        assert_eq!(Places::recorded(dir.path()), Some(places));
        let copy = tempfile::tempdir().expect("a directory");
        fs::copy(dir.path().join(NOTE), copy.path().join(NOTE)).expect("copied");
        assert_eq!(Places::recorded(copy.path()), None, "the original's");
        fs::write(dir.path().join(NOTE), "/r/api.sock").expect("written");
        assert_eq!(Places::recorded(dir.path()), None, "it does not say whose it is");
        let beside = Wishes { state_dir: Some("/s".into()), socket: None };
        let places = Places::decide(&beside, &Service::default(), None).expect("places");
        assert_eq!(places.api_socket, Path::new("/s/api.sock"));
    }
}
