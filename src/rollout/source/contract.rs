//! The contract of sources.

use crate::rollback::Tick;

/// A source of ticks.
///
/// Each look blocks until the source has answered or its own time limit is over, so it is called on a thread of its own.
pub trait Source: Send {
    /// Everything since the look before; `None` if there is nothing new yet. The first look only takes the counters'
    /// values as a base. Times are seconds since 1970 by the source's clock.
    ///
    /// # Errors
    ///
    /// A source that does not answer, or answers with something else than measurements. What happens in between is in
    /// the tick of the next look that succeeds.
    fn look(&mut self) -> Result<Option<Tick>, SourceError>;

    /// Oddities of the last look, such as instances that did not answer. Default: none.
    fn warnings(&self) -> &[String] {
        &[]
    }
}

impl Source for Box<dyn Source> {
    fn look(&mut self) -> Result<Option<Tick>, SourceError> {
        (**self).look()
    }

    fn warnings(&self) -> &[String] {
        (**self).warnings()
    }
}

/// A look that failed, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(String);

impl SourceError {
    /// With this sentence, which names the source, what is wrong and what to do.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}
