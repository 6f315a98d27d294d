//! The tokens of plugins that call over TCP: a file of lines `name token`, one plugin a token.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use counterfoil_protocol::{encoding::equal_in_constant_time, secret::Secret};

use super::gate::is_a_name;
use crate::{clock::Entropy, files};

/// The name in the first line of a file that the daemon makes.
const FIRST: &str = "plugin";

/// What stands above it.
const EXPLAINED: &str = "\
# Tokens for plugins that call over TCP, one line each: the plugin's name and its token.
# The name is what the plugin sends in Counterfoil-Client before the slash; a token is good for that plugin alone.
# To change a token add a line, reload, let the plugin use it, then remove the old line and reload.
";

/// The longest file, in bytes.
const MAX_FILE: u64 = 64 * 1_024;

/// Which token belongs to which plugin.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Bearers(Vec<(String, Secret)>);

impl Bearers {
    /// Makes the file, with one token in it, where there is none.
    pub(super) fn make(path: &Path, group: Option<u32>, entropy: &dyn Entropy) -> Result<()> {
        if path.exists() {
            return Ok(());
        }
        let line = format!("{EXPLAINED}{FIRST} {}\n", entropy.base64url::<32>());
        files::write_durably(path, line.as_bytes(), 0o640)?;
        if let Some(group) = group {
            chown(path, None, Some(group))?;
        }
        Ok(())
    }

    /// Reads the file, which others may neither read nor change.
    pub(super) fn read(path: &Path) -> Result<Self> {
        files::check_trusted(path)?;
        let metadata = fs::metadata(path)?;
        let by_others = metadata.permissions().mode() & 0o007;
        let shown = path.display();
        ensure!(by_others == 0, "everybody can read it; run: chmod o-rwx {shown}");
        ensure!(metadata.len() <= MAX_FILE, "it is longer than {MAX_FILE} bytes");
        Self::parse(&fs::read_to_string(path)?)
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut bearers = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                bearers.add(line).with_context(|| format!("line {number}"))?;
            }
        }
        ensure!(!bearers.0.is_empty(), "it holds no token; a line is: name token");
        Ok(bearers)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(token), None) = (words.next(), words.next(), words.next()) else {
            bail!("a line is the plugin's name, a space and its token");
        };
        ensure!(is_a_name(name), "{name:?} is no plugin's name: 1 to 64 letters, digits and ._+-");
        let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(plain && (32..=512).contains(&token.len()), "a token has 32 to 512 characters");
        let token = Secret::new(token);
        ensure!(
            self.0.iter().all(|(other, known)| other == name || *known != token),
            "the token is another plugin's already; each needs its own"
        );
        self.0.push((name.to_owned(), token));
        Ok(())
    }

    /// The plugin that a token belongs to. All lines are compared, each in constant time.
    pub(super) fn owner_of(&self, given: &str) -> Option<&str> {
        self.0.iter().fold(None, |found, (name, token)| {
            let same = equal_in_constant_time(given.as_bytes(), token.expose().as_bytes());
            if same { Some(name.as_str()) } else { found }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixed::Counting;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "ffffffffffffffffffffffffffffffff";

    #[test]
    fn a_token_belongs_to_one_plugin() {
        let text = format!("# shop\n\nshop {ONE}\n  other\t{TWO}  \nshop {ONE}2\n");
        let bearers = Bearers::parse(&text).expect("well formed");
        for (given, owner) in [
            (ONE, Some("shop")),
            (TWO, Some("other")),
            (&format!("{ONE}2"), Some("shop")),
            ("", None),
            (&ONE[1..], None),
            (&ONE.to_uppercase(), None),
            ("shop", None),
        ] {
            assert_eq!(bearers.owner_of(given), owner, "{given}");
        }
    }

    #[test]
    fn what_is_no_list_of_tokens_is_refused() {
        for (text, why) in [
            (String::new(), "no token"),
            ("# only words\n".to_owned(), "no token"),
            (format!("{ONE}\n"), "line 1"),
            (format!("shop {ONE} more\n"), "line 1"),
            (format!("\nsh/op {ONE}\n"), "line 2"),
            ("shop short\n".to_owned(), "32 to 512"),
            (format!("shop {}\n", "a".repeat(513)), "32 to 512"),
            (format!("shop {ONE}ä\n"), "32 to 512"),
            (format!("shop {ONE}\nother {ONE}\n"), "another plugin's"),
        ] {
            let refusal = format!("{:#}", Bearers::parse(&text).expect_err("refused"));
            assert!(refusal.contains(why), "{text:?}: {refusal}");
            assert!(!refusal.contains(ONE), "a token in {refusal}");
        }
    }

    #[test]
    fn a_file_is_made_once_and_must_be_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tcp-token");
        Bearers::make(&path, None, &Counting::default()).expect("made");
        let first = fs::read_to_string(&path).expect("there");
        Bearers::make(&path, None, &Counting::default()).expect("left alone");
        assert_eq!(fs::read_to_string(&path).expect("there"), first);
        let token = first.split_ascii_whitespace().last().expect("a token");
        assert_eq!(Bearers::read(&path).expect("read").owner_of(token), Some(FIRST));
        for (mode, good) in [(0o640, true), (0o600, true), (0o644, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(Bearers::read(&path).is_ok(), good, "{mode:o}");
        }
    }
}
