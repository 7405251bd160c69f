//! Checks while a stage soaks.

use crate::kill_switch::Stage;
use crate::panic::catch_panic;
use crate::rollout::soak::Finding;
use std::fmt;

/// Progress of a staged engagement, for its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reached {
    /// The stage that it has reached.
    pub stage: Stage,
    /// The generation of the document that says so: an instance with an older one has not heard of it.
    pub generation: u64,
}

/// Something that has to be well at a stage before the next one is gone to.
#[must_use = "it takes part in a staged engagement"]
pub struct Check<'a> {
    name: String,
    find: Box<dyn Fn(&Reached) -> Finding + 'a>,
}

impl<'a> Check<'a> {
    /// A check, by its name in the report. It is given the progress, and must answer soon: all are asked one
    /// after the other.
    pub fn new(name: impl Into<String>, find: impl Fn(&Reached) -> Finding + 'a) -> Self {
        Self { name: name.into(), find: Box::new(find) }
    }

    /// Foreign code: a check that panics has found nothing good.
    pub(super) fn ask(&self, reached: &Reached) -> (String, Finding) {
        let finding =
            catch_panic(|| (self.find)(reached)).unwrap_or_else(|| Finding::Bad("the check panicked".to_owned()));
        (self.name.clone(), finding)
    }
}

impl fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}
