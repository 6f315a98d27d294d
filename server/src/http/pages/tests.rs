//! Stories of people and their browsers, told through all layers.

mod account;
mod applications;
mod browser;
mod connections;
mod consent;
mod errors;
mod fields;
mod hand_over;
mod letters;
mod matrix;
mod people;
mod sign_in;
mod webhooks;
mod world;
