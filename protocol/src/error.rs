//! The one shape of an error body: `{"error": code, "error_description": sentence}` (RFC 6749 §5.2).

use serde::{Deserialize, Serialize};

/// An error as it crosses the wire. `error` is always a code; the sentence is for people.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ErrorBody {
    /// A code of an RFC or of the native-integration contract.
    pub error: String,
    /// A sentence that a person can act on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
    /// The member or parameter that is wrong, with the objects it is in: `payload.amount`. Of the partner API alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
