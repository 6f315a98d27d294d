//! The daemon under faults: killed, without a disk, and lied to at every point, it keeps the connection.
//!
//! `make test` runs a fixed sample of this, `make soak` all of it (`COUNTERFOIL_SOAK=1`).

mod canaries;
mod dice;
mod disconnect;
mod flight;
mod flow;
mod matrix;
mod power;
mod recovery;
mod rotation;
mod separation;
mod shop;
mod stage;
mod storm;
mod stuck;
mod subscription;
mod surface;

/// Whether everything is to be run, and not a sample.
fn is_soak() -> bool {
    std::env::var_os("COUNTERFOIL_SOAK").is_some_and(|value| value == "1")
}

/// Says how much was done, to whoever runs this with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the test runner shows it when asked")]
fn tell(text: &str) {
    println!("{text}");
}
