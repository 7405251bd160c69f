//! # Controllers: Argo Rollouts, Flagger, Prometheus
//!
//! The folder `deploy/` of the repository has files to copy. Each opens with what it does, what to change, and what happens
//! when data is missing.
//!
//! | file | |
//! |---|---|
//! | `kubernetes/judge.yaml` | the [judge](super::a_judge_for_a_controller) of a service, and the services that list both arms |
//! | `kubernetes/probes.yaml` | probes of a service that mounts [`Health::router`](crate::health::Health::router) |
//! | `argo-rollouts/rollout.yaml` | a rollout whose steps the judge ends |
//! | `argo-rollouts/analysis-begin.yaml`, `analysis-background.yaml`, `analysis-gate.yaml` | its analyses; `analysis-gate-before-1.8.yaml` for older versions |
//! | `argo-rollouts/analysis-prometheus.yaml` | the same through Prometheus, with rules for breakers and error seconds |
//! | `flagger/canary.yaml`, `metric-templates.yaml` | a Canary with the judge's hooks, and its metrics |
//! | `prometheus/scrape.yaml`, `rules.yaml`, `alerts.yaml` | labels, ratios, alerts in three levels; `*_test.yaml` are cases for `promtool test rules` |
//! | `alertmanager/alertmanager.yaml` | routes of the three levels |
//! | `grafana/dashboard.json` | canary beside baseline |
//!
//! ```text
//!  canary, baseline ──/metrics──▶ judge ──/v1/verdict──▶ Argo Rollouts    background: aborts    gate: ends a step
//!         │                         │ └───/v1/hooks/..──▶ Flagger          rollback, and three that confirm
//!         └──────────────┐          │ /metrics
//!                        ▼          ▼
//!                      Prometheus: rules, alerts ──▶ people; dashboard; the controllers' own queries
//! ```
//!
//! ## The service
//!
//! Signals in front, a health router behind, and an exporter with buckets:
//!
//! ```
//! use axum::{Router, routing::get};
//! use backstop::health::Health;
//! use backstop::signals::Signals;
//! use backstop::telemetry::{BUCKETS, REQUEST_BUCKETS, REQUEST_DURATION_SECONDS};
//! use backstop::CircuitBreaker;
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//!
//! let durations = Matcher::Full(REQUEST_DURATION_SECONDS.name.into());
//! let exporter = PrometheusBuilder::new()
//!     .set_buckets_for_metric(Matcher::Prefix("backstop_".into()), BUCKETS)?
//!     .set_buckets_for_metric(durations, REQUEST_BUCKETS)?
//!     .install_recorder()?;
//! let (checkout, payments) = (Signals::new("checkout"), CircuitBreaker::new("payments"));
//! let app: Router = Router::new()
//!     .route("/pay", get(async || "paid"))
//!     .layer(payments.layer().respond())
//!     .layer(checkout.layer()) // outside: it counts what the breaker rejects
//!     .route("/metrics", get(move || async move { exporter.render() }))
//!     .merge(Health::builder().build()?.router());
//! # drop(app);
//! # Ok::<(), backstop::BoxError>(())
//! ```
//!
//! The label `arm` is `canary` or `baseline`. Argo Rollouts sets it on the pods (`canaryMetadata`, `stableMetadata`) and moves
//! it when it promotes; under Flagger the scrape configuration gets it from the name of the pods.
//!
//! ## What a verdict does
//!
//! | verdict | Argo Rollouts | Flagger |
//! |---|---|---|
//! | `continue` | the gate ends the step | the next weight, then the promotion |
//! | `collecting` | the step waits | the weight stays; a canary that has had no request gets its first step |
//! | `pause` | the step waits | the weight stays |
//! | `rollback` | the background analysis aborts within 10 s, in any step | the `rollback` hook, first in the next interval |
//! | no answer | waits; 21 errors in a row abort, after 3.5 min | the hooks refuse, so the weight stays |
//!
//! No file promotes without an answer. A pause ends when the evidence fades or a person overrides the verdict at the judge,
//! not in the controller: the gates see the override within one look. A pause notifies once, by `BackstopPause`.
//!
//! From a fault in 60 % of the canary's calls at 100 requests a second to a decision, with real services, judge and Prometheus,
//! and the controllers' loops simulated:
//!
//! | way | interval | seconds |
//! |---|---|---|
//! | Prometheus rule, scraped and evaluated every second | 1 s | 3 |
//! | Argo Rollouts, web or Prometheus | 10 s | 10: the first measurement |
//! | Flagger, hook | 30 s | 30: the first interval |
//!
//! The verdict is there after 2 to 3 s, so the controller's interval decides.
//!
//! The judge has a token, of the Secret `backstop-judge`: Argo Rollouts begins a rollout with it, and Flagger sends it in
//! `metadata.token` of each webhook, where everybody who may read the Canary reads it. It begins rollouts and answers hooks;
//! overrides need another one.
//!
//! ## Why the files are as they are
//!
//! Argo Rollouts:
//!
//! - An inconclusive *background* analysis ends. Argo Rollouts then pauses and acts on no later rollback; before 1.8 it starts the
//!   analysis anew until the pause of the step is over, and promotes. So the background succeeds on everything but `rollback`,
//!   and a gate is what waits.
//! - The rollout begins at the judge by a request of its own, which needs the token: a question cannot end what is judged. Until
//!   then the gate's answer is `collecting`.
//! - A gate of 1.8 measures until the first success (`consecutiveSuccessLimit`). Before 1.8 that field is ignored and the gate
//!   would never open; there an undecided verdict is an error, which is measured again without being counted.
//! - A metric without conditions always succeeds, a success condition alone turns a pause into a failure, and `len(result)`
//!   comes before `result[0]`: an empty result is no error otherwise.
//!
//! Flagger:
//!
//! - Only `rollback` fails a metric check. Failed checks add up over the whole analysis, and an empty query is one, so the queries
//!   end in `or vector(..)`.
//! - Each refused hook is an alert in every interval, hence `muteAlert`. While `confirm-rollout` refuses, nothing else is asked.
//! - A hook passes up to status 202: the judge answers a decision with 200 or 403, never 204, 429 or 5xx.
//! - `checksum` names the rollout, so the next release is not held by the rollback of the last one. Versions that do not send it
//!   need the judge to be restarted without its state after a rollback.
//! - Builds with flagger#1252, a change that was proposed and never released, have a phase of their own,
//!   `WaitingTrafficIncrease`, in which the threshold of failed checks is not looked at (flagger#1801). The phases of a release
//!   are an enumeration in its resource definition, without this one. The proposed change asks `rollback` there; if
//!   your build does not, no answer leads out of the phase: `BackstopRollbackNotDone` pages after 5 min, or leave
//!   `confirm-traffic-increase` out and let the metrics roll back.
//!
//! Prometheus:
//!
//! - Counters exist at 0 from the start, so that `increase()` sees the first one; an alert on transitions also sees an opening
//!   between two scrapes.
//! - A judge that is down leaves no series. `BackstopJudgeDown` and `BackstopJudgeBlind` are about that; nothing is promoted
//!   meanwhile, and nothing is rolled back.
//!
//! ## At 3 am
//!
//! | alert | level | do |
//! |---|---|---|
//! | `BackstopRollbackNotDone` | page | take the traffic away by hand; `backstop plan runbook` prints the commands |
//! | `BackstopErrorBudgetBurnsFast` | page | in a rollout, roll back; otherwise breakers and kill switches first |
//! | `BackstopRollback` | notify | nothing at once: look whether the controller acted |
//! | `BackstopPause` | notify | read `GET /v1/verdict`, then roll back or override |
//! | `BackstopJudgeDown`, `BackstopJudgeBlind` | notify | restart it; its state resumes the verdict |
//!
//! ```console
//! $ curl -s 'http://backstop-judge:9909/v1/verdict?service=checkout' | jq -r .sentence
//! ```
