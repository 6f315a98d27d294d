//! Payment dates. All are counted from one anchor, so the 31st stays the last day of every month and does not creep.

use counterfoil_protocol::UnixTime;
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;

/// How often something is paid.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Every day.
    Day,
    /// Every seven days.
    Week,
    /// On the same day of every month, or its last.
    Month,
    /// On the same day of every year; the 29th of February is the 28th in most.
    Year,
}

impl Interval {
    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Day, Self::Week, Self::Month, Self::Year]
            .into_iter()
            .find(|interval| interval.as_str() == text)
    }
}

/// The day that a moment is in, in UTC.
#[must_use]
pub fn day(time: UnixTime) -> Date {
    Timestamp::from_second(time.0).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}

/// Reads a date written `2027-01-31` and no other way.
pub fn parse(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    (text.len() == 10 && date.to_string() == text).then_some(date)
}

/// The first of `anchor`, one step later, two steps later … that is `today` or after it. Nothing when it is beyond the
/// calendar.
pub fn next(anchor: Date, interval: Interval, count: u32, today: Date) -> Option<Date> {
    if anchor >= today {
        return Some(anchor);
    }
    let count = i64::from(count.max(1));
    let months = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
    let (passed, step) = match interval {
        Interval::Day => (days_between(anchor, today), count),
        Interval::Week => (days_between(anchor, today), 7 * count),
        Interval::Month => (months(today) - months(anchor), count),
        Interval::Year => (months(today) - months(anchor), 12 * count),
    };
    let nth = |n: i64| {
        let span = match interval {
            Interval::Day | Interval::Week => Span::new().try_days(n * step).ok()?,
            Interval::Month | Interval::Year => Span::new().try_months(n * step).ok()?,
        };
        anchor.checked_add(span).ok()
    };
    let n = passed / step;
    [n, n + 1].into_iter().filter_map(nth).find(|date| *date >= today)
}

fn days_between(from: Date, to: Date) -> i64 {
    (to - from).get_days().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_the_anchor() {
        use Interval::{Day, Month, Week, Year};
        for (anchor, interval, count, today, expected) in [
            ("2027-01-31", Month, 1, "2027-01-01", "2027-01-31"),
            ("2027-01-31", Month, 1, "2027-01-31", "2027-01-31"),
            ("2027-01-31", Month, 1, "2027-02-01", "2027-02-28"),
            ("2027-01-31", Month, 1, "2027-03-01", "2027-03-31"),
            ("2027-01-31", Month, 1, "2028-02-10", "2028-02-29"),
            ("2027-01-31", Month, 3, "2027-02-01", "2027-04-30"),
            ("2027-01-15", Month, 1, "2027-03-16", "2027-04-15"),
            ("2028-02-29", Year, 1, "2029-01-01", "2029-02-28"),
            ("2028-02-29", Year, 4, "2028-03-01", "2032-02-29"),
            ("2027-01-01", Week, 2, "2027-01-02", "2027-01-15"),
            ("2027-01-01", Week, 2, "2027-01-15", "2027-01-15"),
            ("2027-12-31", Day, 1, "2028-01-01", "2028-01-01"),
            ("2027-01-01", Day, 366, "2027-01-02", "2028-01-02"),
        ] {
            let date = |text| parse(text).expect("a date");
            let found = next(date(anchor), interval, count, date(today));
            assert_eq!(found, Some(date(expected)), "{anchor} {interval:?} {count} {today}");
        }
        let last = parse("9999-12-31").expect("a date");
        let anchor = parse("9999-12-30").expect("a date");
        assert_eq!(next(anchor, Interval::Year, 1, last), None);
    }

    #[test]
    fn dates_are_written_one_way() {
        for bad in ["2027-1-31", "20270131", "2027-02-30", "2027-01-31T00:00", "-002027-01-31", ""]
        {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(day(UnixTime(1_800_000_000)).to_string(), "2027-01-15");
    }
}
