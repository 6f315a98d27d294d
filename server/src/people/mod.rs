//! What people may do for their companies. Pure.

pub mod role;
