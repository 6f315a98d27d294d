//! The verdicts, as a table.

use super::*;

fn mark(inode: u64, born: u64) -> FileMark {
    FileMark { inode, born: Some((born, 7)) }
}

/// A file system that does not say when a file was made.
fn number(inode: u64) -> FileMark {
    FileMark { inode, born: None }
}

fn place(machine: Option<&str>, root: u64, directory: &str, file: FileMark) -> Place {
    Place {
        machine: machine.map(str::to_owned),
        root: Some(mark(2, root)),
        directory: directory.to_owned(),
        file: Some(file),
    }
}

fn holds(mark: FileMark, is_ours: bool) -> Former {
    Former::Holds { mark, is_ours }
}

#[track_caller]
fn check(what: &str, bound: &Place, seen: &Place, former: &Former, expected: &str) {
    let verdict = match judge(bound, seen, former) {
        Verdict::Same => "same".to_owned(),
        Verdict::Moved => "moved".to_owned(),
        Verdict::Copy(evidence) => {
            evidence.iter().map(Evidence::code).collect::<Vec<_>>().join(" ")
        }
    };
    assert_eq!(verdict, expected, "{what}");
}

#[test]
fn a_machine_with_an_id() {
    let (here, there) = (Some("a"), Some("b"));
    let bound = place(here, 1, "/s", mark(10, 100));
    let gone = &Former::Gone;
    let at = |directory: &str, file| place(here, 1, directory, file);
    check("nothing changed", &bound, &at("/s", mark(10, 100)), gone, "same");
    check("renamed", &bound, &at("/t", mark(10, 100)), gone, "same");
    check(
        "renamed, and a new state in its place",
        &bound,
        &at("/t", mark(10, 100)),
        &holds(mark(11, 110), false),
        "same",
    );
    check(
        "seen through a second mount",
        &bound,
        &at("/t", mark(10, 100)),
        &holds(mark(10, 100), true),
        "same",
    );
    check(
        "a snapshot of its volume beside it",
        &bound,
        &at("/t", mark(10, 100)),
        &holds(mark(10, 100), false),
        "original_there other_directory",
    );
    check("files numbered anew", &bound, &at("/s", mark(99, 100)), gone, "same");
    check("restored in place", &bound, &at("/s", mark(10, 200)), gone, "moved");
    check("copied, the original removed", &bound, &at("/t", mark(12, 200)), gone, "moved");
    check(
        "copied beside the original",
        &bound,
        &at("/t", mark(12, 200)),
        &holds(mark(10, 100), false),
        "original_there copied_file other_directory",
    );
    check(
        "copied, another state in its place",
        &bound,
        &at("/t", mark(12, 200)),
        &holds(mark(13, 210), false),
        "former_taken copied_file other_directory",
    );
    check(
        "copied from where nobody may look",
        &bound,
        &at("/t", mark(12, 200)),
        &Former::Unseen,
        "former_unseen copied_file other_directory",
    );
    check(
        "copied into a container that has the host's id",
        &bound,
        &place(here, 2, "/t", mark(12, 200)),
        gone,
        "other_root copied_file other_directory",
    );
    check(
        "the same image on another host, its id baked in",
        &bound,
        &place(here, 2, "/s", mark(12, 200)),
        gone,
        "other_root copied_file",
    );
    check(
        "a volume mounted into a new container of that image",
        &bound,
        &place(here, 2, "/s", mark(10, 100)),
        gone,
        "same",
    );
    check(
        "a disk image started with an id of its own",
        &bound,
        &place(there, 1, "/s", mark(10, 100)),
        gone,
        "other_machine",
    );
    check(
        "copied to another machine",
        &bound,
        &place(there, 2, "/t", mark(12, 200)),
        gone,
        "other_machine copied_file other_directory",
    );
}

#[test]
fn a_machine_without_an_id() {
    let bound = place(None, 1, "/s", mark(10, 100));
    let gone = &Former::Gone;
    check("a new container", &bound, &place(None, 2, "/s", mark(10, 100)), gone, "same");
    check(
        "a new container that mounts it elsewhere",
        &bound,
        &place(None, 2, "/t", mark(10, 100)),
        gone,
        "same",
    );
    check(
        "a copied volume",
        &bound,
        &place(None, 2, "/s", mark(12, 200)),
        gone,
        "machine_unknown copied_file",
    );
    check(
        "from a container to its host",
        &bound,
        &place(Some("a"), 3, "/t", mark(10, 100)),
        gone,
        "same",
    );
    check(
        "copied from a container to a host",
        &bound,
        &place(Some("a"), 3, "/s", mark(12, 200)),
        gone,
        "machine_unknown copied_file",
    );
}

#[test]
fn a_file_system_without_birth_times() {
    let here = Some("a");
    let bound = place(here, 1, "/s", number(10));
    let gone = &Former::Gone;
    let at = |machine, directory: &str, inode| place(machine, 1, directory, number(inode));
    check("nothing changed", &bound, &at(here, "/s", 10), gone, "same");
    check("numbered anew at a mount", &bound, &at(here, "/s", 77), gone, "same");
    check("renamed", &bound, &at(here, "/t", 10), gone, "same");
    check("moved to another volume", &bound, &at(here, "/t", 77), gone, "moved");
    check(
        "seen through a second mount that numbers anew",
        &bound,
        &at(here, "/t", 77),
        &holds(number(77), true),
        "same",
    );
    check(
        "copied beside the original",
        &bound,
        &at(here, "/t", 77),
        &holds(number(10), false),
        "original_there other_directory",
    );
    check("copied to another machine", &bound, &at(Some("b"), "/s", 77), gone, "other_machine");
    let nameless = place(None, 1, "/s", number(10));
    check("a container again", &nameless, &at(None, "/s", 77), gone, "same");
    check(
        "another path in a container",
        &nameless,
        &at(None, "/t", 77),
        gone,
        "machine_unknown other_directory",
    );
}

#[test]
fn a_machine_once_known_is_not_forgotten() {
    let bound = place(Some("a"), 1, "/s", mark(10, 100));
    let nameless = place(None, 2, "/s", mark(10, 100));
    assert_eq!(nameless.clone().bound_after(&bound).machine.as_deref(), Some("a"));
    let elsewhere = place(Some("b"), 2, "/s", mark(10, 100));
    check(
        "a disk in another machine",
        &nameless.bound_after(&bound),
        &elsewhere,
        &Former::Gone,
        "other_machine",
    );
}

#[test]
fn every_sign_is_said_in_one_sentence() {
    let (bound, seen) = (|| "one".to_owned(), || "two".to_owned());
    for evidence in [
        Evidence::CopiedFile,
        Evidence::FormerTaken(bound()),
        Evidence::FormerUnseen(bound()),
        Evidence::MachineUnknown,
        Evidence::OriginalThere(bound()),
        Evidence::OtherBlog { bound: 1, seen: 2 },
        Evidence::OtherHome { bound: bound(), seen: seen() },
        Evidence::OtherPath { bound: bound(), seen: seen() },
        Evidence::OtherDirectory { bound: bound(), seen: seen() },
        Evidence::OtherIssuer { bound: bound(), seen: seen() },
        Evidence::OtherMachine,
        Evidence::OtherPlatform { bound: bound(), seen: seen() },
        Evidence::OtherRoot,
        Evidence::OtherSiteUrl { bound: bound(), seen: seen() },
    ] {
        let sentence = evidence.sentence();
        assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{}", evidence.code());
    }
}
