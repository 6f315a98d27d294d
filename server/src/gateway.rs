//! Gateway mode: the guard in front of somebody else's API. Permitted requests are forwarded with the caller's identity
//! in one signed header; whatever no rule names is refused.
//!
//! Rules, paths, headers and claims are pure; `forward.rs` runs them.

mod body;
mod connect;
mod forward;
mod headers;
mod identity;
mod path;
mod rules;
mod upstream;

pub use self::{
    body::BodyFault,
    forward::{Failure, Gate},
    headers::{IDENTITY, going_out},
    identity::{Call, Identity, TYPE},
    rules::Verdict,
    upstream::{Judged, Upstream, read},
};
