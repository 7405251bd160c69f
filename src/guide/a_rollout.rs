//! # A rollout without a deployment controller
//!
//! `backstop rollout start plan.toml` moves a release through its stages: it sets the weight at the load balancer and reads it
//! back, lets the stage soak while the [judge](super::a_judge_for_a_controller) looks at both arms, and goes on, waits for a
//! person, or returns the traffic. Teams with Argo Rollouts or Flagger use [their files](super::controllers) instead.
//!
//! ## A plan that moves traffic
//!
//! The [plan](super::planning_a_rollback) has `[traffic]` in addition. `deploy/rollout/` has plans and configurations for
//! `HAProxy`, nginx and Kubernetes with Istio.
//!
//! ```
//! use backstop::rollback::plan::Plan;
//!
//! let plan = Plan::parse(r#"
//!     service = "shop"
//!     artifact = "registry/shop:1.2.4"
//!     previous = "registry/shop:1.2.3"
//!     owner = "team-shop"
//!     expires = "2027-01-31T00:00:00Z"
//!     start = "manual"
//!     data = [{ kind = "none" }]
//!
//!     stage = [
//!         { weight = 5, min = "10m", samples = 1000 },
//!         { weight = 50, min = "10m", samples = 1000, gate = "manual" },
//!         { weight = 100, min = "15m", samples = 0 },
//!     ]
//!
//!     [traffic]
//!     kind = "haproxy"
//!     socket = "/run/haproxy/admin.sock"
//!     backend = "shop"
//!     canary = ["canary1"]
//!     stable = ["stable1", "stable2"]
//!
//!     [[rollback]]
//!     kind = "traffic_shift"
//!     argv = ["backstop", "rollout", "rollback", "shop", "--break-glass", "--reason", "by hand"]
//!     idempotent = true
//!
//!     [recovery]
//!     metric = "share of failed checkouts"
//!
//!     [escalation]
//!     contacts = ["shop on call: +41 44 000 00 00"]
//! "#)?;
//! assert!(plan.warnings().is_empty());
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! ## Commands
//!
//! | command | effect |
//! |---|---|
//! | `start plan.toml --source ..` | runs the rollout in the foreground; after a crash or a reboot, the same command goes on |
//! | `status --watch`, `list` | state, weight, verdict, and the reason for a wait |
//! | `approve`, `reject` | opens the gate of a stage or decides against a verdict that pauses; returns the traffic |
//! | `pause`, `resume` | no further stage; a verdict still rolls back |
//! | `rollback [--break-glass]` | returns the traffic; with `--break-glass` at once, before everything else. It works without a controller, too |
//! | `disable --for 2h`, `enable` | a maintenance window: its author is paged instead of a rollback |
//! | `report` | the incident report, open until a cause is recorded |
//!
//! Each needs a `--reason`, and is in the journal with its author. With `--listen` and an access list the same are
//! `POST /v1/rollouts/{service}/{command}`, for a button or a chat command.
//!
//! ## At 3 am
//!
//! | you see | it means | do |
//! |---|---|---|
//! | `soaking`, verdict `collecting` | the stage lacks requests; a quiet service needs a longer stage, and no stage ends on too little | wait; after `max` the release is rolled back |
//! | `waiting` | the stage is decided and its gate is manual | `approve` or `reject` |
//! | `paused` with a verdict | worse, by little | look at the evidence; `approve` overrides, `reject` returns the traffic |
//! | `rolling back`, then `recovering` | the traffic returns; then errors and p99 must be as before for a minute | nothing; after the budget you are paged |
//! | `escalated` | a move failed or took hold in part, the weight was changed from outside twice, or the stable version is unhealthy as well | the reason names the part; `resume` tries again, `rollback --break-glass` sets weight 0 |
//! | `no controller runs` | its process ended; the weight stays as it was | `start` with the same plan goes on; `rollback` acts without it |
//! | `warning: the source does not answer` | nothing is promoted, and nothing is rolled back for it until the policy's rule for missing data acts | repair the source |
//!
//! - A release is never promoted without data, and never over a verdict that is not `continue`.
//! - The stable version has to be healthy before it takes the traffic back. If both are broken, a person decides.
//! - With `[stable] instances_for_full_traffic`, traffic returns in steps that the ready instances carry; break-glass does not wait.
//! - Every event is on the disk before an action begins. A controller that is killed repeats only actions that are idempotent
//!   or that `verify` shows as not done, and otherwise calls a person by name.
