//! Whom the store's file lets in, as numbers that the kernel uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    clock::Entropy,
    config::{Account, Local},
    local::{bearers::Bearers, door, peer::Peer, rights::Caller},
};

/// Who is let in besides the owner of the state and root.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Guests {
    /// Users.
    pub(crate) users: Vec<u32>,
    /// Groups.
    pub(crate) groups: Vec<u32>,
    /// Users who may connect and disconnect; if there are any, no other guest may.
    pub(crate) stewards: Vec<u32>,
    /// The group that the socket's file should belong to, so that its guests can open it.
    pub(crate) socket_group: Option<u32>,
    /// Plugins at the port.
    pub(crate) bearers: Bearers,
    /// The directory of the sockets.
    pub(crate) dir: PathBuf,
}

/// The two lists of a machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum List {
    Group,
    Passwd,
}

/// One entry, as far as it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    id: u32,
    /// The user's own group.
    group: Option<u32>,
}

impl Guests {
    /// Resolves names: by the machine's files first, then by whatever else it knows users from (LDAP and the like).
    /// A name that nobody has is an error. May wait for a directory server, some seconds at most.
    ///
    /// Where there is a port, the tokens for it are read too; `dir`, the directory of the sockets, is where their file
    /// is if the store's file does not say. It is made if there is none.
    pub(crate) fn resolve(
        local: &Local,
        dir: &Path,
        entropy: &dyn Entropy,
    ) -> Result<Self, String> {
        let mut guests = Self::accounts(local)?;
        dir.clone_into(&mut guests.dir);
        if local.tcp.is_some() {
            let file = local.tcp_token_file.clone().unwrap_or_else(|| dir.join("tcp-token"));
            let bearers = door::make_dir(dir)
                .and_then(|()| Bearers::make(&file, guests.socket_group, entropy))
                .and_then(|()| Bearers::read(&file));
            guests.bearers =
                bearers.map_err(|error| format!("the token file {}: {error:#}", file.display()))?;
        }
        Ok(guests)
    }

    /// The users and groups alone. Nothing is made, and no token read.
    pub(crate) fn accounts(local: &Local) -> Result<Self, String> {
        let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
        Self::look_up(local, |list, name| {
            let file = if list == List::Passwd { &passwd } else { &group };
            entry_in(file, list, name).or_else(|| ask_the_system(list, name))
        })
    }

    fn look_up(local: &Local, entry: impl Fn(List, &str) -> Option<Entry>) -> Result<Self, String> {
        let find = |list: List, account: &Account, setting: &str| {
            let text = account.to_string();
            let (kind, known) = match list {
                List::Group => ("group", entry(List::Group, &text)),
                List::Passwd => ("user", entry(List::Passwd, &text)),
            };
            let by_number = || text.parse().ok().map(|id| Entry { id, group: None });
            known
                .or_else(by_number)
                .ok_or_else(|| format!("{setting}: there is no {kind} {text} on this machine"))
        };
        let mut guests = Self::default();
        for account in &local.allow_users {
            let user = find(List::Passwd, account, "allow_users")?;
            guests.users.push(user.id);
            guests.socket_group = guests.socket_group.or(user.group);
        }
        for account in &local.admin_users {
            guests.stewards.push(find(List::Passwd, account, "admin_users")?.id);
        }
        for account in &local.allow_groups {
            guests.groups.push(find(List::Group, account, "allow_groups")?.id);
        }
        guests.socket_group = guests.groups.first().copied().or(guests.socket_group);
        Ok(guests)
    }

    /// Whether some guests alone may connect and disconnect.
    pub(in crate::local) fn are_narrowed(&self) -> bool {
        !self.stewards.is_empty()
    }

    /// What `peer` is at the plugins' socket.
    pub(super) fn caller(&self, peer: Option<&Peer>, owner: u32) -> Caller {
        match peer {
            Some(peer) if peer.uid == 0 || peer.uid == owner => Caller::Owner,
            Some(peer) if self.stewards.contains(&peer.uid) => Caller::Steward,
            Some(peer)
                if self.users.contains(&peer.uid)
                    || peer.groups.iter().any(|group| self.groups.contains(group)) =>
            {
                Caller::Guest
            }
            None | Some(_) => Caller::Stranger,
        }
    }
}

/// Looks a name or a number up in the text of a list (passwd(5), group(5)).
fn entry_in(text: &str, list: List, name: &str) -> Option<Entry> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let is_number = name.parse::<u32>().is_ok();
    let fields = lines.find(|fields| {
        let at = if is_number { 2 } else { 0 };
        fields.get(at).is_some_and(|field| *field == name)
    })?;
    let number = |at: usize| fields.get(at)?.parse().ok();
    Some(Entry { id: number(2)?, group: number(3).filter(|_| list == List::Passwd) })
}

/// Asks every source that the machine's administrator has configured. That is the C library's affair, which may load
/// modules and speak to servers: it happens in a process of its own that is given up after five seconds.
fn ask_the_system(list: List, name: &str) -> Option<Entry> {
    if name.starts_with('-') {
        return None;
    }
    let database = if list == List::Passwd { "passwd" } else { "group" };
    let output = Command::new("/usr/bin/timeout")
        .args(["5", "/usr/bin/getent", database, name])
        .env_clear()
        .output()
        .ok()?;
    entry_in(&String::from_utf8_lossy(&output.stdout), list, name)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:34::/var/www:/bin/false\n";
    const GROUP: &str = "root:x:0:\nwww:x:50:\n";

    fn look_up(users: &[&str], groups: &[&str], stewards: &[&str]) -> Result<Guests, String> {
        let accounts =
            |names: &[&str]| names.iter().map(|name| Account::Name((*name).to_owned())).collect();
        let local = Local {
            allow_users: accounts(users),
            allow_groups: accounts(groups),
            admin_users: accounts(stewards),
            ..Local::default()
        };
        Guests::look_up(&local, |list, name| {
            entry_in(if list == List::Passwd { PASSWD } else { GROUP }, list, name)
        })
    }

    #[test]
    fn names_become_numbers() {
        let expected = Guests {
            users: vec![33, 1_234],
            groups: vec![50],
            stewards: vec![0],
            socket_group: Some(50),
            ..Guests::default()
        };
        assert_eq!(look_up(&["www-data", "1234"], &["www"], &["root"]), Ok(expected));
        assert_eq!(look_up(&["www-data"], &[], &[]).expect("known").socket_group, Some(34));
        assert_eq!(look_up(&["33"], &[], &[]).expect("known").socket_group, Some(34));
        for (users, groups, stewards, setting) in [
            (&["nobody-here"][..], &[][..], &[][..], "allow_users"),
            (&[], &["www-data"], &[], "allow_groups"),
            (&[], &[], &["www"], "admin_users"),
        ] {
            let refusal = look_up(users, groups, stewards).expect_err("unknown");
            assert!(refusal.starts_with(setting), "{refusal}");
        }
    }

    #[test]
    fn the_system_is_asked_for_those_who_are_in_no_file() {
        let root = ask_the_system(List::Passwd, "root");
        assert_eq!(root, Some(Entry { id: 0, group: Some(0) }));
        assert_eq!(ask_the_system(List::Group, "0"), Some(Entry { id: 0, group: None }));
        for name in ["nobody-has-this-name", "", "-i", "--help", "root:x", "x\nroot"] {
            assert_eq!(ask_the_system(List::Passwd, name), None, "{name:?}");
        }
    }

    #[test]
    fn callers_have_classes() {
        let guests =
            Guests { users: vec![33], groups: vec![50], stewards: vec![7], ..Guests::default() };
        for (uid, groups, expected) in [
            (1_000, &[][..], Caller::Owner),
            (0, &[][..], Caller::Owner),
            (7, &[50][..], Caller::Steward),
            (33, &[33][..], Caller::Guest),
            (2_000, &[2_000, 50][..], Caller::Guest),
            (2_000, &[2_000][..], Caller::Stranger),
            (50, &[][..], Caller::Stranger),
        ] {
            let peer = Peer { uid, groups: groups.to_vec() };
            assert_eq!(guests.caller(Some(&peer), 1_000), expected, "{peer:?}");
        }
        assert_eq!(guests.caller(None, 1_000), Caller::Stranger);
    }
}
