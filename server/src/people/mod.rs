//! What people may do for their companies, and what they prove who they are with. Pure.

pub mod password;
pub mod provider;
pub mod role;
pub mod second_factor;
pub mod totp;
