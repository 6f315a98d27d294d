//! The partner API's rules: functions of values, as those of `oauth` are. What a token must say, what a payment link
//! and a webhook subscription may be, and what a repeated request is worth.

pub mod access;
pub mod amount;
pub mod json;
pub mod link;
pub mod members;
pub mod payment;
pub mod receipt;
pub mod subscription;
