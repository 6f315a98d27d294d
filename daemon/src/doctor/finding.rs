//! What a check comes to.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and may not always.
    Warning,
    /// It does not work, or will not.
    Problem,
}

/// One line of the examination.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// A stable name.
    pub(crate) check: &'static str,
    /// How bad.
    pub(crate) level: Level,
    /// How it is, and what that means.
    pub(crate) says: String,
    /// What to do, with the exact command.
    pub(crate) next_step: Option<String>,
}

impl Finding {
    /// As it should be.
    pub(super) fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, says: says.into(), next_step: None }
    }

    /// It works, and may not always.
    pub(super) fn warning(
        check: &'static str,
        says: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Warning, says: says.into(), next_step: Some(next_step.into()) }
    }

    /// It does not work, or will not.
    pub(super) fn problem(
        check: &'static str,
        says: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Problem, says: says.into(), next_step: Some(next_step.into()) }
    }
}
