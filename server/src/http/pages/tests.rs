//! Stories of people and their browsers, told through all layers.

mod applications;
mod browser;
mod connections;
mod consent;
mod errors;
mod matrix;
mod sign_in;
mod world;
