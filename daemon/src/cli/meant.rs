//! Whether the daemon that answers is the one that a command speaks of.
//!
//! A copied store's file still names the original's socket. So whatever changes something is compared first: the
//! state directory and the store's file that were named with those that the daemon says it goes by.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::advice::quoted;

/// What a command says of the daemon that it means; what it does not say is not compared.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Meant {
    /// The state directory.
    pub(super) state_dir: Option<PathBuf>,
    /// The store's file.
    pub(super) config: Option<PathBuf>,
}

impl Meant {
    /// Refuses a daemon that says of itself, in `/v1/admin/status`, that it is another.
    pub(super) fn check(&self, status: &Value, admin_socket: &Path) -> Result<()> {
        for (named, path, does) in [
            (&self.state_dir, "/daemon/state_dir", "keeps its state in"),
            (&self.config, "/daemon/config_file", "goes by the store's file"),
        ] {
            let told = status.pointer(path).and_then(Value::as_str).map(Path::new);
            let (Some(named), Some(told)) = (named, told) else { continue };
            if is_same(named, told) {
                continue;
            }
            let api_socket = admin_socket.with_file_name("api.sock");
            let api_socket = status
                .pointer("/daemon/api_socket")
                .and_then(Value::as_str)
                .map_or(api_socket, PathBuf::from);
            bail!(
                "nothing is done: the daemon on {} {does} {}, and this command speaks of {}\n\
                 What to do: If the latter is a copy of the store, give it a local.socket of its own in its store's file \
                 and start its daemon. To command the daemon that answers, name its socket and nothing else: --socket {}",
                admin_socket.display(),
                told.display(),
                named.display(),
                quoted(&api_socket.to_string_lossy()),
            );
        }
        Ok(())
    }
}

/// Whether two paths lead to the same place: as they are written, or behind links.
fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = |path: &Path| path.canonicalize().ok();
    whole(one) == whole(other) || real(one).is_some_and(|one| Some(one) == real(other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn another_stores_daemon_is_named_and_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().canonicalize().expect("there");
        let at = |name: &str| dir.join(name);
        for name in ["state", "copy"] {
            std::fs::create_dir(at(name)).expect("made");
            std::fs::write(at(name).join("store.toml"), "").expect("written");
        }
        std::os::unix::fs::symlink(at("state"), at("link")).expect("linked");
        let status = json!({ "daemon": {
            "state_dir": at("state"), "config_file": at("state/store.toml"), "api_socket": "/run/my shop/api.sock",
        } });
        for (state_dir, config, names) in [
            (None, None, None),
            (Some("state"), Some("state/store.toml"), None),
            (Some("link"), Some("link/store.toml"), None),
            (Some("state/."), None, None),
            (Some("copy"), None, Some(("state", "copy"))),
            (None, Some("copy/store.toml"), Some(("state/store.toml", "copy/store.toml"))),
            (Some("state"), Some("gone.toml"), Some(("state/store.toml", "gone.toml"))),
        ] {
            let meant = Meant { state_dir: state_dir.map(at), config: config.map(at) };
            let checked = meant.check(&status, Path::new("/run/my shop/admin.sock"));
            let told = checked.err().map(|error| error.to_string());
            assert_eq!(told.is_some(), names.is_some(), "{meant:?}: {told:?}");
            let (Some(told), Some((one, other))) = (told, names) else { continue };
            for name in [one, other] {
                assert!(told.contains(at(name).to_str().expect("a name")), "{told}");
            }
            assert!(told.ends_with("--socket '/run/my shop/api.sock'"), "{told}");
        }
        // A daemon that is too old to say is not refused.
        let meant = Meant { state_dir: Some(at("copy")), config: None };
        assert!(meant.check(&json!({}), Path::new("/s/admin.sock")).is_ok());
    }
}
