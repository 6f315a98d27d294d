//! `[[local.calls]]`: what plugins may have forwarded beside the calls that the daemon knows.

use serde::Deserialize;

use super::{ConfigError, setting};

/// The most of them.
const MAX_CALLS: usize = 64;

/// The methods that can be forwarded.
const METHODS: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];

/// A forwardable call of the platform's own: a path below the API base, in which `*` is one segment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnCall {
    /// Its methods.
    pub(crate) methods: Vec<String>,
    /// Its path.
    pub(crate) path: String,
}

/// Refuses calls that would not be forwarded, or say nothing.
pub(super) fn check(calls: &[OwnCall]) -> Result<(), ConfigError> {
    let wrong = |why: String| Err(setting("local.calls", why));
    if calls.len() > MAX_CALLS {
        return wrong(format!("more than {MAX_CALLS} are too many"));
    }
    for OwnCall { methods, path } in calls {
        if methods.is_empty() || !methods.iter().all(|it| METHODS.contains(&it.as_str())) {
            return wrong(format!("methods of {path:?}: some of {}", METHODS.join(", ")));
        }
        let plain = |segment: &str| {
            segment == "*"
                || (!segment.is_empty()
                    && !segment.starts_with('.')
                    && !segment.ends_with('.')
                    && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"_~-.".contains(&b)))
        };
        if !path.split('/').all(plain) {
            return wrong(format!(
                "path {path:?}: segments of letters, digits, _, ~, - and dots inside, or *, with single slashes between, as in orders/*"
            ));
        }
    }
    Ok(())
}
