//! The partner API's rules: functions of values, as those of `oauth` are. What a token must say, what a payment link,
//! a customer, a subscription, a company's settings and a wallet may be, and what a repeated request is worth.

pub mod access;
pub mod amount;
pub mod currency;
pub mod customer;
pub mod event;
pub mod json;
pub mod link;
pub mod members;
pub mod payment;
pub mod precondition;
pub mod receipt;
pub mod recurring;
pub mod settings;
pub mod subscription;
pub mod wallet;
