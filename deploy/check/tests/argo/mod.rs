//! The Argo Rollouts templates, measured and run to their end.

mod measure;
mod run;
mod stories;
mod verdicts;

pub(crate) use measure::{Answer, Phase, measure};
