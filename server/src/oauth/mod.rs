//! The rules, as pure functions of values: what a client may do, what a registration changes, what a code or a
//! refresh token is worth. Nothing here does I/O, asks the time, or draws a random number.

pub mod application;
pub mod client;
pub mod code;
pub mod connection;
pub mod consent;
pub mod grant;
pub mod installation;
pub mod key_rotation;
pub mod nonce;
pub mod ownership;
pub mod profile;
pub mod recovery;
pub mod refresh;
pub mod refresh_token;
pub mod request;
pub mod scopes;
