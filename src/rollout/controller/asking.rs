//! The thread that reads commands of people: a state directory that hangs delays no verdict.

use crate::rollout::requests::{Request, waiting};
use crate::rollout::state_dir::StateDir;
use crate::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Duration;

/// Between two looks: commands are answered within a tenth of a second.
const EVERY: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Inbox {
    requests: Vec<Request>,
    is_over: bool,
}

/// Requests as the folder has them.
pub(super) struct Asking {
    inbox: Arc<Mutex<Inbox>>,
    thread: Thread,
}

impl Asking {
    pub(super) fn new(dir: &StateDir) -> std::io::Result<Self> {
        let inbox: Arc<Mutex<Inbox>> = Arc::default();
        let (own, dir, controller) = (Arc::clone(&inbox), dir.clone(), thread::current());
        let started = thread::Builder::new().name("backstop-asking".to_owned()).spawn(move || {
            loop {
                let requests = waiting(&dir);
                let mut inbox = own.lock();
                if inbox.is_over {
                    return;
                }
                if !requests.is_empty() {
                    inbox.requests = requests;
                    controller.unpark();
                }
                drop(inbox);
                thread::park_timeout(EVERY);
            }
        })?;
        Ok(Self { inbox, thread: started.thread().clone() })
    }

    /// Those of the last look. One that was taken comes again until its file is removed.
    pub(super) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.inbox.lock().requests)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.inbox.lock().is_over = true;
        self.thread.unpark();
    }
}
