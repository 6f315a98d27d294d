//! Amounts of money: exact decimals, read from the text that was sent and never through a float.

use std::fmt;

use serde::Serialize;

/// The most digits before the point.
const MAX_INTEGER_DIGITS: usize = 20;

/// The most digits after the point: as many as any currency divides into.
const MAX_DECIMALS: usize = 18;

/// A positive amount: `49.90`, `0.0015`. Written plainly, with the decimals that were sent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Amount(String);

impl Amount {
    /// Reads a member's JSON text: a string of a plain decimal, or a number, which may have an exponent.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        match text.strip_prefix('"') {
            Some(rest) => Self::parse(rest.strip_suffix('"')?),
            None => Self::from_number(text),
        }
    }

    /// Reads a plain decimal as JSON writes them: no sign, no leading zeros, digits on both sides of a point.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (integer, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let plain = digits(integer)
            && digits(decimals)
            && (integer == "0" || !integer.starts_with('0'))
            && integer.len() <= MAX_INTEGER_DIGITS
            && decimals.len() <= MAX_DECIMALS;
        let positive = text.bytes().any(|b| (b'1'..=b'9').contains(&b));
        (plain && positive).then(|| Self(text.to_owned()))
    }

    /// Moves the point as the exponent says: JavaScript writes 0.0000001 as `1e-7`.
    fn from_number(text: &str) -> Option<Self> {
        let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
            return Self::parse(text);
        };
        let mantissa = Self::parse(mantissa)?.0;
        let exponent: i32 = exponent.parse().ok()?;
        let (integer, decimals) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
        let point = i32::try_from(integer.len()).ok()?.checked_add(exponent)?;
        // Further than this no amount of an allowed length can reach.
        if !(-40..=80).contains(&point) {
            return None;
        }
        let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
        let length = i32::try_from(integer.len() + decimals.len()).ok()?;
        let digits = format!("{}{integer}{decimals}{}", zeros(1 - point), zeros(point - length));
        let (integer, decimals) = digits.split_at(usize::try_from(point.max(1)).ok()?);
        let integer = integer.trim_start_matches('0');
        let integer = if integer.is_empty() { "0" } else { integer };
        let decimals = decimals.trim_end_matches('0');
        Self::parse(&match decimals {
            "" => integer.to_owned(),
            decimals => format!("{integer}.{decimals}"),
        })
    }

    /// How many digits stand after the point.
    #[must_use]
    pub fn decimals(&self) -> usize {
        self.0.split_once('.').map_or(0, |(_, decimals)| decimals.len())
    }

    /// The amount as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An amount that may be nothing or less: a balance, or what left a wallet. `-0.5`, `0`, `12.00`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Signed(String);

impl Signed {
    /// Reads a plain decimal, which may begin with a minus. Nothing is never negative.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let size = text.strip_prefix('-').unwrap_or(text);
        let (integer, decimals) = size.split_once('.').unwrap_or((size, "0"));
        let zeros = |part: &str| {
            (1..=MAX_DECIMALS).contains(&part.len()) && part.bytes().all(|b| b == b'0')
        };
        let nothing = integer == "0" && zeros(decimals) && size == text;
        (nothing || Amount::parse(size).is_some()).then(|| Self(text.to_owned()))
    }
}

impl<'de> serde::Deserialize<'de> for Signed {
    /// From a string alone: a JSON number may have been through a float.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let must = "an amount is a string of a decimal: \"-0.5\", \"12.00\"";
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(must))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (json, expected) in [
            (r#""49.90""#, Some("49.90")),
            (r#""1""#, Some("1")),
            (r#""0.000000000000000001""#, Some("0.000000000000000001")),
            (
                r#""12345678901234567890.123456789012345678""#,
                Some("12345678901234567890.123456789012345678"),
            ),
            ("49.90", Some("49.90")),
            (
                "12345678901234567890.123456789012345678",
                Some("12345678901234567890.123456789012345678"),
            ),
            ("1e-7", Some("0.0000001")),
            ("1.25E+2", Some("125")),
            ("1.25e1", Some("12.5")),
            ("12.5e-3", Some("0.0125")),
            ("0.5e1", Some("5")),
            ("1e19", Some("10000000000000000000")),
            ("1e20", None),
            ("1e-19", None),
            ("1e400", None),
            ("1e99999999999", None),
            ("1e-2147483648", None),
            ("0e5", None),
            (r#""1e3""#, None),
            (r#""0""#, None),
            (r#""0.00""#, None),
            (r#""-1""#, None),
            (r#""+1""#, None),
            (r#""007""#, None),
            (r#""1.""#, None),
            (r#"".5""#, None),
            (r#""1,5""#, None),
            (r#"" 1""#, None),
            (r#""1.2.3""#, None),
            (r#""0x10""#, None),
            (r#""NaN""#, None),
            (r#""Infinity""#, None),
            (r#""""#, None),
            ("\"\u{0661}\"", None),
            (r#""123456789012345678901""#, None),
            (r#""1.1234567890123456789""#, None),
            ("-5", None),
            ("0", None),
            ("true", None),
            ("null", None),
            ("[1]", None),
            ("{}", None),
        ] {
            let read = Amount::from_json(json);
            assert_eq!(read.as_ref().map(Amount::as_str), expected, "{json}");
        }
    }

    #[test]
    fn signed_ones() {
        for good in ["0", "0.00", "-0.5", "12.00", "1", "-12345678901234567890.123456789012345678"]
        {
            assert_eq!(Signed::parse(good).map(|amount| amount.0).as_deref(), Some(good));
        }
        for bad in [
            "", "-", "-0", "-0.0", "--1", "+1", "00", "01", "1.", ".5", "1e3", "-1.", "0.", "0,5",
            " 0",
        ] {
            assert_eq!(Signed::parse(bad), None, "{bad:?}");
        }
        assert!(serde_json::from_str::<Signed>("1.5").is_err());
    }

    #[test]
    fn digits_after_the_point() {
        for (text, expected) in [("1", 0), ("1.5", 1), ("0.00010", 5)] {
            assert_eq!(Amount::parse(text).expect("an amount").decimals(), expected);
        }
    }
}
