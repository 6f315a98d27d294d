//! Facts that several groups need.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::Read;
use crate::{
    config::{Config, ConfigError},
    custody,
    places::Places,
};

/// Where the service that docs/daemon.md describes keeps its state.
const USUAL_STATE_DIR: &str = "/var/lib/counterfoil";

/// Where the state is, where no daemon says: as the arguments have it, else where the service keeps it.
pub(super) fn state_dir(places: &Places) -> PathBuf {
    let usual = Path::new(USUAL_STATE_DIR);
    if !places.state_dir.exists() && usual.exists() {
        return usual.to_owned();
    }
    places.state_dir.clone()
}

/// The user that the daemon runs as, or would: the one whose lock is in the state, else the one who owns the state.
pub(super) fn user(live: Option<&Value>, state_dir: &Path) -> u32 {
    let told = live.and_then(|live| live.pointer("/daemon/uid")?.as_u64());
    told.and_then(|uid| u32::try_from(uid).ok())
        .or_else(|| custody::holder(state_dir))
        .or_else(|| fs::metadata(state_dir).ok().map(|metadata| metadata.uid()))
        .unwrap_or_else(|| rustix::process::geteuid().as_raw())
}

/// Whether somebody listens on a socket. It is not sure that nobody does unless the system says so.
pub(super) async fn is_heard(socket: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    !tokio::net::UnixStream::connect(socket).await.is_err_and(refused)
}

/// The store's file. Who may change it is judged elsewhere, and for the daemon's user.
pub(super) fn config(path: &Path) -> Read {
    let text = fs::read_to_string(path)
        .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
    let mut config = Config::parse(&text)?;
    match config.network.load() {
        // For root, files of the daemon's user are others'; the daemon itself may well trust them.
        Ok(()) | Err(ConfigError::Distrusted(_)) => Ok(config),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custody::Custody;

    #[test]
    fn the_daemons_user_is_the_one_whose_lock_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let here = rustix::process::geteuid().as_raw();
        assert_eq!(user(None, dir.path()), here, "the owner of the state");
        drop(Custody::take(dir.path()).expect("taken"));
        assert_eq!(user(None, dir.path()), here);
        if here == 0 {
            std::os::unix::fs::chown(dir.path(), Some(65_534), None).expect("given away");
            assert_eq!(user(None, dir.path()), 0, "whoever owns the directory by now");
        }
        let live = serde_json::json!({ "daemon": { "uid": 997 } });
        assert_eq!(user(Some(&live), dir.path()), 997, "it says so itself");
    }
}
