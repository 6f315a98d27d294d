//! Who is at the other end of a unix socket: what the kernel says, never what the peer says.

use std::{io, os::fd::AsRawFd as _};

use tokio::net::UnixStream;

/// The user at the other end and his groups, as they were when he connected.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Peer {
    /// The user.
    pub(crate) uid: u32,
    /// All his groups.
    pub(crate) groups: Vec<u32>,
}

impl Peer {
    /// Asks the kernel (`SO_PEERCRED`, `SO_PEERGROUPS`).
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let mut groups = vec![credentials.gid()];
        match supplementary_groups(stream) {
            Ok(others) => groups.extend(others),
            // A kernel that cannot tell must not shut out those who are known by name.
            Err(error) => tracing::debug!(%error, "the caller's further groups are not known"),
        }
        Ok(Self { uid: credentials.uid(), groups })
    }
}

/// Linux allows a process 65,536 supplementary groups.
const MAX_GROUPS: usize = 65_536;

fn supplementary_groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let mut room = 64;
    loop {
        let mut groups: Vec<libc::gid_t> = vec![0; room];
        let bytes = size_of::<libc::gid_t>() * room;
        let mut length = libc::socklen_t::try_from(bytes).map_err(io::Error::other)?;
        #[expect(
            unsafe_code,
            reason = "no safe wrapper knows SO_PEERGROUPS; length bounds what is written"
        )]
        // SAFETY: `groups` has room for `length` bytes, both outlive the call, and the descriptor is open.
        let answer = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if answer == 0 {
            groups.truncate(usize::try_from(length).unwrap_or(0) / size_of::<libc::gid_t>());
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || room >= MAX_GROUPS {
            return Err(error);
        }
        room = MAX_GROUPS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_knows_us() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let peer = Peer::of(&one).expect("known");
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert!(peer.groups.contains(&rustix::process::getegid().as_raw()));
        for group in rustix::process::getgroups().expect("groups") {
            assert!(peer.groups.contains(&group.as_raw()));
        }
    }
}
