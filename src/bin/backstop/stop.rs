//! Signals that end a long-running command.

use super::output::Failure;
use std::io;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Signals that end the command: `SIGTERM`, and `SIGINT` from a terminal.
pub(super) struct Stop {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
}

/// A runtime of two threads, with these signals caught on it.
pub(super) fn runtime() -> Result<(Runtime, Stop), Failure> {
    let failed = |error: io::Error| Failure::Store(format!("the system has no thread or no signal: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let entered = runtime.enter();
    let stop = Stop::new().map_err(failed)?;
    drop(entered);
    Ok((runtime, stop))
}

impl Stop {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { signals: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?] })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "catching a signal can fail on Unix")]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for a signal; `false` if none comes within this time.
    pub(super) async fn within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.signalled()).await.is_ok()
    }

    #[cfg(unix)]
    async fn signalled(&mut self) {
        use std::future::poll_fn;
        use std::task::Poll;
        poll_fn(|context| {
            let is_any = self.signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if is_any { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    #[cfg(not(unix))]
    async fn signalled(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
