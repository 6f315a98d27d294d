//! A moment as people read it.

use std::fmt;

use counterfoil_protocol::UnixTime;

/// A moment, in words and for machines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moment {
    /// As `<time datetime>` has it: `2026-11-22T17:40:09Z`.
    pub exact: String,
    words: String,
}

impl From<UnixTime> for Moment {
    fn from(time: UnixTime) -> Self {
        let moment = jiff::Timestamp::from_second(time.0).unwrap_or_default();
        let words = moment.strftime("%-d %B %Y, %H:%M UTC").to_string();
        Self { exact: moment.to_string(), words }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_words() {
        let moment = Moment::from(UnixTime(1_795_369_209));
        assert_eq!(moment.to_string(), "22 November 2026, 17:40 UTC");
        assert_eq!(moment.exact, "2026-11-22T17:40:09Z");
    }
}
