//! A word before something ends.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};

/// What is given to a command that ends something.
#[derive(clap::Args)]
pub struct Confirm {
    /// Goes on without asking.
    #[arg(long)]
    yes: bool,
}

impl Confirm {
    /// Goes on with `--yes`, or when the person at the terminal says so. `what` ends, in words: "3 connections end".
    pub fn ask(&self, what: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            bail!("if you go on: {what}. Nothing was changed; to go on, give --yes");
        }
        write!(io::stderr(), "If you go on: {what}. Go on? [y/N] ").context("cannot ask")?;
        let mut said = String::new();
        io::stdin().lock().read_line(&mut said).context("cannot read the answer")?;
        if !is_yes(&said) {
            bail!("nothing was changed");
        }
        Ok(())
    }
}

fn is_yes(said: &str) -> bool {
    matches!(said.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// How many connections end, in words.
pub fn connections(count: usize) -> String {
    match count {
        0 => "no connection ends".to_owned(),
        1 => "1 connection ends".to_owned(),
        more => format!("{more} connections end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_yes() {
        for (said, expected) in [
            ("y\n", true),
            ("Yes\r\n", true),
            (" YES ", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yes please\n", false),
        ] {
            assert_eq!(is_yes(said), expected, "{said:?}");
        }
    }

    #[test]
    fn how_many() {
        for (count, words) in
            [(0, "no connection ends"), (1, "1 connection ends"), (2, "2 connections end")]
        {
            assert_eq!(connections(count), words);
        }
    }
}
