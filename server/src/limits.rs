//! Rate limits, each keyed by what an attacker cannot change for free.

/// All rate limits.
#[derive(Default)]
pub struct Limits {}
