//! Verdicts over HTTP: what controllers read.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/verdict?service=&rollout=` | 200 with [`Published::json`](super::judging::Published::json), `collecting` for a rollout that is not the one judged (see [`Verdicts::of`](super::judging::Verdicts::of)); 404 for a service that is not judged here, 400 for any other query |
//! | `POST /v1/rollout` | begins a rollout: `{"rollout": "..", "service": ".."}`. 200 with `{"service", "rollout", "begun"}`; `begun` is false if it is judged already, or what is judged had no name |
//! | `GET /v1/evidence?service=` | the last 100 pieces of evidence, without their ticks |
//! | `GET /v1/evidence/{id}` | one of them; 404 if it is gone |
//! | `POST /v1/hooks/{hook}` | a hook of Flagger: 200 for yes, 403 with the reason for no |
//! | `GET /metrics` | `backstop_verdict`, `backstop_rollback_triggers_total`, `backstop_verdict_source_stale_seconds` |
//!
//! `service` may be left out where one service is judged. `rollout` names the rollout that is meant, as a pod hash does: see
//! [`judging`](super::judging). A question changes nothing: only `POST /v1/rollout` and the `checksum` of a hook name one.
//!
//! # Hooks
//!
//! | | `continue` | `collecting` | `pause` | `rollback` |
//! |---|---|---|---|---|
//! | `rollback` | 403 | 403 | 403 | **200** |
//! | `confirm-rollout` | 200 | 200 | 403 | 403 |
//! | `confirm-traffic-increase` | 200 | 403, but 200 for the first step | 403 | 403 |
//! | `confirm-promotion` | 200 | 403 | 403 | 403 |
//!
//! The body is Flagger's: `{"name", "namespace", "phase", "checksum", "metadata": {"service", "token"}}`. The service is
//! `metadata.service`, or `name`, or the only one; `checksum` names the rollout. A first step is one that is asked for while the
//! canary has had fewer than 50 requests: twice in a rollout at most, as the controller may fail to take it.
//!
//! Other answers are mistakes, not decisions: 400 for a body that cannot be read, 401 without the token, 403 for a wrong one,
//! 404 for an unknown service, 408 and 413 for a body that is slow or longer than 64 KiB.
//!
//! # Access
//!
//! `GET` reads, and needs no token. A new name ends what was judged, a rollback among it: `POST /v1/rollout` always needs the
//! [`HookToken`], and hooks need it where there is one. Without, serve only where the controller alone reaches. A person overrides a verdict by [`overrides`], a router of its own
//! with another token.
//!
//! # Examples
//!
//! ```no_run
//! use backstop::rollback::Policy;
//! use backstop::rollout::judging::Judging;
//! use backstop::rollout::source::TickLines;
//! use backstop::rollout::verdicts::{router, serve};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut judging = Judging::new("checkout", Policy::default(), TickLines::file("ticks.jsonl")?);
//! let router = router([judging.verdicts()], None);
//! std::thread::spawn(move || {
//!     loop {
//!         judging.look();
//!         std::thread::sleep(std::time::Duration::from_secs(1));
//!     }
//! });
//! serve(tokio::net::TcpListener::bind("127.0.0.1:9909").await?, router).await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod body;
mod decide;
mod hooks;
mod overrides;
mod query;
mod rollouts;
mod routes;
mod serve;
mod services;
mod token;

pub use overrides::overrides;
pub use routes::router;
pub use serve::serve;
pub use token::HookToken;
