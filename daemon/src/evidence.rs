//! Whether a state is where it was bound, was moved, or is a copy: a rule on what was bound and what is seen now.
//!
//! No single sign decides. A machine id can be shared by containers, a path is the same in all of them, an inode
//! changes when a backup is restored. A wrong "copy" costs one command, a wrong "same" lets two places use one
//! connection, so what cannot be told is a copy. Reading the signs is the business of `surroundings`.

use serde::{Deserialize, Serialize};

/// Where a state is: on which machine, in which directory, in which file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Place {
    /// A hash of the machine's id; `None` where the machine has none, as in most containers.
    pub(crate) machine: Option<String>,
    /// The mark of the root directory: containers of one machine have different ones.
    pub(crate) root: Option<FileMark>,
    /// The state directory, without symbolic links.
    pub(crate) directory: String,
    /// The mark of the journal's file.
    pub(crate) file: Option<FileMark>,
}

/// What stays with a file when it is renamed or its volume mounted elsewhere, and not when it is copied.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct FileMark {
    /// Its number in its file system.
    pub(crate) inode: u64,
    /// When it was made, in seconds and nanoseconds since 1970; `None` where the file system does not say.
    pub(crate) born: Option<(u64, u32)>,
}

/// What is found at the path where the state was bound, when that is another one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Former {
    /// Nothing.
    Gone,
    /// A journal.
    Holds {
        /// Its mark.
        mark: FileMark,
        /// Whether it is the very file that this daemon has open, seen through another path.
        is_ours: bool,
    },
    /// It cannot be looked at.
    Unseen,
}

/// What the signs mean together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It is where it was.
    Same,
    /// It was moved, or a backup of it was put back in place, and nothing of it is left behind.
    Moved,
    /// There may be an original elsewhere.
    Copy(Vec<Evidence>),
}

/// One sign that a state is not where it belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Evidence {
    /// The state was put there by copying or restoring.
    CopiedFile,
    /// The former place holds another state now.
    FormerTaken(String),
    /// The former place cannot be looked at.
    FormerUnseen(String),
    /// Nothing tells machines apart here.
    MachineUnknown,
    /// The original is still where it was.
    OriginalThere(String),
    /// Another blog of the network calls.
    OtherBlog {
        /// The bound one.
        bound: u64,
        /// The caller's.
        seen: u64,
    },
    /// It lies somewhere else.
    OtherDirectory {
        /// Where it was bound.
        bound: String,
        /// Where it is.
        seen: String,
    },
    /// A site with another address calls.
    OtherHome {
        /// The bound one.
        bound: String,
        /// The caller's.
        seen: String,
    },
    /// The store's file names another server.
    OtherIssuer {
        /// The bound one.
        bound: String,
        /// The file's.
        seen: String,
    },
    /// It was bound on another machine.
    OtherMachine,
    /// A site calls whose code is in another directory.
    OtherPath {
        /// The bound one.
        bound: String,
        /// The caller's.
        seen: String,
    },
    /// The store's file names another platform.
    OtherPlatform {
        /// The bound one.
        bound: String,
        /// The file's.
        seen: String,
    },
    /// It was bound under another root directory.
    OtherRoot,
    /// The store's file names another address.
    OtherSiteUrl {
        /// The bound one.
        bound: String,
        /// The file's.
        seen: String,
    },
}

/// Whether two signs agree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Match {
    Same,
    Differs,
    Unknown,
}

/// Judges a state that was bound to `bound` and is seen at `seen`. `former` tells what is at the bound path now.
pub(crate) fn judge(bound: &Place, seen: &Place, former: &Former) -> Verdict {
    let same_path = bound.directory == seen.directory;
    let file = compare(bound.file, seen.file, FileMark::compare);
    let root = compare(bound.root, seen.root, FileMark::compare);
    let machine = compare(bound.machine.as_deref(), seen.machine.as_deref(), |one, other| {
        if one == other { Match::Same } else { Match::Differs }
    });
    let mut evidence = Vec::new();
    if machine == Match::Differs {
        evidence.push(Evidence::OtherMachine);
    }
    if file == Match::Differs {
        evidence.push(Evidence::CopiedFile);
    }
    if !same_path {
        let (bound, seen) = (bound.directory.clone(), seen.directory.clone());
        evidence.push(Evidence::OtherDirectory { bound, seen });
    }
    let left_behind = || bound.left_behind(former);
    let found = match (machine, file) {
        (Match::Differs, _) => return Verdict::Copy(evidence),
        // A renamed directory or a volume mounted elsewhere; or a snapshot of a volume that is still in use.
        (_, Match::Same) => match former {
            Former::Holds { mark, is_ours: false } if !same_path && bound.is_marked(*mark) => {
                left_behind()
            }
            _ => return Verdict::Same,
        },
        (_, Match::Unknown) if same_path => return Verdict::Same,
        (_, Match::Unknown) if matches!(former, Former::Holds { is_ours: true, .. }) => {
            return Verdict::Same;
        }
        (Match::Unknown, _) => Some(Evidence::MachineUnknown),
        (Match::Same, _) if root == Match::Differs => Some(Evidence::OtherRoot),
        // Whatever was at this path is not there any more: a backup was put back.
        (Match::Same, _) if same_path => None,
        (Match::Same, _) => left_behind(),
    };
    match found {
        None => Verdict::Moved,
        Some(found) => {
            // The most telling sign first: people read that one.
            evidence.insert(0, found);
            Verdict::Copy(evidence)
        }
    }
}

impl Place {
    /// What is remembered once the state is at home in `self`: the machine also where it cannot be told just now.
    pub(crate) fn bound_after(self, bound: &Self) -> Self {
        Self { machine: self.machine.or_else(|| bound.machine.clone()), ..self }
    }

    fn is_marked(&self, mark: FileMark) -> bool {
        self.file.is_some_and(|own| own.compare(mark) == Match::Same)
    }

    /// What at the former path says that there may be an original.
    fn left_behind(&self, former: &Former) -> Option<Evidence> {
        let directory = self.directory.clone();
        match former {
            Former::Gone => None,
            Former::Holds { mark, .. } if self.is_marked(*mark) => {
                Some(Evidence::OriginalThere(directory))
            }
            Former::Holds { .. } => Some(Evidence::FormerTaken(directory)),
            Former::Unseen => Some(Evidence::FormerUnseen(directory)),
        }
    }
}

impl FileMark {
    /// A number may be given to a new file, and some file systems number anew at each mount; a birth stays.
    fn compare(self, other: Self) -> Match {
        match (self.born, other.born) {
            (Some(one), Some(other)) if one != other => Match::Differs,
            _ if self.inode == other.inode => Match::Same,
            _ => Match::Unknown,
        }
    }
}

fn compare<T>(bound: Option<T>, seen: Option<T>, judge: impl Fn(T, T) -> Match) -> Match {
    match (bound, seen) {
        (Some(bound), Some(seen)) => judge(bound, seen),
        _ => Match::Unknown,
    }
}

impl Evidence {
    /// The stable name.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::CopiedFile => "copied_file",
            Self::FormerTaken(_) => "former_taken",
            Self::FormerUnseen(_) => "former_unseen",
            Self::MachineUnknown => "machine_unknown",
            Self::OriginalThere(_) => "original_there",
            Self::OtherBlog { .. } => "other_blog",
            Self::OtherDirectory { .. } => "other_directory",
            Self::OtherHome { .. } => "other_home",
            Self::OtherIssuer { .. } => "other_issuer",
            Self::OtherMachine => "other_machine",
            Self::OtherPath { .. } => "other_path",
            Self::OtherPlatform { .. } => "other_platform",
            Self::OtherRoot => "other_root",
            Self::OtherSiteUrl { .. } => "other_site_url",
        }
    }

    /// The sign in a sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::CopiedFile => {
                "The journal's file is not the one that was bound: it was copied or restored, not renamed.".to_owned()
            }
            Self::FormerTaken(bound) => format!("{bound}, where the state was, holds another state now."),
            Self::FormerUnseen(bound) => {
                format!("Whether the original is still in {bound} cannot be seen from here.")
            }
            Self::MachineUnknown => {
                "This machine has no id, as in a container, so nothing says that it is still the same one.".to_owned()
            }
            Self::OriginalThere(bound) => format!("The original is still in {bound}."),
            Self::OtherBlog { bound, seen } => {
                format!("The connection is for blog {bound} of the network; this is blog {seen}.")
            }
            Self::OtherHome { bound, seen } => {
                format!("The connection is for the site {bound}; this is {seen}.")
            }
            Self::OtherPath { bound, seen } => {
                format!("The connection's site is in the directory {bound}; this one is in {seen}.")
            }
            Self::OtherDirectory { bound, seen } => {
                format!("The state was bound in {bound} and is now in {seen}.")
            }
            Self::OtherIssuer { bound, seen } => format!(
                "The connection is with the server {bound}; the store's file names {seen} as issuer."
            ),
            Self::OtherMachine => {
                "The state was bound on another machine: the machine's id is not the same.".to_owned()
            }
            Self::OtherPlatform { bound, seen } => format!(
                "The connection is of a store of the platform {bound}; the store's file names {seen} as platform."
            ),
            Self::OtherRoot => {
                "The machine's id is the same, but its root directory is not: another container, or a reinstalled system.".to_owned()
            }
            Self::OtherSiteUrl { bound, seen } => {
                format!("The connection is for {bound}; the store's file names {seen} as site_url.")
            }
        }
    }
}

#[cfg(test)]
mod tests;
