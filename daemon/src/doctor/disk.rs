//! The disk under the state: a daemon that cannot save begins nothing.

use std::{fs::File, io, io::Write as _, path::Path};

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, open, statvfs};

use super::Finding;
use crate::advice::quoted;

/// Free space below which nothing can be promised, and below which it is time to act, in bytes.
const NONE_LEFT: u64 = 4 * 1_024 * 1_024;
const LITTLE: u64 = 100 * 1_024 * 1_024;

/// What was found of the disk.
struct Disk {
    free_bytes: u64,
    free_files: Option<u64>,
    read_only: bool,
    /// Whether a nameless file could be written and synced; `None` where that could not be tried.
    written: Option<Result<(), io::ErrorKind>>,
}

/// Looks at the disk under `dir`. What is written there has no name and is gone at once.
pub(super) fn examine(dir: &Path) -> Vec<Finding> {
    match statvfs(dir) {
        Ok(found) => {
            let disk = Disk {
                free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
                // Some file systems have no number of files.
                free_files: (found.f_files > 0).then_some(found.f_favail),
                read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
                written: write_nameless(dir),
            };
            disk.judge(dir)
        }
        // That there is no directory is said elsewhere.
        Err(_) => Vec::new(),
    }
}

impl Disk {
    fn judge(&self, dir: &Path) -> Vec<Finding> {
        let place = dir.display();
        let path = quoted(&dir.to_string_lossy());
        let df = format!(
            "Make room: df -h {path} shows the file system, du -xh \"$(findmnt -no TARGET -T {path})\" | sort -h | tail what fills it"
        );
        let mib = self.free_bytes / 1_024 / 1_024;
        if self.read_only {
            return vec![Finding::problem(
                "disk",
                format!("{place} is on a disk that is mounted read-only: nothing can be saved."),
                format!(
                    "Find out why (dmesg | tail), then run: mount -o remount,rw \"$(findmnt -no TARGET -T {path})\""
                ),
            )];
        }
        let space = match self.free_bytes {
            0..NONE_LEFT => Finding::problem(
                "disk",
                format!("The disk under {place} is full ({mib} MiB free): nothing can be saved."),
                df,
            ),
            NONE_LEFT..LITTLE => Finding::warning(
                "disk",
                format!("The disk under {place} is nearly full ({mib} MiB free)."),
                df,
            ),
            _ => Finding::ok("disk", format!("The disk under {place} has room ({mib} MiB free).")),
        };
        let mut findings = vec![space];
        if self.free_files == Some(0) {
            let says = format!("The file system under {place} can hold no more files.");
            findings.push(Finding::problem("disk", says, format!("Remove files: df -i {path}")));
        }
        match self.written {
            Some(Ok(())) => findings.push(Finding::ok("disk_write", "What is written there reaches the disk.")),
            Some(Err(io::ErrorKind::PermissionDenied)) => findings.push(Finding::warning(
                "disk_write",
                format!("This user may not write to {place}, so that was not tried."),
                "Run the same command as root or as the daemon's user: sudo counterfoild doctor",
            )),
            Some(Err(kind @ (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))) => findings.push(Finding::problem(
                "disk_write",
                format!("Writing to {place} fails: {kind}."),
                "Make room; if there is some, raise the quota of the daemon's user (quota -u shows it)",
            )),
            Some(Err(kind)) => findings.push(Finding::problem(
                "disk_write",
                format!("Writing to {place} fails: {kind}."),
                "Look at the disk's health (dmesg | tail; smartctl -a) and at quotas (quota -u counterfoil)",
            )),
            None => {}
        }
        findings
    }
}

fn write_nameless(dir: &Path) -> Option<Result<(), io::ErrorKind>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let written = match open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => {
            let mut file = File::from(file);
            file.write_all(&[0; 4_096]).and_then(|()| file.sync_all())
        }
        // Not every file system has files without a name.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => return None,
        Err(error) => Err(error.into()),
    };
    Some(written.map_err(|error| error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Disk), expected: &[Level]) {
        let mut disk = Disk {
            free_bytes: LITTLE,
            free_files: Some(9),
            read_only: false,
            written: Some(Ok(())),
        };
        change(&mut disk);
        let levels: Vec<_> = disk.judge(Path::new("/state")).iter().map(|it| it.level).collect();
        assert_eq!(levels, expected);
    }

    #[test]
    fn room_and_writing_are_judged() {
        check(|_| {}, &[Level::Ok, Level::Ok]);
        check(|disk| disk.free_bytes = LITTLE - 1, &[Level::Warning, Level::Ok]);
        check(|disk| disk.free_bytes = NONE_LEFT - 1, &[Level::Problem, Level::Ok]);
        check(|disk| disk.free_files = Some(0), &[Level::Ok, Level::Problem, Level::Ok]);
        check(|disk| disk.free_files = None, &[Level::Ok, Level::Ok]);
        check(|disk| disk.read_only = true, &[Level::Problem]);
        check(|disk| disk.written = None, &[Level::Ok]);
        check(
            |disk| disk.written = Some(Err(io::ErrorKind::PermissionDenied)),
            &[Level::Ok, Level::Warning],
        );
        check(
            |disk| disk.written = Some(Err(io::ErrorKind::StorageFull)),
            &[Level::Ok, Level::Problem],
        );
    }

    #[test]
    fn a_directory_is_left_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!examine(dir.path()).is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
        assert_eq!(examine(&dir.path().join("none")), []);
    }
}
