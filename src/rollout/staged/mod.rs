//! Engaging stage by stage, with a look at each before the next: the kill itself can be the bug.
//!
//! ```text
//!  engage at the first stage ──▶ look ──well──▶ advance ──▶ look ──well──▶ … ──▶ everywhere
//!                                  └──not well──▶ held: it stays at that stage, for a person to decide
//! ```
//!
//! The document has the stages ([`Stages`](crate::kill_switch::Stages)), and the caller brings the checks: each
//! [`Check`] is asked again and again while the stage soaks. A stage that is held is left as it is: to release it would
//! give back a capability that has to stay off, and advancing would repeat the damage everywhere.
//!
//! | setting | default | |
//! |---|---|---|
//! | `soak` | 10 s | how long every check has to be good without a break |
//! | `strikes` | 3 | bad findings of one check in a row that hold a stage |
//! | `time_limit` | 60 s | how long a stage may take until all is good |
//! | `look_every` | 500 ms | how often the checks are asked |
//!
//! # Examples
//!
//! ```
//! use backstop::clock::Timestamp;
//! use backstop::rollout::soak::Finding;
//! use backstop::rollout::staged::{Check, StagedEngage};
//! use backstop::kill_switch::store::MemoryStore;
//! use backstop::kill_switch::{Author, Change, Definition, Editor, Engage, OnUnknown, Scope, Stage, Stages, SwitchId};
//! use std::time::Duration;
//!
//! let editor = Editor::new(MemoryStore::new());
//! let mira = Author::person("mira", Timestamp::now()).because("wrong prices");
//! let switch = SwitchId::new("recommendations")?;
//! let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
//! editor.change(&Change::Define { switch: switch.clone(), definition }, &mira)?;
//! let stages = Stages::new([Stage::instances(["web-1"]), Stage::regions(["eu"])])?;
//! editor.change(&Change::Stages { stages }, &mira)?;
//!
//! let staged = StagedEngage::new(Engage::new(switch, Scope::all())).soak(Duration::ZERO);
//! let pages = Check::new("pages", |_reached| Finding::Good); // ask what your users would see
//! let report = staged.run(&editor, &[pages], &mira)?;
//! assert_eq!(report.stages.last(), Some(&Stage::Everywhere));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod engage;
mod report;
mod run;

pub use check::{Check, Reached};
pub use engage::StagedEngage;
pub use report::{StagedError, StagedReport};
