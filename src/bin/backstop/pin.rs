//! `pin` and `unpin`: what keeps a switch as it is.

use super::author_args::Who;
use super::backend::Backend;
use super::output::{Failure, Report};
use super::{text, time_args};
use backstop::kill_switch::{Change, PinState, SwitchId};
use clap::Args;

/// Pins a switch: it stays engaged or released until it is unpinned.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch pin recs --reason \"until the root cause is known\"")]
pub(super) struct Pin {
    /// The switch.
    id: SwitchId,
    #[command(flatten)]
    who: Who,
}

impl Pin {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let document = backend.document()?;
        let switch = document.as_ref().and_then(|document| document.switch(self.id.as_str()));
        let is_engaged = switch.is_some_and(|switch| switch.is_engaged(time_args::now()));
        // If it changes meanwhile, the pin is rejected.
        let state = if is_engaged { PinState::Engaged } else { PinState::Released };
        let change = Change::Pin { switch: self.id.clone(), state };
        backend.change(&change, &self.who, |_| format!("{} stays {state} until it is unpinned.", self.id))
    }
}

/// Removes a pin; the switch stays as it is.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch unpin recs --reason \"the root cause is known\"")]
pub(super) struct Unpin {
    /// The switch.
    id: SwitchId,
    #[command(flatten)]
    who: Who,
}

impl Unpin {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let change = Change::Unpin { switch: self.id.clone() };
        backend.change(&change, &self.who, |document| {
            let switch = document.switch(self.id.as_str());
            format!("{} has no pin any more.\n{}", self.id, switch.map(text::engagement).unwrap_or_default())
        })
    }
}
