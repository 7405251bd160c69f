//! Rejections as `tonic::Status`.

use super::Rejected;
use super::respond::whole_millis;
use std::error::Error;
use std::sync::Arc;

/// Code, message and pushback of a rejection.
fn status(rejected: &Rejected) -> tonic::Status {
    let code = tonic::Code::from_bytes(rejected.by().grpc_code().as_bytes());
    let mut status = tonic::Status::new(code, rejected.public_text());
    if let Some(after) = rejected.retry_after() {
        status.metadata_mut().insert("grpc-retry-pushback-ms", whole_millis(after).into());
    }
    status
}

impl Error for Rejected {
    /// The `tonic::Status` of the same content: tonic looks for one among the causes, and answers with it instead of
    /// resetting the stream.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.status.get_or_init(|| Box::new(status(self))))
    }
}

/// With `?` in a tonic service: `let permit = payments.try_acquire()?;`.
impl From<Rejected> for tonic::Status {
    fn from(rejected: Rejected) -> Self {
        let mut status = status(&rejected);
        status.set_source(Arc::new(rejected));
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reject::{Mechanism, RejectReason};

    #[test]
    fn a_status_has_the_code_of_the_response() {
        let code = |by| status(&Rejected::new(by, "stock", RejectReason::Full, None)).code();
        assert_eq!(code(Mechanism::CircuitBreaker), tonic::Code::Unavailable);
        assert_eq!(code(Mechanism::Bulkhead), tonic::Code::ResourceExhausted);
    }
}
