//! The protocol from outside: vectors that other languages read as well, and properties.

mod properties;
mod records;
mod signer;
mod vectors;
