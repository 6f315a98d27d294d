//! Times as people read them: this machine's, and how far away they are.

use counterfoil_protocol::UnixTime;
use jiff::{Timestamp, tz::TimeZone};

/// How times are written.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    zone: TimeZone,
}

impl Moments {
    /// In this machine's time zone, or in UTC.
    pub(crate) fn new(utc: bool) -> Self {
        Self { zone: if utc { TimeZone::UTC } else { TimeZone::system() } }
    }

    /// The time itself.
    pub(crate) fn exact(&self, at: UnixTime) -> String {
        let Ok(time) = Timestamp::from_second(at.0) else { return at.0.to_string() };
        let format =
            if self.zone == TimeZone::UTC { "%Y-%m-%d %H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%S" };
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    /// How far away it is, and the time itself.
    pub(crate) fn both(&self, at: UnixTime, now: UnixTime) -> String {
        format!("{} ({})", relative(at, now), self.exact(at))
    }
}

/// `in 23 min`, `5 days ago`, `now`.
pub(crate) fn relative(at: UnixTime, now: UnixTime) -> String {
    let away = at.since(now);
    match away {
        0 => "now".to_owned(),
        1.. => format!("in {}", span(away)),
        _ => format!("{} ago", span(away.saturating_neg())),
    }
}

/// A length of time in its largest unit, or its two largest where the first is small.
pub(crate) fn span(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        i64::MIN..120 => format!("{seconds} s"),
        120..7_200 => format!("{minutes} min"),
        7_200..36_000 if minutes % 60 != 0 => format!("{hours} h {} min", minutes % 60),
        7_200..172_800 => format!("{hours} h"),
        _ => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_say_them() {
        let now = UnixTime(1_800_000_000);
        for (away, told) in [
            (0, "now"),
            (5, "in 5 s"),
            (-119, "119 s ago"),
            (1_380, "in 23 min"),
            (-7_199, "119 min ago"),
            (7_260, "in 2 h 1 min"),
            (7_200, "in 2 h"),
            (-90_000, "25 h ago"),
            (86_400 * 5, "in 5 days"),
        ] {
            assert_eq!(relative(now + away, now), told, "{away}");
        }
        assert_eq!(Moments::new(true).both(now + 60, now), "in 60 s (2027-01-15 08:01:00Z)");
    }
}
