//! From a verdict to traffic: sources of ticks, the process that judges them, and what acts on its verdicts.
//!
//! ```text
//!  instances, Prometheus ──▶ source ──▶ judging ──▶ verdict ──▶ router and hooks: Argo Rollouts, Flagger, people
//!                              tick       (one thread)  │
//!                                                       └────▶ stages ──▶ actuators: HAProxy, nginx, commands, switches
//! ```
//!
//! | module | |
//! |---|---|
//! | [`source`], [`judging`], [`verdicts`] | ticks, one process that judges them, its answers to controllers |
//! | [`stages`] | the decisions of a rollout: a function of events and time |
//! | [`controller`], [`journal`], [`state_dir`], [`requests`] | what performs a rollout, and survives its own end at any instant |
//! | [`actuator`] | traffic: `HAProxy`, nginx, commands, webhooks |
//! | [`staged`], [`soak`] | engagements of a kill switch, stage by stage |
//!
//! `backstop rollout` is the command; a [plan](crate::rollback::plan) says what it does. One process judges a release: an
//! instance sees a part of the evidence, and loses it when it restarts. Services export [signals](crate::signals) only.

#[cfg(feature = "rollout")]
pub mod actuator;
#[cfg(feature = "rollout")]
mod alerts;
#[cfg(feature = "rollout")]
pub mod controller;
#[cfg(feature = "rollout")]
mod filing;
#[cfg(feature = "rollout")]
pub mod journal;
#[cfg(feature = "rollout")]
pub mod judging;
#[cfg(feature = "rollout")]
mod redact;
#[cfg(feature = "rollout")]
pub mod report;
#[cfg(feature = "rollout")]
pub mod requests;
pub mod soak;
#[cfg(feature = "rollout")]
pub mod source;
pub mod staged;
#[cfg(feature = "rollout")]
pub mod stages;
#[cfg(feature = "rollout")]
pub mod state_dir;
#[cfg(feature = "rollout")]
pub mod verdicts;
#[cfg(feature = "rollout")]
mod verify;
#[cfg(feature = "rollout")]
mod watched;
