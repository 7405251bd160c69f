//! An emergency stop for one capability.
//!
//! A release goes wrong, a dependency answers nonsense, a feature costs more than it earns: somebody has to be able to
//! turn *that* off, for those whom it hurts, in seconds, without a deployment, and to turn it on again. A kill switch
//! is no feature flag: it is either released, and the capability is on, or *engaged* for a scope.
//!
//! ```text
//!  desk: define, engage, release, revert ──▶ document ──▶ store ──▶ board of every instance ──▶ gates
//!   (who, why, for whom, until when)         (versioned,             (keeps the last good      (one load while
//!                                             hashed)                 one for ever)             nothing is engaged)
//! ```
//!
//! - One [`Document`] holds every switch. Each change is a new generation, written only if nobody was faster, and every
//!   generation that is kept can be brought back by one change, which is a generation itself.
//! - What cannot be read, is damaged, comes from elsewhere, is older, or silently drops an engaged switch changes
//!   nothing: an engaged switch stays engaged. [`BoardStatus`] and the metrics say how old the document in force is.
//! - A gate has to be told what happens when it is engaged; until then it is no layer.
//! - Not consulted is not released: as long as no document knows a switch its [`State`] is `Unknown`, and what then
//!   happens is declared where the switch is asked for.
//! - The kill itself can be the bug: where the document lays down [`Stages`], an engagement begins with some instances,
//!   and goes on after a look, by hand or by itself ([`staged`]). Who says `now` leaves them out, and that is told.
//! - Automation may engage, within the bounds of a definition, and never release. A pin set by a person wins.
//!
//! | setting | default |
//! |---|---|
//! | the store is read | when it says that there is something new, and every second |
//! | history kept | 1,000 generations |
//! | stages before everywhere | none ([`Change::Stages`]) |
//! | two persons to release, retire, extend, override | off ([`Change::TwoPerson`]) |
//!
//! # Examples
//!
//! ```
//! # #[cfg(feature = "file")] {
//! use backstop::clock::Timestamp;
//! use backstop::kill_switch::store::FileStore;
//! use backstop::kill_switch::{By, Change, Definition, Engage, KillSwitches, OnUnknown, Scope, SwitchId, Target};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("switches.json");
//! let switches = KillSwitches::builder("shop").store(FileStore::new(path)?).build()?;
//! let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
//!
//! let id = SwitchId::new("recommendations")?;
//! let by = |reason| By::person("mira", Timestamp::now()).because(reason);
//! let definition = Definition::new(
//!     "team-recs",
//!     "the recommendations on every page",
//!     "2027-12-31T00:00:00Z".parse()?,
//!     OnUnknown::Allow,
//! );
//! switches.change(&Change::Define { switch: id.clone(), definition }, &by("new"))?;
//! switches.change(&Change::Engage(Engage::new(id, Scope::new().tenant("acme"))), &by("wrong prices"))?;
//!
//! assert!(recommendations.check(&Target::new().tenant("acme")).is_err());
//! assert!(recommendations.check(&Target::new().tenant("other")).is_ok());
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
mod engage;
mod force;
mod handle;
mod id;
mod layer;
mod log;
mod manual;
mod metrics;
mod node;
mod office;
mod percent;
mod point;
mod read;
mod recorded;
mod refused;
pub mod rehearse;
#[cfg(feature = "axum")]
mod request;
mod rule;
mod scope;
mod service;
mod snapshot;
mod stage;
pub mod staged;
mod stages;
mod status;
pub mod store;
mod target;
mod telling;
mod text;
mod threads;
mod wall;

pub use accept::{Accepted, Refusal, accept};
pub use apply::{apply, apply_with, earlier_generation};
pub use approval::Proposal;
#[cfg(feature = "axum")]
pub(crate) use approval::gives_back;
pub use board::KillSwitches;
pub use builder::KillSwitchesBuilder;
pub use by::{ActorKind, By};
pub use change::Change;
pub use desk::{Audit, Changes, Desk, DeskError};
pub use document::{
    Breach, Changed, ContentHash, Definition, Document, DrillRecord, Engagement, Expiry, ExpiryAction, OnUnknown,
    ParseError, Pin, PinState, Severity, Switch, Tombstone, Trigger,
};
pub use engage::Engage;
pub use handle::KillSwitch;
pub use id::SwitchId;
#[cfg(feature = "grpc")]
pub use layer::MakeStatus;
pub use layer::{Anyone, Custom, Declared, KillSwitchLayer, Targets, Undeclared};
pub use manual::ManualSwitches;
pub use office::Office;
pub use percent::{KeyHash, Percent};
pub use point::State;
pub use refused::ChangeError;
#[cfg(feature = "axum")]
pub(crate) use request::{Asked, reason};
pub use rule::Rule;
pub use scope::Scope;
pub use service::{KillSwitchService, ResponseFuture};
pub use stage::{Spread, Stage};
pub use stages::Stages;
pub use status::{BoardEvent, BoardStatus, Source};
pub use target::Target;
