//! Who could change what the daemon reads.

use std::path::Path;

use super::{Finding, Read};
use crate::files::{self, Distrust};

/// The store's file: readable, sound, and changed by nobody else.
pub(super) fn judge_config(path: &Path, user: u32, config: &Read) -> Vec<Finding> {
    let place = path.display();
    match config {
        Err(error) => {
            let next_step = format!(
                "Correct {place}; then run: counterfoild reload (or, if the daemon does not run: systemctl start counterfoild)"
            );
            vec![Finding::problem(
                "config",
                format!("The store's file cannot be used: {error}."),
                next_step,
            )]
        }
        Ok(_) => vec![trusted("config", "The store's file", path, user)],
    }
}

/// Whether nobody but root and `user` can change what is at `path`, as the start judges it.
pub(super) fn trusted(check: &'static str, what: &str, path: &Path, user: u32) -> Finding {
    distrusted(check, what, path, user).unwrap_or_else(|| {
        Finding::ok(
            check,
            format!("{what} {} is in order; nobody else can change it.", path.display()),
        )
    })
}

/// Why the start would refuse what is at `path`, in its own words, with the command that mends just that.
pub(super) fn distrusted(
    check: &'static str,
    what: &str,
    path: &Path,
    user: u32,
) -> Option<Finding> {
    let distrust = files::check_trusted_for(path, user, None).err()?;
    let next_step = mended(&distrust, path, user);
    Some(Finding::problem(check, format!("{what}: {distrust}."), next_step))
}

/// What mends it: the fault may lie in a directory above `path`, which is root's to own.
fn mended(distrust: &Distrust, path: &Path, user: u32) -> String {
    const RESTART: &str = "then: systemctl restart counterfoild";
    match distrust {
        Distrust::Owner { path: faulty, owner } => {
            let is_own = path.is_dir() && path.canonicalize().is_ok_and(|real| real == *faulty);
            let place = faulty.display();
            if is_own {
                return format!(
                    "Run: chown {user} {place} (or, if the daemon is to run as user {owner}: chown -R {owner} {place}), {RESTART}"
                );
            }
            format!("Run: chown root {place}, {RESTART}")
        }
        Distrust::Writable { path: faulty, .. } => {
            format!("Run: chmod go-w {}, {RESTART}", faulty.display())
        }
        #[cfg(feature = "pkcs11")]
        Distrust::NotRoots { path: faulty, .. } => {
            format!("Run: chown root {}, {RESTART}", faulty.display())
        }
        Distrust::Unreadable { .. } => {
            "Run the same command as root: sudo counterfoild doctor".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    use super::*;
    use crate::doctor::Level;

    /// What is said of `path`, for a daemon of `user`: the problem and the command.
    #[track_caller]
    fn told(path: &Path, user: u32) -> (String, String) {
        let finding = trusted("state", "It", path, user);
        assert_eq!(finding.level, Level::Problem, "{finding:?}");
        (finding.says, finding.next_step.expect("a step"))
    }

    #[test]
    fn the_command_mends_what_is_at_fault_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let above = dir.path().canonicalize().expect("there").join("above");
        let state = above.join("state");
        files::create_private_dir(&state).expect("made");
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(trusted("state", "It", &state, user).level, Level::Ok);
        assert!(distrusted("state", "It", &state, user).is_none());
        for faulty in [&above, &state] {
            fs::set_permissions(faulty, Permissions::from_mode(0o777)).expect("set");
            let place = faulty.display();
            let (says, next_step) = told(&state, user);
            let start = files::check_trusted(&state).expect_err("the start refuses it too");
            assert_eq!(says, format!("It: {start}."));
            assert_eq!(
                says,
                format!(
                    "It: {place} can be written by others (mode 777); run: chmod go-w {place}."
                )
            );
            assert_eq!(
                next_step,
                format!("Run: chmod go-w {place}, then: systemctl restart counterfoild")
            );
            fs::set_permissions(faulty, Permissions::from_mode(0o700)).expect("set");
        }
    }

    #[test]
    fn only_a_wrong_owner_is_changed() {
        let owner = Distrust::Owner { path: "/srv/above".into(), owner: 7 };
        let above = "Run: chown root /srv/above, then: systemctl restart counterfoild";
        assert_eq!(mended(&owner, Path::new("/srv/above/store.toml"), 9), above);
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().canonicalize().expect("there");
        let place = path.display();
        let own = mended(&Distrust::Owner { path: path.clone(), owner: 7 }, &path, 9);
        assert!(own.starts_with(&format!("Run: chown 9 {place} ")), "{own}");
        assert!(own.contains(&format!("chown -R 7 {place}")), "{own}");
        assert!(!own.contains("chmod"), "{own}");
    }
}
