//! The brand's colour, and the colours that can be read on it and beside it (WCAG 2.2, 1.4.3).

use std::fmt;

/// The contrast of links: text needs 4.5, and the pages' own backgrounds are a little off white and ink.
const READABLE: f64 = 5.5;

/// A colour as CSS writes it: `#0b5fff`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Color([u8; 3]);

impl Color {
    /// White.
    pub const WHITE: Self = Self([255; 3]);
    /// Near black, for text.
    pub const INK: Self = Self([0x14, 0x18, 0x1f]);

    /// Reads `#rrggbb`, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// White or black, whichever is easier to read on this colour: one of them has a contrast of 4.58 at least.
    #[must_use]
    pub fn text_on(self) -> Self {
        let (white, black) = (Self::WHITE, Self([0; 3]));
        if self.contrast(white) >= self.contrast(black) { white } else { black }
    }

    /// This colour, moved towards `away` until it can be read on `background`.
    #[must_use]
    pub fn readable_on(self, background: Self, away: Self) -> Self {
        (0..=16)
            .map(|step| self.mixed_with(away, step))
            .find(|mixed| mixed.contrast(background) >= READABLE)
            .unwrap_or(away)
    }

    fn mixed_with(self, other: Self, sixteenths: u16) -> Self {
        let mix = |own: u8, other: u8| {
            let sum = u16::from(own) * (16 - sixteenths) + u16::from(other) * sixteenths;
            u8::try_from(sum / 16).unwrap_or(u8::MAX)
        };
        Self(std::array::from_fn(|i| mix(self.0[i], other.0[i])))
    }

    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = self.0.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_digits() {
        assert_eq!(Color::parse("#0B5fff"), Some(Color([0x0b, 0x5f, 0xff])));
        for text in ["", "#fff", "0b5fff", "#0b5ff", "#0b5fff;", "red", "#0b5fg0", "#+b5fff"] {
            assert_eq!(Color::parse(text), None, "{text}");
        }
    }

    #[test]
    fn text_can_be_read_whatever_the_brand() {
        for text in ["#0b5fff", "#ffee00", "#ffffff", "#000000", "#777777", "#e11d48", "#00ff00"] {
            let brand = Color::parse(text).expect("a colour");
            assert!(brand.contrast(brand.text_on()) >= 4.5, "on {text}");
            let light = brand.readable_on(Color::WHITE, Color::INK);
            assert!(light.contrast(Color::WHITE) >= READABLE, "{text} on white");
            let dark = brand.readable_on(Color::INK, Color::WHITE);
            assert!(dark.contrast(Color::INK) >= READABLE, "{text} on ink");
        }
    }
}
