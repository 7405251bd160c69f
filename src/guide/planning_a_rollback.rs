//! # Planning a rollback
//!
//! A release is safe when it can be undone under pressure by someone who did not write it. That is decided before the
//! release: which artifact was the last good one, what happens to the data, in which order the commands run, how each
//! is verified, and whom to call. A [plan](crate::rollback::plan) is a file beside the release that says so.
//!
//! ## What to write down
//!
//! ```
//! use backstop::rollback::plan::Plan;
//!
//! let plan = Plan::parse(r#"
//!     service = "checkout"
//!     artifact = "registry/checkout:1.2.4"
//!     previous = "registry/checkout:1.2.3"
//!     owner = "team-checkout"
//!     expires = "2027-01-31T00:00:00Z"
//!     switches = ["new-checkout"]
//!
//!     [[rollback]]
//!     kind = "kill_switch"
//!     argv = ["backstop", "switch", "engage", "new-checkout", "--all", "--reason", "rollback of 1.2.4"]
//!     verify = ["backstop", "switch", "list"]
//!
//!     [[rollback]]
//!     kind = "traffic_shift"
//!     argv = ["./weight.sh", "0"]
//!     verify = ["./weight.sh", "--expect", "0"]
//!     idempotent = true
//!
//!     [[rollback]]
//!     kind = "scale_down"
//!     argv = ["kubectl", "scale", "deployment/checkout-canary", "--replicas=0"]
//!     timeout = "1m"
//!
//!     [[data]]
//!     kind = "expand"
//!     change = "orders.total_cents beside orders.total, both are written"
//!
//!     [recovery]
//!     metric = "share of failed checkouts"
//!
//!     [escalation]
//!     contacts = ["checkout on call: +41 44 000 00 00"]
//! "#)?;
//! assert!(plan.runbook().contains("./weight.sh --expect 0"));
//! assert_eq!(plan.warnings().len(), 1); // scale_down has no verify
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! `backstop plan check plan.toml` reports every problem at once and exits with 2; run it where the release is built.
//! `backstop plan runbook plan.toml` prints the instructions for the operator.
//!
//! ## The order of the commands
//!
//! The fastest first: a kill switch or a flag takes effect in seconds and needs no deployment, a traffic shift as well.
//! Removing instances takes minutes and comes after the traffic is gone; a check rejects the reverse. Pinning the
//! version is the slowest and makes the rollback permanent. All time limits together have to fit into the budget, five
//! minutes by default: a rollback that takes longer is an outage with a plan. With `[traffic]`, its mover has the place of the
//! `traffic_shift`, and the budget has room for six attempts of its `timeout`.
//!
//! ## Data decides what is possible
//!
//! | kind | the previous version | plan |
//! |---|---|---|
//! | `none`, `additive` | does not see the change | roll back |
//! | `expand` | finds its own shape, still written | roll back |
//! | `contract` | misses the shape that was removed | forward fix only, unless no version before it used that shape |
//! | `destructive` | misses data | the same, and a backup is required |
//!
//! Expand in one release, move readers and writers in the next, contract when nobody would go back any more. Where the
//! previous version cannot work on the changed data, the plan states `reversible = false` and `forward_fix_only = true`.
//! It then contains kill switches and flags only, and its runbook never sends traffic to the previous version.
//!
//! ## Back or forward
//!
//! ```
//! use backstop::rollback::decision::{Decision, Direction, Feasibility, Fix, Severity, Situation};
//!
//! let situation = Situation {
//!     severity: Severity::High,
//!     is_cause_known: true,
//!     fix: Fix::Complex,
//!     feasibility: Feasibility::Safe,
//! };
//! assert_eq!(Decision::of(situation).direction, Direction::RollBack);
//!
//! let no_way_back = Situation { feasibility: Feasibility::ForwardFixOnly, ..situation };
//! let decision = Decision::of(no_way_back);
//! assert_eq!(decision.direction, Direction::RollForward);
//! assert_eq!(decision.steps[1], "Engage the plan's kill switches and turn its flags off.");
//! ```
//!
//! Forward is right where the cause is known and the fix is as quick as the rollback, or where there is no way back;
//! [`decision`](crate::rollback::decision) has the table. A rollback removes the symptom, not the fault: the release stays
//! open until its cause is found.
//!
//! ## After a rollback
//!
//! `backstop rollout report checkout` writes what happened from the evidence in the state directory: the steps from the
//! first failure to recovery and how long each took, the requests that failed beyond the usual rate, in which segments, the
//! evidence of the verdict, every action with its attempts, and who decided what and why.
//!
//! ```text
//! backstop rollout report checkout --html report.html --markdown report.md
//! backstop rollout report checkout --status-text
//! backstop rollout report checkout --cause "the new client has no timeout" --by mira
//! ```
//!
//! - The page has charts of both versions, of the traffic and of the evidence. It loads nothing and has no script: it can be
//!   attached to a ticket, and printed.
//! - `--status-text` prints three sentences for a status page, without internals.
//! - Cause, action items and lessons are empty: people fill them in. The rollback is open until `--cause` records one.
//! - Missing or damaged evidence is listed at the top; the report is made of the rest.
//! - Arguments and output of commands are not repeated, and what looks like a secret in a reason or an error is replaced.
//!   Read a report before it leaves the company nevertheless: names of segments and reasons are in it.
