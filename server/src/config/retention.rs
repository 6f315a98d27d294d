//! How long what is over is kept.

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Serialize};

/// How long what is over is kept, in days; 0 is for ever.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Records of the audit trail.
    pub audit_days: u16,
    /// Token families that have ended.
    pub ended_families_days: u16,
}

impl Retention {
    /// The moment before which something is too old, when it is kept that many days.
    #[must_use]
    pub fn before(days: u16, now: UnixTime) -> Option<UnixTime> {
        (days > 0).then(|| now - i64::from(days) * 24 * 3_600)
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { audit_days: 730, ended_families_days: 730 }
    }
}
