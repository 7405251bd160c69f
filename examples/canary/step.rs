//! A step of the run: it happens in time, or ends the run with its name.

use crate::report;
use backstop::BoxError;
use std::time::Duration;

/// Time limit of a step: far more than it needs, for busy machines.
const BOUND: Duration = Duration::from_secs(60);

/// Waits for a step, up to the limit.
pub(crate) async fn step<T>(what: &str, work: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    match tokio::time::timeout(BOUND, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(format!("step \"{what}\": {error}").into()),
        Err(_) => Err(format!("step \"{what}\": not within {}", report::setting(BOUND)).into()),
    }
}
