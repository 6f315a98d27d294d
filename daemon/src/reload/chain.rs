//! Where the name of a file can come to mean another file: its own directory entry, and that of every link on the way.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Linux follows as many links in one name.
const MAX_LINKS: usize = 40;

/// A name in a directory.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Entry {
    /// The directory, itself without links.
    pub(crate) dir: PathBuf,
    /// The name.
    pub(crate) name: OsString,
}

/// Every entry that decides what `path`, which is absolute, leads to; the file itself need not exist.
///
/// A replaced file, a link set anew, and a directory behind a link that is exchanged (as Kubernetes does with
/// `..data`) all show in one of them.
pub(crate) fn entries(path: &Path) -> io::Result<BTreeSet<Entry>> {
    let mut found = BTreeSet::new();
    let mut links = 0;
    let mut real = PathBuf::from("/");
    let mut ahead: Vec<OsString> = components(path);
    while let Some(name) = ahead.pop() {
        if name == ".." {
            real.pop();
            continue;
        }
        let here = real.join(&name);
        match fs::read_link(&here) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(rustix::io::Errno::LOOP.into());
                }
                found.insert(Entry { dir: real.clone(), name });
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                ahead.extend(components(&target));
            }
            // Not a link, or not there yet.
            Err(_) if ahead.is_empty() => {
                found.insert(Entry { dir: real.clone(), name });
            }
            Err(_) => real = here,
        }
    }
    Ok(found)
}

/// The names of a path, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[track_caller]
    fn check(path: &Path, root: &Path, expected: &[(&str, &str)]) {
        let expected = expected
            .iter()
            .map(|(dir, name)| Entry {
                dir: root.join(dir).components().collect(),
                name: (*name).into(),
            })
            .collect();
        assert_eq!(entries(path).expect("followed"), expected);
    }

    #[test]
    fn every_link_on_the_way_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("real");
        let at = |name: &str| root.join(name);
        fs::create_dir(at("etc")).expect("made");
        fs::create_dir(at("v1")).expect("made");
        fs::write(at("v1/store.toml"), "").expect("written");

        check(&at("etc/store.toml"), &root, &[("etc", "store.toml")]);
        symlink("../v1/store.toml", at("etc/relative")).expect("linked");
        check(&at("etc/relative"), &root, &[("etc", "relative"), ("v1", "store.toml")]);
        symlink(at("v1/store.toml"), at("etc/absolute")).expect("linked");
        check(&at("etc/absolute"), &root, &[("etc", "absolute"), ("v1", "store.toml")]);
        // As Kubernetes mounts a ConfigMap.
        symlink("../v1", at("etc/..data")).expect("linked");
        symlink("..data/store.toml", at("etc/mounted")).expect("linked");
        let mounted = [("etc", "..data"), ("etc", "mounted"), ("v1", "store.toml")];
        check(&at("etc/mounted"), &root, &mounted);
        check(&at("v1/../etc/./absent"), &root, &[("etc", "absent")]);
        symlink("round", at("etc/round")).expect("linked");
        assert!(entries(&at("etc/round")).is_err());
    }
}
