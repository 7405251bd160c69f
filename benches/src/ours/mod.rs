//! Our own rows.

pub(crate) mod bulkhead;
pub(crate) mod circuit_breaker;
#[cfg(feature = "judge")]
mod judge;
pub(crate) mod kill_switch;
pub(crate) mod signals;
mod stack;

use crate::Subject;
use crate::bare::Message;

/// The response that tells a refused call; the inner service never gives it.
const REFUSED: Message = Message::MAX;

/// The rows, in the order of the tables. A new one is one more entry in a file beside this one.
pub fn subjects() -> Vec<Subject> {
    [
        circuit_breaker::subjects(),
        bulkhead::subjects(),
        stack::subjects(),
        kill_switch::subjects(),
        signals::subjects(),
        #[cfg(feature = "judge")]
        judge::subjects(),
    ]
    .concat()
}
