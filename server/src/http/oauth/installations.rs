//! `POST` and `DELETE /oauth/native/installations`: a store registers itself, or is reset. Below it, a store changes its key.

mod key;
mod register;
mod reset;

pub use self::{key::rotate_key, register::register, reset::reset};
