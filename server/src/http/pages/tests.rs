//! Stories of people and their browsers, told through all layers.

mod browser;
mod consent;
mod errors;
mod sign_in;
mod world;
