//! One circuit for each host, shard or tenant.
//!
//! One breaker over a service of many shards turns a partial failure into a total one: a tenth of the shards
//! fail, the rate is met, and all callers of all shards are rejected. A keyed breaker judges each key by
//! itself, and [`max_open_fraction`](KeyedCircuitBreakerBuilder::max_open_fraction) bounds how many keys may be
//! open at once: when everything seems to fail, the fault is likely nearer than the keys.
//!
//! Keys come from requests, so they are bounded: at [`max_keys`](KeyedCircuitBreakerBuilder::max_keys) a key
//! that is idle, closed and without failures in its window makes room, and so does one that is open but that
//! has had no call for longer than its open time and a half-open round. If none of these is found quickly, a closed
//! one with failures that has had no call for 2 s does, so that a client cannot fill the table with one bad call for
//! each of many keys; if there is none either, the new key shares one overflow circuit with all others that found
//! no room. Keys never become metric labels.
//!
//! A healthy key takes about 100 bytes and its own key: with a count window its circuit is written out only
//! after a call that did not succeed. A call of a healthy key takes two short locks that only callers of the
//! same key, or of the same part of the table, share; any other result also takes one of the whole group. A
//! seed for the jitter is not used: keys must not probe in step.
//!
//! | setting | default |
//! |---|---|
//! | `config` | as for one breaker |
//! | `max_keys` | 10,000 |
//! | `max_open_fraction` | 1 (no bound) |
//!
//! The state that the metrics show for a group is `open` while any key is open, `half_open` while any is
//! probing, otherwise `closed`.
//!
//! # Examples
//!
//! ```
//! use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
//!
//! let hosts = KeyedCircuitBreaker::<String>::builder("hosts").max_open_fraction(0.3).build()?;
//! let permit = hosts.key("eu-1.example").try_acquire().expect("closed");
//! permit.failure();
//! assert_eq!((hosts.len(), hosts.open_len()), (1, 0));
//! # Ok::<(), backstop::ConfigError>(())
//! ```

mod builder;
mod entry;
mod group;
mod handle;
mod layer;
mod open_limit;
mod publish;

pub use builder::KeyedCircuitBreakerBuilder;
pub use group::KeyedEvent;
pub use handle::{ByKey, KeyHandle, KeyedCircuitBreaker};
pub use layer::{KeyedCircuitBreakerLayer, KeyedCircuitBreakerService};
