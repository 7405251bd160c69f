//! Simulated rollouts, to try a policy before a release does.
//!
//! A [`World`] is a model of a rollout: traffic, instances, errors, latencies, and a fault of the canary. A [`Generator`]
//! makes its ticks from a seed, and [`run`] lets a judge read them. The same world and seed are the same ticks on every
//! machine.
//!
//! The model assumes
//!
//! - requests arrive independently of each other (Poisson), and go to the instances of an arm evenly unless they are
//!   [uneven](World::is_uneven);
//! - errors are independent of each other unless they come in [bursts](Bursts);
//! - latencies are lognormal, by default with a median of 50 ms and a sigma of 0.5 (p99 160 ms), and independent of errors;
//! - an instance counts the seconds in which it had a request, and those in which it failed one, by the whole second.
//!
//! # Examples
//!
//! ```
//! use backstop::rollback::Policy;
//! use backstop::rollback::simulation::{Errors, Fault, World, run};
//!
//! let broken = World { fault: Fault { errors: Some(Errors::Rate(0.1)), ..Fault::default() }, ..World::default() };
//! let run = run(&broken, &Policy::default(), 1);
//! assert!(run.rolled_back.is_some_and(|at| at < 10.0));
//! ```

mod draw;
mod forecast;
mod generator;
mod histogram;
mod instances;
mod run;
mod summary;
mod threads;
mod world;

pub use forecast::{Forecast, Found, Stage, forecast};
pub use generator::{Generator, Observed};
pub use run::{Run, run};
pub use summary::{Share, quantile};
pub use threads::over_seeds;
pub use world::{Bursts, Errors, Fault, Latencies, Segments, Shared, Traffic, World};
