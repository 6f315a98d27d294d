//! What is wrong with a form that was posted: the page's status, the sentence on it, and the field that is to blame.

use std::borrow::Cow;

use axum::http::StatusCode;

/// What is wrong with a form.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status of the page that says so.
    pub status: StatusCode,
    /// What it says.
    pub sentence: Cow<'static, str>,
    /// The `id` of the field that was refused; none where no field is to blame.
    field: Option<Cow<'static, str>>,
}

impl Problem {
    /// A form that was refused as a whole.
    #[must_use]
    pub fn new(status: StatusCode, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { status, sentence: sentence.into(), field: None }
    }

    /// The same, of one field, by its `id` in the page.
    #[must_use]
    pub fn of(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Whether the field with this `id` is to blame.
    #[must_use]
    pub fn is_of(&self, id: impl AsRef<str>) -> bool {
        self.field.as_deref() == Some(id.as_ref())
    }
}

/// The status of a page, with or without a problem.
#[must_use]
pub fn status_of(problem: Option<&Problem>) -> StatusCode {
    problem.map_or(StatusCode::OK, |problem| problem.status)
}
