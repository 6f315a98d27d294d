//! The clocks: proofs name their time, and a platform takes none that is minutes off.

use serde_json::Value;

use super::Finding;

/// A difference of clocks that is worth saying, and one at which proofs are refused, in seconds.
const NOTICEABLE: i64 = 30;
const REFUSED: i64 = 300;

const SET_IT: &str = "Run: timedatectl set-ntp true; then look with: timedatectl status";

/// Judges how far ahead the platform's clock is, and whether the kernel thinks that its own is kept right.
pub(super) fn judge(
    offset: Option<i64>,
    synchronised: Option<bool>,
    live: Option<&Value>,
) -> Vec<Finding> {
    let learned = live.and_then(|live| live.pointer("/server/clock_offset")?.as_i64());
    let mut findings = Vec::new();
    match offset {
        None => {}
        Some(offset) if offset.abs() <= NOTICEABLE => {
            findings.push(Finding::ok("clock", "This machine's clock agrees with the platform's."));
        }
        Some(offset) => {
            let how = if offset > 0 { "behind" } else { "ahead of" };
            let says = format!("This machine's clock is {} s {how} the platform's.", offset.abs());
            // A daemon that has learned the difference signs by the platform's clock.
            let lived_with = learned.is_some_and(|learned| (learned - offset).abs() <= NOTICEABLE);
            findings.push(if offset.abs() > REFUSED && !lived_with {
                Finding::problem("clock", format!("{says} Proofs are refused for that."), SET_IT)
            } else {
                Finding::warning("clock", says, SET_IT)
            });
        }
    }
    match synchronised {
        Some(true) => {
            findings.push(Finding::ok("ntp", "The clock is kept right over the network."));
        }
        Some(false) => findings.push(Finding::warning(
            "ntp",
            "The kernel knows of nothing that keeps its clock right; a clock that drifts has proofs refused one day.",
            SET_IT,
        )),
        None => {}
    }
    findings
}

/// Whether the kernel's clock is synchronised, as whoever disciplines it has told it (adjtimex(2)).
pub(super) fn kernel() -> Option<bool> {
    #[expect(unsafe_code, reason = "no safe wrapper knows adjtimex; with modes 0 it only reads")]
    // SAFETY: all-zero bytes are a `timex` (integers alone), it outlives the call, and the kernel writes no further.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut timex)
    };
    match state {
        -1 => None,
        libc::TIME_ERROR => Some(false),
        _ => Some(true),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Level;

    #[test]
    fn clocks_are_compared() {
        let learned = json!({ "server": { "clock_offset": 3_600 } });
        for (offset, live, expected) in [
            (Some(0), None, Level::Ok),
            (Some(-30), None, Level::Ok),
            (Some(31), None, Level::Warning),
            (Some(-300), None, Level::Warning),
            (Some(301), None, Level::Problem),
            (Some(3_600), None, Level::Problem),
            (Some(3_600), Some(&learned), Level::Warning),
            (Some(7_200), Some(&learned), Level::Problem),
        ] {
            let findings = judge(offset, None, live);
            assert_eq!(findings[0].level, expected, "{offset:?}");
        }
        assert_eq!(judge(None, None, None), []);
        assert_eq!(judge(None, Some(false), None)[0].level, Level::Warning);
        assert_eq!(judge(None, Some(true), None)[0].level, Level::Ok);
    }
}
