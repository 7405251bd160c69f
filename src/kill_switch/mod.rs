//! An emergency stop for one capability.

mod accept;
mod apply;
mod approval;
mod by;
mod change;
mod document;
mod id;
mod node;
mod percent;
mod read;
mod refused;
mod rule;
mod scope;
mod stage;
mod target;
mod text;

pub use accept::{Accepted, Refusal, accept};
pub use apply::{apply, apply_with, earlier_generation};
pub use approval::Proposal;
pub use by::{ActorKind, By};
pub use change::{Change, Engage};
pub use document::{
    Breach, Changed, ContentHash, Definition, Document, DrillRecord, Engagement, Expiry, ExpiryAction, OnUnknown,
    ParseError, Pin, PinState, Severity, Switch, Tombstone, Trigger,
};
pub use id::SwitchId;
pub use percent::{KeyHash, Percent};
pub use refused::ChangeError;
pub use rule::Rule;
pub use scope::Scope;
pub use stage::Stage;
pub use target::Target;
pub mod store;
pub mod access;
pub mod audit;
pub mod automatic;
pub mod drill;
