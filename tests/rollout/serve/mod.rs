//! The judging process and its routes.

mod command;
mod hooks;
mod load;
mod missing_data;
mod observed;
mod rollouts;
mod routes;
mod scene;
mod state;
