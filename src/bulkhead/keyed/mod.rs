//! A bulkhead for each host, shard or tenant.
//!
//! One bulkhead over a service of many shards lets one slow shard take the permits of all. A keyed bulkhead gives
//! each key permits of its own, with the same settings for every key.
//!
//! Keys come from requests, so they are bounded: at [`max_keys`](KeyedBulkheadBuilder::max_keys) a key that has
//! nothing in flight and no queue makes room; if none is found quickly, the new key shares one overflow
//! bulkhead with all others that found no room. Keys never become metric labels: the metrics of a group are sums
//! over its keys, and its limit is that of one key.
//!
//! A key that has never rejected a call, has no queue and is not timed takes about 130 bytes and its own key.
//!
//! | setting | default |
//! |---|---|
//! | `config` | as for one bulkhead; partitions are not allowed: keys are that already |
//! | `max_keys` | 10,000 |
//!
//! # Examples
//!
//! ```
//! use backstop::bulkhead::BulkheadConfig;
//! use backstop::bulkhead::keyed::KeyedBulkhead;
//!
//! let config = BulkheadConfig::builder().max_concurrent_calls(1).build()?;
//! let tenants = KeyedBulkhead::<String>::builder("tenants").config(config).build()?;
//! let permit = tenants.key("a").try_acquire().expect("the first call of this tenant");
//! assert!(tenants.key("a").try_acquire().is_err());
//! assert!(tenants.key("b").try_acquire().is_ok());
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! In front of a service, the key comes from the request:
//!
//! ```
//! # #[cfg(feature = "http")] {
//! # use backstop::bulkhead::keyed::KeyedBulkhead;
//! use axum::{Router, extract::Request, routing::get};
//!
//! let tenants = KeyedBulkhead::<String>::builder("tenants").build()?;
//! let tenant = |request: &Request| match request.headers().get("x-tenant") {
//!     Some(tenant) => String::from_utf8_lossy(tenant.as_bytes()).into_owned(),
//!     None => String::new(),
//! };
//! let app: Router = Router::new().route("/", get(async || "here")).layer(tenants.layer(tenant).respond());
//! # }
//! # Ok::<(), backstop::ConfigError>(())
//! ```

mod builder;
mod group;
mod handle;
mod key;
mod publish;

pub use builder::KeyedBulkheadBuilder;
pub use group::{KeyedEvent, KeyedSnapshot};
pub use handle::{ByKey, KeyedBulkhead};
pub use key::KeyHandle;
