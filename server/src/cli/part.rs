//! Long lists, a part at a time.

use anyhow::ensure;

use crate::store::{self, Part};

/// Which part of a list is shown.
#[derive(clap::Args)]
pub struct Arguments {
    /// How many at most.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Those after this one, as the answer before has it in `next_after`.
    #[arg(long, default_value = "", hide_default_value = true)]
    after: String,
}

impl Arguments {
    /// The part that is asked for.
    pub fn part(&self) -> Part<'_> {
        Part { after: &self.after, limit: self.limit }
    }

    /// Refuses a part that begins after a `what` that is not there: `known` says whether it is.
    pub async fn begins(
        &self,
        what: &str,
        known: impl AsyncFnOnce(&str) -> store::Result<bool>,
    ) -> anyhow::Result<()> {
        let begins = self.after.is_empty() || known(&self.after).await?;
        ensure!(begins, "there is no {what} {:?} to go on after", self.after);
        Ok(())
    }

    /// After which one the next part begins, when this one is full.
    pub fn next<'a>(&self, found: usize, last: Option<&'a str>) -> Option<&'a str> {
        last.filter(|_| found >= usize::try_from(self.limit).unwrap_or(usize::MAX))
    }
}
