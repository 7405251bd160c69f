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
//! | `approve`, `reject` | opens the gate of a stage that has begun, or decides against a verdict that pauses; returns the traffic |
//! | `pause`, `resume` | no further stage; a verdict still rolls back |
//! | `rollback [--break-glass]` | returns the traffic; with `--break-glass` at once, before everything else. It works without a controller, too |
//! | `disable --for 2h`, `enable` | a maintenance window: its author is paged instead of a rollback |
//! | `report` | the incident report, open until a cause is recorded |
//!
//! Each needs a `--reason`, and is in the journal with its author. With `--listen` and an access list the same are
//! `POST /v1/rollouts/{service}/{command}`, for a button or a chat command; `/v1/verdict`, `/v1/evidence` and `/metrics` are those of
//! [`judge serve`](super::a_judge_for_a_controller). An admin page that was given the state directory takes the commands, too: a
//! rollback without a controller is then carried out by its process.
//!
//! ## Time without a controller
//!
//! A controller that is started again begins the time of its stage anew, and counts its requests from 0: nothing was seen in
//! between, and time that was not watched promotes no release. The same holds for the deadlines of a stage and of the readiness
//! before it, and for recovery; only the budget of a rollback goes on. One that crashes every few minutes therefore never ends a
//! stage: `status` counts its starts, and the plan's contact is paged at the fourth, the eighth, and so on. One that cannot go on
//! at all, as its journal or its disk cannot be used, pages before it ends. So does one whose `lock` was removed, as soon as
//! another process has a new one. A source of `ticks:FILE` is read behind its present end.
//!
//! ## A disk that hangs
//!
//! No decision waits longer than a second for a disk. More traffic for the release waits for its record; a rollback goes on, its
//! owner is paged that it is unrecorded, and it is written down as soon as that is possible. The controller stays until its end is
//! recorded, so that the next one does not go on in the middle.
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
//! | `.. % of .. requests went to the release instead of ..` | the load balancer does not do what it says, or the source leaves out instances | count at the load balancer; name all instances of both versions |
//! | `the journal cannot be written` | nothing is promoted; a rollback works | repair the disk |
//! | `the journal .. was changed`, or `cannot be read` | nothing is known but the plan; the journal is put aside | `rollback` acts from the plan: the weight first, and no action again that may have been done |
//! | `the controller has not written its status` | it hangs, or its disk is full; what is shown is old | `rollback`; if it does not answer, end the process that is named, and run it again |
//! | `no controller runs` | its process ended; the weight stays as it was | `start` with the same plan goes on; `rollback` acts without it |
//! | `warning: the source does not answer` | nothing is promoted, and nothing is rolled back for it until the policy's rule for missing data acts | repair the source |
//!
//! - A release is never promoted without data, and never over a verdict that is not `continue`.
//! - The stable version has to be healthy before it takes the traffic back. If both are broken, a person decides.
//! - With `[stable] instances_for_full_traffic`, traffic returns in steps that the ready instances carry; break-glass does not wait.
//! - Every event is on the disk before an action begins. A controller that is killed repeats only actions that are idempotent
//!   or that `verify` shows as not done, and otherwise calls a person by name.
//! - What looks like a secret in the last line of a command, in a reason or in an answer of a load balancer is replaced before it is
//!   written down or sent; `evidence/commands.log` has the output as it was. `evidence/alerts.jsonl` says which alert arrived.
//!
//! ## From the fault to the recovery
//!
//! Six rollouts each of a release that fails a tenth of its 20 requests a second, four at a time on two processors
//! (`cargo run --example rollout`, with `-- --nginx` for nginx):
//!
//! | | detect | decide | move | verify | last canary request |
//! |---|---|---|---|---|---|
//! | `HAProxy` | 5.4 to 7.5 s | 1 to 5 ms | 8 to 22 ms | 5.0 to 6.0 s | before the decision |
//! | nginx | 5.3 to 7.4 s | 1 to 2 ms | 35 to 111 ms | 5.0 to 5.9 s | 112 to 159 ms after it |
//!
//! Verifying takes as long as `recovery.lasts` says, 4 s there. The last requests behind nginx are answered by its old workers, which end what they have begun.
