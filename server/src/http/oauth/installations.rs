//! `POST` and `DELETE /oauth/native/installations`: a store registers itself, or is reset.

mod register;
mod reset;

pub use self::{register::register, reset::reset};
