//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110 §13).

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::call::{Call, answer, to_bytes};
use crate::{
    http::error::Refusal,
    partner::precondition::{etag, if_match, if_none_match},
};

impl Call {
    /// Refuses a change of something that is not as its sender saw it. Without `If-Match` there is nothing to refuse.
    pub(super) fn may_change(&self, view: &impl Serialize) -> Result<(), Refusal> {
        let Some(header) = self.list(&header::IF_MATCH)? else { return Ok(()) };
        let matches = if_match(&header, &tag_of(view)?);
        if matches.map_err(|_| malformed(&header::IF_MATCH))? {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            "This was changed since you read it. Read it again, and decide again.",
        ))
    }

    /// Refuses a change whose sender does not say what he saw.
    pub(super) fn must_say_what_it_changes(&self) -> Result<(), Refusal> {
        if self.parts.headers.contains_key(header::IF_MATCH) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            "Send If-Match with the ETag of what you read, so that nobody's change is lost.",
        ))
    }

    /// An answer that shows `view`, under its tag: 304 when the reader has it.
    pub(super) fn shown(&self, view: &impl Serialize, body: Vec<u8>) -> Result<Response, Refusal> {
        let tag = tag_of(view)?;
        let known = match self.list(&header::IF_NONE_MATCH)? {
            None => false,
            Some(header) => {
                if_none_match(&header, &tag).map_err(|_| malformed(&header::IF_NONE_MATCH))?
            }
        };
        let response = if known {
            let headers = [(header::CACHE_CONTROL, "no-store")];
            (StatusCode::NOT_MODIFIED, headers).into_response()
        } else {
            answer(StatusCode::OK, body)
        };
        Ok(tagged(response, &tag))
    }

    /// All values of a header that is a list, as one.
    fn list(&self, name: &HeaderName) -> Result<Option<String>, Refusal> {
        let values = self.parts.headers.get_all(name).iter();
        let values: Result<Vec<_>, _> = values.map(HeaderValue::to_str).collect();
        let values = values.map_err(|_| malformed(name))?;
        Ok((!values.is_empty()).then(|| values.join(", ")))
    }
}

/// The tag of what is shown.
pub(super) fn tag_of(view: &impl Serialize) -> Result<String, Refusal> {
    Ok(etag(&to_bytes(view)?))
}

/// An answer under a tag.
pub(super) fn tagged(mut response: Response, tag: &str) -> Response {
    let value = HeaderValue::from_str(tag).expect("a tag is visible ASCII");
    response.headers_mut().insert(header::ETAG, value);
    response
}

fn malformed(name: &HeaderName) -> Refusal {
    Refusal::invalid_request(format!("The header {name} must be * or a list of entity tags."))
}
