//! What a state's place looks like: the machine's id, the directory, the marks of files. Blocking, at the start only.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path, time::SystemTime};

use counterfoil_protocol::encoding::{hex, sha256};

use crate::{
    events,
    evidence::{Evidence, FileMark, Former, Place, Verdict, judge},
    journal,
    session::Facts,
};

/// Where a machine's id is: systemd's file, and that of machines without systemd.
const MACHINE_ID_FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Hashed with the machine's id, which is nobody else's business (machine-id(5)).
const SALT: &str = "counterfoild machine 1\n";

/// Where this daemon found its state, and what speaks against its being at home there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Standing {
    /// The place; unknown in tests alone.
    pub(crate) seen: Option<Place>,
    /// The flags of a command that leads to this daemon; its state directory leads there as well.
    pub(crate) flags: Option<String>,
    /// Why the state may be a copy. Empty where it is at home.
    pub(crate) evidence: Vec<Evidence>,
}

/// Looks where the state in `directory` stands. What was never bound, and what only moved, is bound among the facts.
pub(crate) fn stand(directory: &Path, facts: &mut Facts) -> Standing {
    let seen = look(directory);
    let evidence = match &facts.place {
        None => {
            facts.place = Some(seen.clone());
            Vec::new()
        }
        Some(bound) => match judge(bound, &seen, &former(bound, directory)) {
            Verdict::Copy(evidence) => {
                for sign in &evidence {
                    tracing::warn!(
                        sign = sign.code(),
                        "this state may be a copy: {}",
                        sign.sentence()
                    );
                }
                evidence
            }
            verdict => {
                if verdict == Verdict::Moved {
                    if bound.directory == seen.directory {
                        events::restored(&seen.directory);
                    } else {
                        events::moved(&bound.directory, &seen.directory);
                    }
                }
                facts.place = Some(seen.clone().bound_after(bound));
                Vec::new()
            }
        },
    };
    Standing { seen: Some(seen), flags: None, evidence }
}

fn look(directory: &Path) -> Place {
    Place {
        machine: MACHINE_ID_FILES.iter().find_map(|file| machine(&fs::read_to_string(file).ok()?)),
        root: mark(Path::new("/")).ok(),
        directory: real(directory),
        file: mark(&directory.join(journal::FILE)).ok(),
    }
}

/// What is where the state was bound. Only looked at where that is another path.
fn former(bound: &Place, directory: &Path) -> Former {
    // A path that is not UTF-8 was not remembered as it is.
    if bound.directory.contains(char::REPLACEMENT_CHARACTER) {
        return Former::Unseen;
    }
    let there = Path::new(&bound.directory).join(journal::FILE);
    match fs::metadata(&there) {
        Ok(metadata) => {
            let ours = fs::metadata(directory.join(journal::FILE));
            let is_ours =
                ours.is_ok_and(|ours| (ours.dev(), ours.ino()) == (metadata.dev(), metadata.ino()));
            Former::Holds { mark: mark_of(&metadata), is_ours }
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Former::Gone,
            _ => Former::Unseen,
        },
    }
}

fn real(directory: &Path) -> String {
    let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    real.to_string_lossy().into_owned()
}

fn mark(path: &Path) -> io::Result<FileMark> {
    fs::metadata(path).map(|metadata| mark_of(&metadata))
}

fn mark_of(metadata: &fs::Metadata) -> FileMark {
    let born = metadata.created().ok();
    let born = born.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    FileMark {
        inode: metadata.ino(),
        born: born.filter(|time| !time.is_zero()).map(|it| (it.as_secs(), it.subsec_nanos())),
    }
}

/// The hash of a machine's id; `None` for a file that holds none, as in an image that no machine started yet.
fn machine(text: &str) -> Option<String> {
    let id = text.trim();
    let is_id = id.len() == 32
        && id.bytes().all(|b| b.is_ascii_hexdigit())
        && id.bytes().any(|b| b != b'0');
    is_id.then(|| hex(&sha256(format!("{SALT}{}", id.to_ascii_lowercase()).as_bytes())[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_by_a_whole_id_alone() {
        let id = "0123456789abcdef0123456789abcdef";
        let known = machine(&format!("{id}\n")).expect("an id");
        assert_eq!(known.len(), 32);
        assert!(!known.contains(id));
        assert_eq!(machine(&id.to_uppercase()), Some(known));
        for none in ["", "\n", "uninitialized\n", &id[1..], &"0".repeat(32), &"g".repeat(32)] {
            assert_eq!(machine(none), None, "{none}");
        }
    }

    /// A state directory with a journal in it.
    fn state(parent: &Path, name: &str) -> std::path::PathBuf {
        let directory = parent.join(name);
        fs::create_dir(&directory).expect("made");
        fs::write(directory.join(journal::FILE), "a journal").expect("written");
        directory
    }

    #[test]
    fn a_directory_is_followed_when_it_is_renamed_and_doubted_when_it_is_copied() {
        let parent = tempfile::tempdir().expect("a directory");
        let original = state(parent.path(), "original");
        let mut facts = Facts::default();
        assert_eq!(stand(&original, &mut facts).evidence, []);
        let bound = facts.clone();
        assert_eq!(stand(&original, &mut facts).evidence, []);
        assert_eq!(facts, bound, "nothing changed, nothing to save");

        let copy = state(parent.path(), "copy");
        let mut copied = facts.clone();
        let standing = stand(&copy, &mut copied);
        let there = original.canonicalize().expect("real").to_string_lossy().into_owned();
        assert_eq!(standing.evidence.first(), Some(&Evidence::OriginalThere(there)));
        assert_eq!(copied, bound, "a copy binds nothing");

        let renamed = parent.path().join("renamed");
        fs::rename(&original, &renamed).expect("renamed");
        assert_eq!(stand(&renamed, &mut facts).evidence, []);
        assert_eq!(facts.place, Some(look(&renamed)), "bound to the new path");
    }
}
