//! Stages: which share of the traffic a release has, and what moves it up, back or nowhere.
//!
//! A [`Rollout`] is a function of events and time: it reads no clock and touches nothing. [`Rollout::step`] takes an
//! [`Event`] and returns [`Action`]s for a controller to perform; each one that may take time is answered by
//! [`Event::Finished`] with its key. The state is the fold of the events, so that a journal of those that changed it is
//! enough to go on after a crash.
//!
//! | event | in any state before the end |
//! |---|---|
//! | verdict `rollback` | traffic returns to the previous version, in steps that it can carry; while automation is disabled, its owner is paged |
//! | verdict `pause` | no further stage until the verdict changes or a person approves |
//! | time passes | it counts for a stage where looks had data and a verdict of `continue` |
//! | verdict `collecting` | no further stage; a stage that is not decided in time is rolled back |
//! | `reject`, `rollback` | traffic returns; with break-glass at once, without a look at the previous version |
//! | the weight differs from the one that was set | set once more, then a person decides; said and left alone in a maintenance window and while a person is waited for |
//! | an action fails | tried again with growing pauses, then a person decides |
//!
//! # Examples
//!
//! ```
//! use backstop::rollback::plan::Plan;
//! use backstop::rollout::stages::{Action, Event, Job, Rollout};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! # let text = r#"
//! # service = "checkout"
//! # artifact = "1.2.4"
//! # previous = "1.2.3"
//! # owner = "team-checkout"
//! # expires = "2027-01-31T00:00:00Z"
//! # recovery = { metric = "failed checkouts" }
//! # escalation = { contacts = ["on call"] }
//! # rollback = [{ kind = "traffic_shift", argv = ["./weight.sh", "0"] }]
//! # data = [{ kind = "none" }]
//! # "#;
//! let plan = Arc::new(Plan::parse(text)?);
//! let mut rollout = Rollout::new(plan);
//! let start = Event::Started { by: "mira".to_owned(), reason: None };
//! let actions = rollout.step(&start, Duration::ZERO);
//! let is_move = |action: &Action| matches!(action, Action::Do { job: Job::Move { weight: 0, .. }, .. });
//! assert!(actions.iter().any(is_move), "no traffic before the checks");
//! # Ok::<(), backstop::ConfigError>(())
//! ```

mod asked;
mod event;
mod quiet;
mod retreat;
mod state;
mod step;
mod waits;

pub use event::{Action, Ask, Event, Job, Look, Outcome, Reading, Ready, Step};
pub use state::{End, Rollout, State};
