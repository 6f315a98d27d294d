//! What both halves of Counterfoil, server and daemon, must agree on.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no source of randomness, no runtime.
//! Time comes in as [`UnixTime`], signatures through a [`proof::Signer`], and what leaves is a value or a
//! refusal that names its cause.
//!
//! Start at [`proof`] (DPoP, RFC 9449), [`callback`] (where a browser may be sent) and [`access_token`]
//! (what a client must check before it believes a token).

pub mod access_token;
pub mod callback;
pub mod encoding;
pub mod error;
pub mod json;
pub mod jwk;
pub mod jws;
pub mod metadata;
pub mod ownership;
pub mod pkce;
pub mod proof;
pub mod registration;
pub mod scope;
pub mod secret;
pub mod time;
pub mod token;
pub mod uri;
pub mod webhook;

pub use time::UnixTime;
