//! A second factor: what follows from a code that was typed, and when approving needs one.

use counterfoil_protocol::{
    UnixTime,
    encoding::{equal_in_constant_time, sha256},
};

use super::totp;

/// Wrong codes in a row after which it is locked.
const MAX_FAILURES: u32 = 5;

/// Seconds that it is locked: at most some 500 guesses a day, of a million codes.
const LOCKED: i64 = 900;

/// Seconds that a code speaks for approvals after it.
const FRESH: i64 = 300;

/// Recovery codes of a person.
pub const RECOVERY_CODES: usize = 10;

/// A person's second factor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecondFactor {
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// The last step of which a code was used.
    pub last_step: i64,
    /// Wrong codes in a row.
    pub failures: u32,
    /// No code is looked at before this.
    pub locked_until: UnixTime,
    /// Since when it is in use; nothing while it is set up.
    pub confirmed_at: Option<UnixTime>,
    /// SHA-256 of the recovery codes that are left.
    pub recovery_codes: Vec<[u8; 32]>,
}

/// What follows from a code that was typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FactorOutcome {
    /// The code of this step: used up with all before it.
    Step(i64),
    /// A recovery code, by its hash: used up.
    Recovery([u8; 32]),
    /// Wrong, for the so-manieth time; locked until then.
    Wrong {
        /// Failures in a row.
        failures: u32,
        /// When it may be tried again.
        locked_until: UnixTime,
    },
    /// Not looked at: too many were wrong.
    Locked {
        /// When it may be tried again.
        until: UnixTime,
    },
}

impl FactorOutcome {
    /// Whether the code was right.
    #[must_use]
    pub fn is_right(self) -> bool {
        matches!(self, Self::Step(_) | Self::Recovery(_))
    }

    /// Whether this very code is the one that locks.
    #[must_use]
    pub fn locks(self) -> bool {
        matches!(self, Self::Wrong { failures: 0, .. })
    }
}

impl SecondFactor {
    /// Judges what was typed. Recovery codes count only when it is in use.
    #[must_use]
    pub fn judge(&self, secret: &[u8], typed: &str, now: UnixTime) -> FactorOutcome {
        if now < self.locked_until {
            return FactorOutcome::Locked { until: self.locked_until };
        }
        let plain = plain(typed);
        if let Some(step) = totp::step_of_code(secret, &plain, self.last_step, now) {
            return FactorOutcome::Step(step);
        }
        let hash = sha256(plain.as_bytes());
        let mut known = self.recovery_codes.iter();
        if self.confirmed_at.is_some() && known.any(|code| equal_in_constant_time(code, &hash)) {
            return FactorOutcome::Recovery(hash);
        }
        let failures = self.failures + 1;
        if failures < MAX_FAILURES {
            FactorOutcome::Wrong { failures, locked_until: UnixTime(0) }
        } else {
            FactorOutcome::Wrong { failures: 0, locked_until: now + LOCKED }
        }
    }
}

/// A code as it counts: without what people type between.
#[must_use]
pub fn plain(typed: &str) -> String {
    let typed = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').take(64);
    typed.collect::<String>().to_ascii_lowercase()
}

/// A recovery code as it is shown: sixteen characters in four groups.
#[must_use]
pub fn recovery_code(random: [u8; 10]) -> String {
    let text = totp::base32(&random).to_ascii_lowercase();
    let groups = text.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group));
    groups.collect::<Vec<_>>().join("-")
}

/// Whether a code given at that moment still speaks for an approval.
#[must_use]
pub fn is_fresh(proved_at: Option<UnixTime>, now: UnixTime) -> bool {
    proved_at.is_some_and(|at| now.0 - at.0 < FRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";
    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn factor() -> SecondFactor {
        SecondFactor {
            sealed: Vec::new(),
            last_step: 0,
            failures: 0,
            locked_until: UnixTime(0),
            confirmed_at: Some(NOW),
            recovery_codes: vec![sha256(b"aaaabbbbccccdddd")],
        }
    }

    #[test]
    fn codes_as_people_type_them() {
        let code = totp::code_of(SECRET, totp::step_of(NOW));
        let spaced = format!(" {} {}\u{a0}", &code[..3], &code[3..]);
        for typed in [&code, &spaced] {
            let step = totp::step_of(NOW);
            assert_eq!(factor().judge(SECRET, typed, NOW), FactorOutcome::Step(step));
        }
        for typed in ["aaaa-bbbb-cccc-dddd", "AAAABBBBCCCCDDDD", " aaaa bbbb cccc dddd"] {
            let hash = sha256(b"aaaabbbbccccdddd");
            assert_eq!(factor().judge(SECRET, typed, NOW), FactorOutcome::Recovery(hash));
        }
        let begun = SecondFactor { confirmed_at: None, ..factor() };
        assert!(!begun.judge(SECRET, "aaaabbbbccccdddd", NOW).is_right());
        assert_eq!(recovery_code([0xff; 10]), "7777-7777-7777-7777");
    }

    #[test]
    fn five_wrong_codes_lock_it() {
        let code = totp::code_of(SECRET, totp::step_of(NOW));
        let mut factor = factor();
        for count in 1..=4 {
            let wrong = FactorOutcome::Wrong { failures: count, locked_until: UnixTime(0) };
            assert_eq!(factor.judge(SECRET, "nonsense", NOW), wrong);
            assert!(!wrong.locks());
            factor.failures = count;
        }
        let last = factor.judge(SECRET, "", NOW);
        assert_eq!(last, FactorOutcome::Wrong { failures: 0, locked_until: NOW + 900 });
        assert!(last.locks());
        (factor.failures, factor.locked_until) = (0, NOW + 900);
        let until = NOW + 900;
        assert_eq!(factor.judge(SECRET, &code, NOW + 899), FactorOutcome::Locked { until });
        let code = totp::code_of(SECRET, totp::step_of(until));
        assert!(factor.judge(SECRET, &code, until).is_right());
    }

    #[test]
    fn how_long_a_code_speaks() {
        for (proved_at, fresh) in
            [(None, false), (Some(0), true), (Some(-299), true), (Some(-300), false)]
        {
            assert_eq!(is_fresh(proved_at.map(|age| NOW + age), NOW), fresh);
        }
    }
}
