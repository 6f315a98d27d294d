//! Protocol time: whole seconds since 1970, always passed in.

use std::ops::{Add, Sub};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Number;

/// A point in time as JOSE and OAuth count it: whole seconds since 1970-01-01T00:00:00Z (RFC 7519 §2).
///
/// Read from JSON it may have a fraction, which is cut off.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// Seconds from `earlier` to `self`; negative when `self` comes first.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads a JSON number, fractions cut off. `None` when it does not fit.
    #[must_use]
    pub fn from_number(number: &Number) -> Option<Self> {
        /// 2^53: where a JSON number stops being exact, some 285 million years ahead.
        const LIMIT: f64 = 9_007_199_254_740_992.0;
        if let Some(whole) = number.as_i64() {
            return Some(Self(whole));
        }
        let number = number.as_f64().filter(|n| n.is_finite() && n.abs() < LIMIT)?;
        #[expect(clippy::cast_possible_truncation, reason = "cut to whole seconds, within 2^53")]
        Some(Self(number.floor() as i64))
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        Self::from_number(&number).ok_or_else(|| D::Error::custom("not a time"))
    }
}

impl Add<i64> for UnixTime {
    type Output = Self;

    fn add(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl Sub<i64> for UnixTime {
    type Output = Self;

    fn sub(self, seconds: i64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }
}
