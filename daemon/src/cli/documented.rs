//! Every command that is printed anywhere, in a page or in an advice, is one that this program takes; every link
//! between the pages leads somewhere.

use std::{fs, path::Path};

use clap::Parser as _;

use super::CommandLine;
use crate::trouble::Code;

const PROGRAM: &str = "counterfoild ";

/// The pages that people read.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("README.md"), root.join("SECURITY.md")];
    for folder in ["docs", "plugin-bridge"] {
        let entries = fs::read_dir(root.join(folder)).expect(folder);
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(files.len() > 3, "the pages are elsewhere");
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("text");
        (path.file_name().expect("a name").to_string_lossy().into_owned(), text)
    };
    files.into_iter().map(read).collect()
}

/// What a page prints as a command: lines of its blocks and spans in its text.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let line = line.trim_start();
            found.extend(line.strip_prefix("$ ").unwrap_or(line).strip_prefix(PROGRAM));
        } else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.filter_map(|span| span.strip_prefix(PROGRAM)));
        }
    }
    // What follows is for the shell, or for the reader.
    let end = |text: &str| {
        let ends = [" #", " >", " |", " &&", " <", ";"].iter().filter_map(|mark| text.find(mark));
        ends.min().unwrap_or(text.len())
    };
    found.iter().map(|text| text[..end(text)].trim().to_owned()).collect()
}

fn is_taken(arguments: &[&str]) -> bool {
    let line = std::iter::once("counterfoild").chain(arguments.iter().copied());
    CommandLine::try_parse_from(line).map_or_else(|error| !error.use_stderr(), |_| true)
}

#[test]
fn pages_print_commands_that_there_are() {
    let mut count = 0;
    for (name, text) in pages() {
        for command in commands(&text).into_iter().filter(|command| !command.contains('…')) {
            let arguments: Vec<_> = command.split_whitespace().collect();
            assert!(is_taken(&arguments), "{name}: counterfoild {command}");
            count += 1;
        }
    }
    assert!(count > 10, "only {count} commands were found");
}

#[test]
fn advice_names_commands_that_there_are() {
    let mut count = 0;
    for code in Code::ALL {
        let advice = code.words().next_step;
        for (at, _) in advice.match_indices(PROGRAM) {
            let rest = &advice[at + PROGRAM.len()..];
            let words: Vec<_> =
                rest.split(' ').map(|word| word.trim_end_matches([',', ';', '.', ':'])).collect();
            // Advice is prose: the command ends somewhere in it, but not before one of its own options.
            let taken = (1..=words.len()).rev().find(|end| is_taken(&words[..*end]));
            let taken = taken.unwrap_or_else(|| panic!("{}: {advice}", code.words().code));
            let next = words.get(taken).copied().unwrap_or_default();
            assert!(!next.starts_with('-'), "{}: {advice}", code.words().code);
            count += 1;
        }
    }
    assert!(count > 2, "only {count} commands were found");
}

/// The names by which a page's headings are linked to.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|title| title.chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["", "docs", "plugin-bridge"];
    let mut count = 0;
    for folder in folders.map(|folder| root.join(folder)) {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let page = fs::read_to_string(&path).expect("text");
            for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.contains("://") {
                    continue;
                }
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { path.clone() } else { folder.join(file) };
                assert!(target.exists(), "{}: {link}", path.display());
                if !anchor.is_empty() && target.extension().is_some_and(|it| it == "md") {
                    let there = anchors(&fs::read_to_string(&target).expect("text"));
                    assert!(there.iter().any(|it| it == anchor), "{}: {link}", path.display());
                }
                count += 1;
            }
        }
    }
    assert!(count > 30, "only {count} links were found");
}

#[test]
fn commands_are_found_where_they_stand() {
    let page = "Run `counterfoild status` or `other`.\n```sh\n$ counterfoild run --config x   # here\n\
        counterfoild events --since 2h >/dev/null\n# counterfoild nothing\n```\n`counterfoild` alone";
    assert_eq!(commands(page), ["status", "run --config x", "events --since 2h"]);
    assert!(is_taken(&["disconnect", "--forget"]));
    assert!(!is_taken(&["disconnect", "--no-such-option"]));
    assert!(!is_taken(&["no-such-command"]));
}
