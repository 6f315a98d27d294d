//! Random numbers that the same seed gives again.

/// `SplitMix64`.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// An index below `length`, or 0.
    pub(crate) fn among(&mut self, length: usize) -> usize {
        let sides = u64::try_from(length).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.throw(sides)).unwrap_or(0)
    }
}
