//! The judge: scenarios as data, and files that are no ticks.

mod decisions;
mod malformed;
mod scenario;
