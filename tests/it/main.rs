//! One binary for all integration tests: real server, real daemon, real sockets.

mod connect;
mod copied;
mod crash;
mod custody;
mod forward;
mod gate;
mod key;
mod life;
mod meant;
mod recovery;
mod secrets;
mod server;
