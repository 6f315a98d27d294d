//! SIGKILL inside commits: the journal is whole, and has everything that was said to be saved.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use super::*;

/// Names the journal to the writer, which is this test program once more.
const WRITER: &str = "COUNTERFOIL_TEST_JOURNAL";

/// Lines of the writer that tell a save begin so.
const SAVED: &str = "saved ";

#[test]
fn writer() {
    // Run by itself, this test has nothing to do.
    let Some(path) = env::var_os(WRITER) else { return };
    let (mut journal, _, mut facts) = Journal::open(Path::new(&path), None).expect("opened");
    let mut told = std::io::stdout();
    loop {
        facts.families += 1;
        journal.save(&facts, NOW).expect("saved");
        writeln!(told, "\n{SAVED}{}", facts.families).expect("told");
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_saved() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    written(&path);
    let mut last = 0;
    for round in 0..40 {
        let mut writer = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "--nocapture", concat!(module_path!(), "::writer")].map(|argument| {
                argument
                    .split_once("::")
                    .filter(|(krate, _)| *krate == "counterfoild")
                    .map_or(argument, |(_, rest)| rest)
            }))
            .env(WRITER, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let lines = BufReader::new(writer.stdout.take().expect("piped")).lines();
        let mut saved = 0;
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some(number) = line.strip_prefix(SAVED) else { continue };
            saved = number.parse().expect("a number");
            seen += 1;
            // What was written before the kill is still read afterwards.
            if seen == round % 7 + 1 {
                writer.kill().expect("killed");
            }
        }
        writer.wait().expect("ended");
        let (_, _, facts) = Journal::open(&path, None).expect("whole");
        assert!(saved > last, "round {round}");
        assert!((saved..=saved + 1).contains(&facts.families), "round {round}: {saved}");
        last = facts.families;
    }
}
