//! Whether those who are let in can reach the plugins' socket at all: every directory above it, and the socket.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{Finding, Level, trust};
use crate::{config::Config, local::Guests};

/// Permission bits of one class: to pass through a directory, and to open a socket.
const PASS: u32 = 0o1;
const OPEN: u32 = 0o6;

/// Directories in which services commonly see files of their own alone (systemd's `PrivateTmp=`).
const PRIVATE: [&str; 2] = ["/tmp", "/var/tmp"];

/// Users under whom web servers run every site, where nobody arranged otherwise.
const SHARED: [&str; 6] = ["apache", "http", "nginx", "nobody", "www", "www-data"];

/// Where web servers list their sites.
const SITES: [&str; 3] =
    ["/etc/apache2/sites-enabled", "/etc/nginx/sites-enabled", "/etc/httpd/conf.d"];

/// A directory above the socket, or the socket.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Somebody who should be able to call.
#[derive(Clone, Debug)]
struct Guest {
    /// As the store's file names him.
    name: String,
    uid: Option<u32>,
    groups: Vec<u32>,
}

/// Looks at the way to `socket`, for everybody whom the store's file lets in. `is_heard` says whether somebody listens
/// on it, `runs` whether a daemon answers its owner.
pub(super) fn examine(
    socket: &Path,
    (is_heard, runs): (bool, bool),
    config: &Config,
    user: u32,
) -> Vec<Finding> {
    let Ok(guests) = Guests::accounts(&config.local) else {
        return vec![Finding::problem(
            "guests",
            "allow_users, allow_groups or admin_users name somebody whom this machine does not know.",
            "Correct the names (getent passwd; getent group), then run: counterfoild reload",
        )];
    };
    let mut findings = Vec::from_iter(private(socket));
    // The start makes a directory that is not there.
    if let Some(dir) = socket.parent().filter(|dir| dir.exists()) {
        findings.extend(trust::distrusted("socket_dir", "The socket's directory", dir, user));
    }
    findings.extend(shared(config, sites()));
    let (way, door) = match way(socket, runs) {
        Ok(way) => way,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    let guests = named(config, &guests);
    if guests.is_empty() {
        findings.push(Finding::warning(
            "guests",
            format!("Nobody but root and the daemon's user ({user}) is let in: no allow_users and no allow_groups."),
            "Name the web server's user in allow_users, or its group in allow_groups, then run: counterfoild reload",
        ));
    }
    if !is_heard {
        findings.push(unheard(socket, runs));
    }
    let judged = guests.iter().map(|guest| judge(&way, &door, guest));
    // A way that leads to nobody is not in order.
    findings.extend(judged.filter(|finding| is_heard || finding.level != Level::Ok));
    findings
}

/// What brings a socket back: a service that runs is not started a second time.
fn revive(runs: bool) -> &'static str {
    if runs {
        "The daemon runs without it. Run: systemctl restart counterfoild"
    } else {
        "Run: systemctl start counterfoild; what it says is in: journalctl -u counterfoild -n 50"
    }
}

/// The directories above the socket, from the root on, and the socket.
fn way(socket: &Path, runs: bool) -> Result<(Vec<Place>, Place), Finding> {
    let place = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        let (uid, gid, mode) = (found.uid(), found.gid(), found.mode());
        Some((Place { path: path.to_owned(), uid, gid, mode }, found.file_type().is_socket()))
    };
    let absent = || {
        Finding::problem(
            "socket",
            format!("There is no socket {}: plugins find no daemon.", socket.display()),
            revive(runs),
        )
    };
    let (door, is_socket) = place(socket).ok_or_else(absent)?;
    if !is_socket {
        return Err(Finding::problem(
            "socket",
            format!("{} is no socket: something else lies where it should be.", socket.display()),
            "Set another path as local.socket, or move the file away; then run: systemctl restart counterfoild",
        ));
    }
    let real = socket.canonicalize().map_err(|_| absent())?;
    let mut way: Vec<_> = real.ancestors().skip(1).filter_map(place).map(|(it, _)| it).collect();
    way.reverse();
    Ok((way, door))
}

fn unheard(socket: &Path, runs: bool) -> Finding {
    Finding::problem(
        "socket",
        format!("Nobody listens on {}: plugins find no daemon.", socket.display()),
        revive(runs),
    )
}

fn judge(way: &[Place], door: &Place, guest: &Guest) -> Finding {
    let name = &guest.name;
    let run = |command: String| format!("Run: {command}; then: systemctl restart counterfoild");
    if let Some(closed) = way.iter().find(|place| !place.lets(guest, PASS)) {
        let (path, mode) = (closed.path.display(), closed.mode & 0o7777);
        return Finding::problem(
            "socket",
            format!(
                "{name} cannot reach the socket: {path} does not let it through (mode {mode:o})."
            ),
            run(format!("chmod o+x {path} (or chgrp it to a group that {name} is in)")),
        );
    }
    if door.lets(guest, OPEN) {
        return Finding::ok(
            "socket",
            format!("{name} can reach and open {}.", door.path.display()),
        );
    }
    let (gid, mode) = (door.gid, door.mode & 0o7777);
    if (mode >> 3) & OPEN != OPEN {
        let path = door.path.display();
        return Finding::problem(
            "socket",
            format!(
                "{name} cannot open the socket: somebody took the group's right to it (mode {mode:o} instead of 660)."
            ),
            format!("Run: chmod 660 {path}"),
        );
    }
    Finding::problem(
        "socket",
        format!("{name} cannot open the socket: it belongs to group {gid} (mode {mode:o})."),
        "Make the daemon's user a member of the guest's group (SupplementaryGroups= in the unit: systemctl edit counterfoild), then run: systemctl restart counterfoild",
    )
}

impl Place {
    /// Whether the guest has these bits here: those of the owner, else of the group, else of all others (`path_resolution(7)`).
    fn lets(&self, guest: &Guest, bits: u32) -> bool {
        let class = if guest.uid == Some(self.uid) {
            6
        } else if guest.groups.contains(&self.gid) {
            3
        } else {
            0
        };
        guest.uid == Some(0) || (self.mode >> class) & bits == bits
    }
}

/// A socket below `/tmp` is not there for services with a `/tmp` of their own.
fn private(socket: &Path) -> Option<Finding> {
    let below = PRIVATE.iter().find(|dir| socket.starts_with(dir))?;
    Some(Finding::warning(
        "private_tmp",
        format!(
            "The socket is below {below}. Apache and PHP often have a {below} of their own (PrivateTmp) and cannot see it."
        ),
        "Set local.socket = \"/run/counterfoil/api.sock\" in the store's file, then run: systemctl restart counterfoild",
    ))
}

/// Several sites that run as one user are one caller to the daemon.
fn shared(config: &Config, sites: usize) -> Option<Finding> {
    let local = &config.local;
    let names = local.allow_users.iter().chain(&local.allow_groups).map(ToString::to_string);
    let name = names.into_iter().find(|name| SHARED.contains(&name.as_str()))?;
    (sites > 1).then(|| {
        Finding::warning(
            "sites",
            format!("{sites} sites are set up on this machine, and {name} is let in: every site that runs as {name} can use this store's connection."),
            "Give this store a PHP pool user of its own, name it in allow_users instead, then run: counterfoild reload",
        )
    })
}

fn sites() -> usize {
    let entries = SITES.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.contains("default") && !name.starts_with('.')).count()
}

/// The guests with the groups that the machine's own list gives them.
fn named(config: &Config, guests: &Guests) -> Vec<Guest> {
    let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
    let local = &config.local;
    let users = local.allow_users.iter().zip(&guests.users).map(|(account, uid)| Guest {
        name: format!("user {account}"),
        uid: Some(*uid),
        groups: groups(&passwd, &group, *uid),
    });
    let groups = local.allow_groups.iter().zip(&guests.groups).map(|(account, gid)| Guest {
        name: format!("group {account}"),
        uid: None,
        groups: vec![*gid],
    });
    users.chain(groups).collect()
}

fn groups(passwd: &str, group: &str, uid: u32) -> Vec<u32> {
    let mut own = Vec::new();
    let mut name = None;
    for line in passwd.lines() {
        let entry: Vec<_> = line.split(':').collect();
        if entry.get(2).and_then(|field| field.parse().ok()) == Some(uid) {
            name = entry.first().copied();
            own.extend(entry.get(3).and_then(|field| field.parse::<u32>().ok()));
            break;
        }
    }
    for line in group.lines() {
        let entry: Vec<_> = line.split(':').collect();
        let (Some(id), Some(members)) = (entry.get(2), entry.get(3)) else { continue };
        if name.is_some_and(|name| members.split(',').any(|member| member == name)) {
            own.extend(id.parse::<u32>().ok());
        }
    }
    own
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::files;

    fn place(path: &str, uid: u32, gid: u32, mode: u32) -> Place {
        Place { path: path.into(), uid, gid, mode }
    }

    fn guest(uid: Option<u32>, groups: &[u32]) -> Guest {
        Guest { name: "user shop".to_owned(), uid, groups: groups.to_vec() }
    }

    #[test]
    fn the_way_and_the_door_must_both_be_open() {
        let shop = guest(Some(1_001), &[1_001, 33]);
        let root = place("/", 0, 0, 0o755);
        let door = |gid, mode| place("/run/c/api.sock", 997, gid, mode);
        for (dir, door, expected) in [
            (place("/run/c", 997, 997, 0o755), door(33, 0o660), Level::Ok),
            (place("/run/c", 997, 33, 0o750), door(33, 0o660), Level::Ok),
            (place("/run/c", 997, 997, 0o750), door(33, 0o660), Level::Problem),
            (place("/run/c", 1_001, 997, 0o005), door(33, 0o660), Level::Problem),
            (place("/run/c", 997, 997, 0o755), door(997, 0o660), Level::Problem),
            (place("/run/c", 997, 997, 0o755), door(33, 0o640), Level::Problem),
            (place("/run/c", 997, 997, 0o755), door(997, 0o666), Level::Ok),
        ] {
            let way = [root.clone(), dir.clone()];
            assert_eq!(judge(&way, &door, &shop).level, expected, "{dir:?} {door:?}");
        }
        let open = [root.clone()];
        for (door, says) in [
            (door(33, 0o600), "chmod 660 /run/c/api.sock"),
            (door(33, 0o640), "chmod 660 /run/c/api.sock"),
            (door(997, 0o660), "member of the guest's group"),
        ] {
            let next_step = judge(&open, &door, &shop).next_step.expect("a next step");
            assert!(next_step.contains(says), "{door:?}: {next_step}");
        }
        let closed = [place("/", 0, 0, 0o700)];
        assert_eq!(judge(&closed, &door(0, 0o600), &guest(Some(0), &[0])).level, Level::Ok);
        assert_eq!(judge(&closed, &door(33, 0o660), &guest(None, &[33])).level, Level::Problem);
    }

    #[test]
    fn a_users_groups_come_from_both_lists() {
        let passwd = "root:x:0:0::/:/bin/sh\nshop:x:1001:1001::/:/bin/sh\n";
        let group = "www-data:x:33:shop,other\nshop:x:1001:\nadm:x:4:shopkeeper\n";
        assert_eq!(groups(passwd, group, 1_001), [1_001, 33]);
        assert!(groups(passwd, group, 7).is_empty());
    }

    #[test]
    fn traps_are_told() {
        assert!(private(Path::new("/tmp/c/api.sock")).is_some());
        assert!(private(Path::new("/tmpfiles/api.sock")).is_none());
        assert!(private(Path::new("/run/counterfoil/api.sock")).is_none());
        let store = |more: &str| {
            Config::parse(&format!(
                "platform = \"medusa\"\nissuer = \"https://pay.example\"\n\
                 site_url = \"https://shop.example\"\nredirect_uri = \"https://shop.example/cb\"\n{more}"
            ))
            .expect("a store")
        };
        let everybody = store("local.allow_groups = [\"www-data\"]");
        assert!(shared(&everybody, 2).is_some());
        assert!(shared(&everybody, 1).is_none());
        assert!(shared(&store("local.allow_users = [\"shop\"]"), 2).is_none());
    }

    #[test]
    fn a_missing_socket_and_a_file_in_its_place_are_problems() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api.sock");
        for (runs, command) in [(false, "systemctl start "), (true, "systemctl restart ")] {
            let missing = way(&path, runs).expect_err("nothing there");
            assert_eq!(missing.level, Level::Problem);
            assert!(missing.next_step.is_some_and(|it| it.contains(command)), "{command}");
        }
        fs::write(&path, "").expect("written");
        assert_eq!(way(&path, true).expect_err("no socket").level, Level::Problem);
        fs::remove_file(&path).expect("removed");
        let _listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        assert_eq!(way(&path, true).expect("a way").1.path, path);
    }

    #[test]
    fn a_directory_that_the_start_refuses_is_a_problem() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().canonicalize().expect("there").join("sock");
        files::create_private_dir(&place).expect("made");
        let store = Config::parse(
            "platform = \"medusa\"\nissuer = \"https://pay.example\"\nlocal.allow_users = [0]\n\
             site_url = \"https://shop.example\"\nredirect_uri = \"https://shop.example/cb\"",
        )
        .expect("a store");
        let user = rustix::process::geteuid().as_raw();
        let look = || {
            let findings = examine(&place.join("api.sock"), (false, false), &store, user);
            findings.into_iter().find(|it| it.check == "socket_dir")
        };
        assert_eq!(look(), None);
        fs::set_permissions(&place, Permissions::from_mode(0o777)).expect("set");
        let refusal = files::check_trusted(&place).expect_err("the start refuses it");
        let found = look().expect("said");
        assert_eq!(found.says, format!("The socket's directory: {refusal}."));
        assert_eq!(found.level, Level::Problem);
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_a_problem_for_everybody() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("api.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        let store = Config::parse(
            "platform = \"medusa\"\nissuer = \"https://pay.example\"\nlocal.allow_users = [0]\n\
             site_url = \"https://shop.example\"\nredirect_uri = \"https://shop.example/cb\"",
        )
        .expect("a store");
        let look = async || {
            let is_heard = super::super::gather::is_heard(&path).await;
            let findings = examine(&path, (is_heard, is_heard), &store, 0);
            let levels = findings.iter().filter(|it| it.check == "socket").map(|it| it.level);
            levels.collect::<Vec<_>>()
        };
        assert_eq!(look().await, [Level::Ok]);
        drop(listener);
        assert_eq!(look().await, [Level::Problem]);
    }
}
