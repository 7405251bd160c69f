//! Release plan: how a release is undone, written before it starts.
//!
//! At 3 am nobody should have to work out which artifact was the last good one, whether the old code can read the new
//! data, or whom to call. A plan states it, [`Plan::parse`] reports everything that is missing or contradictory at once,
//! and [`Plan::runbook`] prints the instructions for an operator who has never seen the change.
//!
//! ```toml
//! service = "checkout"
//! artifact = "registry/checkout:1.2.4"
//! previous = "registry/checkout:1.2.3"
//! owner = "team-checkout"
//! expires = "2027-01-31T00:00:00Z"
//! switches = ["new-checkout"]
//! stop_when = ["errors of the previous version rise"]
//!
//! [[rollback]]
//! kind = "traffic_shift"
//! argv = ["./weight.sh", "canary", "0"]
//! verify = ["./weight.sh", "--expect", "0"]
//! idempotent = true
//!
//! [[rollback]]
//! kind = "scale_down"
//! argv = ["kubectl", "scale", "deployment/checkout-canary", "--replicas=0"]
//!
//! [[data]]
//! kind = "additive"
//! change = "column orders.discount, nullable"
//!
//! [[lag]]
//! kind = "cache"
//! name = "prices at the edge"
//! up_to = "10m"
//!
//! [recovery]
//! metric = "share of failed checkouts, dashboard checkout/overview"
//!
//! [escalation]
//! contacts = ["checkout on call: +41 44 000 00 00"]
//! ```
//!
//! `backstop rollout` moves the traffic by `[traffic]` in the place of the first `traffic_shift`, whose command is then for the
//! runbook alone; every other action is run as it is written.
//!
//! | field | default |
//! |---|---|
//! | `service` (1 to 128 letters, digits and `-_.`), `artifact`, `previous`, `owner`, `expires` | required |
//! | `policy` | `policy.toml` |
//! | `budget` | `5m`: from the decision to recovery |
//! | `forward_fix_only` | `false` |
//! | `switches`, `stop_when` | none |
//! | `[traffic]` `kind` | none: another controller moves the traffic |
//! | with `haproxy`: `socket`, `backend`, `canary`, `stable` (server names), `cut` (`weight`, `drain`, `maint`) | required; `weight` |
//! | with `nginx`: `file`, `canary`, `stable` (addresses), `check`, `reload` | required; `nginx -t`, `nginx -s reload` |
//! | with `command`: `argv` with `{weight}`, `verify`; with `webhook`: `url` | required, `verify` is not |
//! | with all but `haproxy`: `probe`, `probe_text` (requests are counted to read a weight back); with all: `timeout` | none; `10s`, six times in the budget |
//! | `start` (`auto`, `manual`) | `auto`: the first stage needs no approval |
//! | `[[stage]]` `weight`, `min`, `max`, `samples`, `gate` (`auto`, `timed`, `manual`) | 5, 20, 50 % with `10m` and 1,000 canary requests; 100 % with `15m`; `max` is six times `min`; gate `auto` |
//! | `[[rollback]]` `kind`, `argv`, `verify`, `timeout`, `idempotent` | at least one, in the order of execution; `30s`, not idempotent |
//! | `[[promote]]` `argv`, `verify`, `timeout`, `idempotent` | none; run after the last stage |
//! | `[[alert]]` `kind` (`pagerduty`, `slack`, `generic`), `url`, `key`, `level` (`info`, `notify`, `page`) | none; `notify` and above; `url` and `key` may be `env:NAME` |
//! | `[[data]]` `kind`, `change`, `reversible`, `backup` | at least one; `reversible` is required for `contract` and `destructive`, else `true` |
//! | `[[lag]]` `kind` (`migration`, `job`, `cache`), `name`, `up_to` | none |
//! | `[[preserve]]` `argv`, `timeout` | none; run before the canary is scaled down; `30s` |
//! | `[recovery]` `metric`, `errors`, `p99`, `lasts` | `metric` is required; 1.5 and 1.25 times the baseline for `60s` |
//! | `[escalation]` `contacts`, `after` | `contacts` is required; after the budget |
//! | `[stable]` `instances_for_full_traffic` | none: traffic returns at once |

mod check;
mod model;
mod outside;
mod read;
#[cfg(test)]
pub(super) mod tests;

pub use model::{
    Action, ActionKind, Alert, AlertKind, Cut, DataChange, DataKind, Escalation, Gate, Lag, LagKind, Level, Plan,
    Preserve, Recovery, Stage, Traffic, TrafficKind,
};
#[cfg(feature = "rollout")]
pub(crate) use model::{MOVE_ATTEMPTS, SERVICE, is_service};
