//! `POST` and `DELETE /oauth/native/installations`: a store registers itself, or is reset.

mod register;

pub use self::register::register;
