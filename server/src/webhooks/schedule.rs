//! When a notification is tried again, and when no more.

use counterfoil_protocol::UnixTime;

/// The schedule that the settings describe.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Attempts, the first one counted.
    pub attempts: u32,
    /// Seconds from one to the next.
    pub interval: i64,
    /// The longest that a receiver may ask us to wait, in seconds.
    pub longest_wait: i64,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// A status, and what its `Retry-After` says.
    Answered(u16, Option<&'a str>),
    /// No answer.
    Unanswered,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It was taken.
    Delivered,
    /// It is tried again then.
    Again(UnixTime),
    /// It is not tried again by itself.
    GivenUp,
}

impl Schedule {
    /// Judges attempt `number` (the first is 1).
    #[must_use]
    pub fn judge(&self, outcome: Outcome<'_>, number: u32, now: UnixTime) -> Verdict {
        let wait = match outcome {
            Outcome::Answered(200..=299, _) => return Verdict::Delivered,
            // The receiver says that this address will never take anything again (RFC 9110 §15.5.11).
            Outcome::Answered(410, _) => return Verdict::GivenUp,
            Outcome::Answered(_, asked) => asked.and_then(|text| retry_after(text, now)),
            Outcome::Unanswered => None,
        };
        if number >= self.attempts {
            return Verdict::GivenUp;
        }
        let longest = self.longest_wait.max(self.interval);
        Verdict::Again(now + wait.unwrap_or_default().clamp(self.interval, longest))
    }
}

/// `Retry-After` (RFC 9110 §10.2.3) in seconds from now.
fn retry_after(text: &str, now: UnixTime) -> Option<i64> {
    let text = text.trim();
    if !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(UnixTime(date.timestamp().as_second()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const SCHEDULE: Schedule = Schedule { attempts: 10, interval: 300, longest_wait: 3_600 };

    #[test]
    fn verdicts() {
        use Outcome::{Answered, Unanswered};
        let again = |seconds| Verdict::Again(NOW + seconds);
        for (outcome, number, expected) in [
            (Answered(200, None), 1, Verdict::Delivered),
            (Answered(204, None), 10, Verdict::Delivered),
            (Answered(299, None), 1, Verdict::Delivered),
            (Answered(300, None), 1, again(300)),
            (Answered(307, None), 1, again(300)),
            (Answered(400, None), 1, again(300)),
            (Answered(401, None), 1, again(300)),
            (Answered(404, None), 1, again(300)),
            (Answered(410, None), 1, Verdict::GivenUp),
            (Answered(500, None), 9, again(300)),
            (Answered(500, None), 10, Verdict::GivenUp),
            (Answered(500, None), 11, Verdict::GivenUp),
            (Unanswered, 1, again(300)),
            (Unanswered, 10, Verdict::GivenUp),
            (Answered(503, Some("900")), 1, again(900)),
            (Answered(503, Some("900")), 10, Verdict::GivenUp),
            (Answered(429, Some(" 60 ")), 1, again(300)),
            (Answered(503, Some("86400")), 1, again(3_600)),
            (Answered(503, Some("99999999999999999999")), 1, again(300)),
            (Answered(503, Some("-1")), 1, again(300)),
            (Answered(503, Some("soon")), 1, again(300)),
            (Answered(503, Some("")), 1, again(300)),
            (Answered(503, Some("Fri, 15 Jan 2027 08:10:00 GMT")), 1, again(600)),
            (Answered(503, Some("Fri, 15 Jan 2027 07:00:00 GMT")), 1, again(300)),
            (Answered(503, Some("Sun, 15 Jan 2034 08:10:00 GMT")), 1, again(3_600)),
        ] {
            assert_eq!(SCHEDULE.judge(outcome, number, NOW), expected, "{outcome:?} {number}");
        }
        let slow = Schedule { interval: 7_200, ..SCHEDULE };
        assert_eq!(slow.judge(Unanswered, 1, NOW), again(7_200));
    }
}
