//! KPI triggers that engage a switch, and the guards that hold them back.
//!
//! A false alarm turns off a capability that worked, so a bad value alone is not enough. Every one of these guards
//! has to agree:
//!
//! | guard | agrees when | default |
//! |---|---|---|
//! | `order` | the window came after the one before it and does not overlap it | |
//! | `reading` | there is a number, and not a negative one | |
//! | `warm_up` | the capability has been on for long enough | 5 min |
//! | `samples` | there is enough evidence | 100 |
//! | `threshold` | the canary is past the threshold | |
//! | `baseline` | the canary is that many times as bad as the baseline | 2 |
//! | `windows` | it was so in that many windows in a row | 3 of 60 s |
//! | `flapping` | there were not too many automatic engagements lately | 1 in an hour |
//! | `scope` | no more would be turned off than automation may | 10 %, some instances |
//!
//! `order`, `flapping` and `scope` look at the whole window, the others at each KPI. Automation only engages: to
//! release is for people.
//!
//! # Examples
//!
//! ```
//! use backstop::kill_switch::auto_engage::{KpiTrigger, KpiTriggerConfig, Kpi, BlastRadius, Reading, Spread, Verdict,
//! Window}; use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = KpiTriggerConfig::builder()
//!     .kpi(Kpi::higher_is_worse("errors", 0.05).metric("http_error_rate"))
//!     .build()?;
//! let mut automatic = KpiTrigger::new(config, "2026-11-20T12:00:00Z".parse()?);
//!
//! let window = Window::new("2026-11-20T12:10:00Z".parse()?, BlastRadius::new(5.0, Spread::Instances))
//!     .canary("errors", Reading::new(0.2, 900.0))
//!     .baseline("errors", Reading::new(0.01, 17_000.0));
//! let Verdict::Wait { guards, .. } = automatic.observe(&window) else { panic!() };
//! let held = guards.iter().find(|said| said.holds).map(|said| said.guard.as_str());
//! assert_eq!(held, Some("windows"));
//! # Ok(())
//! # }
//! ```

mod config;
mod judge;
mod machine;
mod verdict;
mod window;

pub use super::model::stage::Spread;
pub use config::{Direction, Kpi, KpiTriggerConfig, KpiTriggerConfigBuilder};
pub use machine::KpiTrigger;
pub use verdict::{Guard, GuardResult, Verdict};
pub use window::{BlastRadius, Reading, Window};
