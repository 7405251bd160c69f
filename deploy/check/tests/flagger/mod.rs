//! The Canary and its hooks in Flagger's loop.

mod loops;
mod scheduler;

pub(crate) use scheduler::{Flagger, Outside, Phase, Version};
