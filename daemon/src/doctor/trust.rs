//! Who could change what the daemon reads.

use std::path::Path;

use super::{Finding, Read};
use crate::files;

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

/// Whether nobody but root and `user` can change what is at `path`.
pub(super) fn trusted(check: &'static str, what: &str, path: &Path, user: u32) -> Finding {
    match files::check_trusted_for(path, user, None) {
        Ok(()) => Finding::ok(
            check,
            format!("{what} {} is in order; nobody else can change it.", path.display()),
        ),
        Err(distrust) => Finding::problem(
            check,
            format!("{what}: {distrust}."),
            format!(
                "Run: chown root:root {0} && chmod go-w {0} (for a directory of the daemon's own, its user instead of root), then: systemctl restart counterfoild",
                path.display()
            ),
        ),
    }
}
