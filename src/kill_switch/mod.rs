//! An emergency stop for one capability.

mod accept;
pub mod access;
mod apply;
mod approval;
pub mod audit;
pub mod automatic;
mod board;
mod builder;
mod by;
mod change;
mod desk;
mod document;
pub mod drill;
mod handle;
mod id;
mod layer;
mod log;
mod metrics;
mod node;
mod percent;
mod point;
mod read;
mod refused;
mod rule;
mod scope;
mod service;
mod stage;
pub mod store;
mod target;
mod text;
mod wall;

pub use accept::{Accepted, Refusal, accept};
pub use apply::{apply, apply_with, earlier_generation};
pub use approval::Proposal;
pub use board::{BoardEvent, BoardStatus, KillSwitches, Source};
pub use builder::KillSwitchesBuilder;
pub use by::{ActorKind, By};
pub use change::{Change, Engage};
pub use desk::{Audit, Changes, Desk, DeskError};
pub use document::{
    Breach, Changed, ContentHash, Definition, Document, DrillRecord, Engagement, Expiry, ExpiryAction, OnUnknown,
    ParseError, Pin, PinState, Severity, Switch, Tombstone, Trigger,
};
pub use handle::KillSwitch;
pub use id::SwitchId;
pub use layer::{Anyone, Custom, Declared, KillSwitchLayer, Targets, Undeclared};
pub use percent::{KeyHash, Percent};
pub use point::State;
pub use refused::ChangeError;
pub use rule::Rule;
pub use scope::Scope;
pub use service::{KillSwitchService, ResponseFuture};
pub use stage::Stage;
pub use target::Target;
