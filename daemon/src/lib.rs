//! `counterfoild`: stands beside one store, holds its key and keeps it connected to its payment platform.
//!
//! Start reading at [`session`] (the rules of the connection) and [`actor`] (who runs them); [`conversation`] is
//! what is said to the server, [`local`] what plugins and people see.

mod actor;
mod advice;
mod bundle;
mod cli;
mod clock;
mod config;
mod conversation;
mod custody;
mod deliveries;
mod doctor;
mod events;
mod evidence;
mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod history;
mod journal;
mod keeping;
mod key;
mod local;
mod log;
mod metrics;
mod moment;
mod places;
mod platform;
mod reload;
mod session;
mod site;
mod situation;
mod supervisor;
mod surroundings;
mod systemd;
mod trouble;
mod upstream;

/// The daemon's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the command that the process's arguments name.
#[must_use]
pub fn main() -> std::process::ExitCode {
    cli::main()
}
