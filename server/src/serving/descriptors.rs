//! How many files may be open at a time, which bounds how many connections can be served.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open beside connections and calls to others: the database, the journals, what is read for a moment.
const OWN: u64 = 128;

/// Has the system allow as many open files as it may allow this process, and says how many those are. The soft limit is
/// low for the sake of programs that use `select`, of which this is none.
pub fn raise() -> u64 {
    let files = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }) {
        tracing::warn!(%error, "the number of open files cannot be raised");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many of the `wanted` connections fit, where so many files can be open and `calls` may go out at a time. Connections
/// that take the last descriptor would keep the server from its own database.
#[must_use]
pub fn fitting(files: u64, wanted: usize, calls: usize) -> usize {
    let calls = u64::try_from(calls).unwrap_or(u64::MAX);
    let left = files.saturating_sub(OWN).saturating_sub(calls).max(1);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        for (files, wanted, calls, expected) in [
            (u64::MAX, 4_096, 64, 4_096),
            (65_536, 4_096, 64, 4_096),
            (1_024, 4_096, 64, 832),
            (1_024, 4_096, 500, 396),
            (1_024, 100, 64, 100),
            (128, 4_096, 0, 1),
            (0, 4_096, usize::MAX, 1),
        ] {
            assert_eq!(fitting(files, wanted, calls), expected, "{files} {wanted} {calls}");
        }
    }
}
