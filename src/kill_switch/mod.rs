//! An emergency stop for one capability.
//!
//! A release goes wrong, a dependency answers nonsense, a feature costs more than it earns: an operator turns one
//! capability off for a scope, within seconds and without a deployment, and on again. Unlike a feature flag, a kill
//! switch has two states only: *released* (the capability is on) or *engaged* for a scope.
//!
//! ```text
//!  Editor: define, engage, release, revert ──▶ Document ──▶ store ──▶ KillSwitches of every ──▶ gates
//!   (author, reason, scope, expiry)           (versioned,              instance: keep the      (one load while
//!                                              hashed)                 last good document       nothing is engaged)
//! ```
//!
//! - One [`Document`] holds every switch. Each change is a new generation, written by compare and set. Reverting to
//!   a kept generation is a change, and a generation, too.
//! - A document that is damaged, foreign, older, or silently drops an engaged switch is rejected and changes nothing.
//!   [`Status`] and the metrics have the age of the document in force.
//! - A layer requires a degraded mode: without one it does not compile.
//! - Until a document contains a switch, its [`State`] is `Unknown`; [`OnUnknown`] says what that does.
//! - With [`Stages`] in the document, an engagement begins on some instances and advances after a check, by hand or
//!   automatically ([`rollout::staged`](crate::rollout::staged)). `now` skips them, and the history records that.
//! - Automation may engage, within the limits of a definition, and never release. A person's pin takes precedence.
//!
//! | setting | default |
//! |---|---|
//! | the store is read | on its notification, and every second |
//! | history kept | 1,000 generations |
//! | stages | none ([`Change::Stages`]) |
//! | two persons to release, retire, extend, override | off ([`Change::TwoPerson`]) |
//!
//! # Examples
//!
//! ```
//! # #[cfg(feature = "file")] {
//! use backstop::clock::Timestamp;
//! use backstop::kill_switch::store::FileStore;
//! use backstop::kill_switch::{Author, Change, Definition, Engage, KillSwitches, OnUnknown, Scope, SwitchId, Target};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("switches.json");
//! let switches = KillSwitches::builder("shop").store(FileStore::new(path)?).build()?;
//! let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
//!
//! let id = SwitchId::new("recommendations")?;
//! let by = |reason| Author::person("mira", Timestamp::now()).because(reason);
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

pub mod access;
pub mod audit;
#[cfg(feature = "rollback")]
pub mod auto_engage;
mod builder;
pub(crate) mod control;
pub mod drill;
mod event;
mod handle;
mod layer;
mod log;
mod metrics;
pub(crate) mod model;
mod rules;
mod runtime;
mod service;
mod status;
pub mod store;
pub(crate) mod switches;
mod target;
mod testing;

pub use builder::KillSwitchesBuilder;
pub use control::control_plane::ControlPlane;
pub use control::editor::{Audit, Committed, Editor};
pub use control::error::EditError;
pub use event::Event;
pub use handle::KillSwitch;
#[cfg(feature = "grpc")]
pub use layer::MakeStatus;
pub use layer::{Custom, Declared, KillSwitchLayer, Undeclared};
pub use model::{
    ActorKind, Author, Breach, Change, ChangeRecord, Definition, Document, DrillRecord, Engage, Engagement, Expiry,
    ExpiryAction, KeyHash, OnUnknown, ParseError, Percent, Pin, PinState, Proposal, Scope, Severity, Sha256, Spread,
    Stage, Stages, Switch, SwitchId, Tombstone, Trigger,
};
pub use rules::apply::{apply, apply_with, earlier_generation};
pub use rules::error::ChangeError;
#[cfg(feature = "axum")]
pub(crate) use rules::two_person::gives_back;
pub use rules::update::{DocumentRejected, Update, check_update};
pub use runtime::compiled_scope::CompiledScope;
pub use runtime::gate::State;
pub use service::{KillSwitchService, ResponseFuture};
pub use status::{NotInForce, Source, Status};
pub use switches::KillSwitches;
pub use target::{Anyone, Target, Targets};
pub use testing::TestSwitches;
