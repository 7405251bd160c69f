//! # A rollback policy
//!
//! A [`Judge`](crate::rollback::Judge) compares a new release with the one before it, tick by tick, and answers
//! `continue`, `collecting`, `pause` or `rollback`. The policy lists the triggers. The
//! [default policy](crate::rollback::Policy::DEFAULT) fits most HTTP services; try it on recorded ticks first:
//!
//! ```console
//! $ backstop judge --ticks last-week.jsonl --report last-week.html
//! ```
//!
//! ## From three KPIs to segments
//!
//! Begin with the errors, the latency and one result that the business cares about. Each trigger that rolls back alone
//! adds its own false alarms, so at most three should; let the others pause, or report.
//!
//! ```
//! use backstop::rollback::{Decision, Judge, Policy, TickReader};
//!
//! let policy = Policy::parse(
//!     r#"
//!     [[trigger]]
//!     name = "errors"
//!     kind = "errors"
//!
//!     [[trigger]]
//!     name = "checkout"
//!     kind = "kpi"
//!     kpi = "checkout"
//!
//!     [[trigger]]
//!     name = "latency"
//!     kind = "latency"
//!     required = false
//!     acts = "pause"
//!     "#,
//! )?;
//! let (mut judge, mut ticks) = (Judge::new(policy), TickReader::new());
//! let mut last = None;
//! for at in 1..=60 {
//!     let line = format!(
//!         r#"{{"at": {at},
//!             "canary": {{"segments": {{"web": {{"requests": 100}}}}, "kpis": {{"checkout": {{"good": 80, "total": 100}}}}}},
//!             "baseline": {{"segments": {{"web": {{"requests": 1900}}}}, "kpis": {{"checkout": {{"good": 1840, "total": 1900}}}}}}}}"#
//!     );
//!     if let Some(tick) = ticks.read(&line)? {
//!         last = Some(judge.observe(tick));
//!     }
//! }
//! let verdict = last.expect("a verdict");
//! assert_eq!(verdict.decision, Decision::Rollback);
//! assert!(verdict.sentence.starts_with("checkout: 20 % of the canary's checkout results are not good"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Then split the requests into segments: groups of routes, tiers of tenants, kinds of clients. A segment is compared with
//! itself only, so another mix of traffic is no regression, and one bad segment of twenty is found by its own evidence.
//! Twenty segments are plenty, a thousand the limit.
//!
//! ## Settings
//!
//! Of the policy:
//!
//! | setting | default, range | |
//! |---|---|---|
//! | `horizon` | 30 min, 1 min to 7 d | usual length of a rollout. Longer spreads the search for late faults thinner |
//! | `no_data`: `after`, `acts` | 10 min, 1 s to 1 d; `pause` | what happens when required data is missing for long. Before, and with `collecting`, the verdict stays `collecting`. None of them promotes |
//! | `score`: `rollback`, `pause` | 15, 10 | points at which triggers with a `weight` act together; more than all weights together are warned of |
//! | `require` | none | triggers that roll back only if all of them fire |
//!
//! Of every trigger: `name` and `kind`; `acts` (`rollback`, `pause` or `report`, which is shown and counts into nothing) or
//! a `weight` for the score; `required` (default: true), whether missing data holds the verdict; `ignore_first` (0 s, up to
//! 1 d), the part of each stage that does not count at all.
//!
//! Of `errors` (with `class`: `server`, `client` or `all`) and of `kpi` (with its name in `kpi`):
//!
//! | setting | default, range | smaller | larger |
//! |---|---|---|---|
//! | `tolerated_ratio` | 1, 1 to 100 | | tolerates a canary that is worse by this factor |
//! | `added` instead | none, 1e-6 to 1 | | tolerates this much more than the baseline's rate |
//! | `limit` instead | none, 1e-6 to 0.999 | | tolerates this rate, whatever the baseline, unless the baseline is above it as well |
//! | `alpha` | 0.0166, 1e-6 to 0.5 | fewer false alarms, slower | quicker, more false alarms |
//! | `borderline` | 2, 1 to 100 | more rollbacks, fewer questions; 1 never pauses | a person decides more |
//! | `minimum_requests` | 50, 1 to 1e9 | | slower on little traffic |
//! | `minimum_distinct_seconds` | 2, 1 to 60 | one burst may decide | short faults pass |
//! | `warm_up` | 1 min, 0 to 1 h | cold starts roll back | a fault of a new stage is found later |
//! | `warm_up_ratio`, `warm_up_limit` | 1.25; 1 % | cold starts roll back | only disasters do in the warm-up |
//! | `warm_up_alpha` | 0.015, 1e-6 to 0.5 | as `alpha`, in the warm-up | |
//! | `without_baseline` | 1 % for server errors, else none; refused beside `limit` | | tolerates a worse canary where there is nothing to compare with. A baseline that was lost counts with twice its last rate, of 50 requests at least, if that is more |
//! | `without_baseline_requests` | 1,000, 1 to 1e9 | decides on less | |
//! | `look_once` | none, 1 to 10^12 | requests | judged once, when both arms have as many, by a test that may be looked at once: with `alpha` and `borderline`, the other settings are refused beside it |
//!
//! The evidence that is needed is `1/alpha`, and up to twice that where the canary has more traffic than its baseline.
//!
//! Of `latency`: `alpha` (0.0125), `minimum_requests`, `look_once` as above; `margin` (1.17, 1 to 10) is how much slower counts
//! from a stage's start, `late_margin` (1.4) at any later moment: an arm is 5 % slower than the other in any minute, for no
//! reason, and with a smaller margin such minutes roll back. `within` instead of margins makes it an objective: the
//! `quantile` (0.99) of the canary takes at most so long, unless the baseline misses it as well.
//!
//! Of `gauge`, with the name in `gauge`: `above`, `below`, or `ratio` to the baseline (0.01 to 100; under 1, less is worse,
//! and the same value never is) for the time of `for` (1 min). `below` is at most `above`. Under `floor` (0.1) a ratio means
//! nothing. Of `readiness`: the `share` of instances that
//! are not ready (0.1) `for` 2 min, and the `deadline` (5 min) of a stage until which they have to be ready once. Of
//! `breakers`: open in a `share` (0.5) of the canary's instances and in under half as many of the baseline's; `within` (at
//! least 1 s) counts only those that open in the first part of a stage; `breakers` names them.
//!
//! In a warm-up, errors roll back only if they are above `warm_up_limit` as well, so a stage that is no longer than its
//! warm-up finds nothing smaller; `policy explain` and `plan check` warn of it.
//!
//! Not measured is not zero: an absent trigger is never a pass. Where requests are counted, an absent class of errors is 0.
//! Error-seconds of 0 beside server errors, or more than those, are not measured: the errors themselves count then.
//!
//! ## What simple rules do
//!
//! Simulated: 100 requests a second in the canary, 1,900 in the baseline, 0.1 % errors, 30 minutes. False rollbacks with
//! independent errors and with bursts of 5; median time to the verdict at 0.3 %, 2 % and 10 % errors in the canary.
//!
//! | rule | independent | bursts | 0.3 % | 2 % | 10 % |
//! |---|---|---|---|---|---|
//! | over 1.5 times, at least 1,000 requests, 3 x 1 min | 5.0 % | 35 % | 180 s | 180 s | 180 s |
//! | the same, 3 x 5 min | 0.0 % | 2.4 % | 900 s | 900 s | 900 s |
//! | chi-squared, p under 0.05, each minute | 17 % | 65 % | 60 s | 60 s | 60 s |
//! | Mann-Whitney each minute, from 5 min on | 17 % | 4.0 % | 300 s | 300 s | 300 s |
//! | the default policy | 0.1 % | 0.2 % | 91 s | 15 s | 2 s |
//!
//! A test that is made for one look and is looked at each minute finds something in the end. The triggers use sequential
//! tests, which may be read at every tick.
//!
//! ## False alarms and delays of the default policy
//!
//! ```console
//! $ cargo run --release --example false_alarms
//! ```
//!
//! It simulates 3,000 rollouts a row, as above unless the row says otherwise; `--only TEXT` picks rows, `--seed` other
//! rollouts. The bound is the upper one of the exact 95 % interval.
//!
//! | clean rollouts | rolled back | bound | goal |
//! |---|---|---|---|
//! | independent errors | 0.10 % | 0.29 % | 1 % |
//! | bursts of 5 | 0.17 % | 0.39 % | 1 % |
//! | bursts with a heavy tail | 0.17 % | 0.39 % | 1 % |
//! | bursts of 8 s | 39 % | 41 % | none |
//! | errors grow tenfold | 0.00 % | 0.12 % | 1 % |
//! | shared outage | 0.13 % | 0.34 % | 1 % |
//! | shared outage, uneven instances | 0.17 % | 0.39 % | 1 % |
//! | uneven instances | 0.17 % | 0.39 % | 1 % |
//! | instances come and go | 0.10 % | 0.29 % | 1 % |
//! | 5 % of all requests fail | 0.00 % | 0.12 % | 1 % |
//! | 20 % fail, bursts of 50 | 0.00 % | 0.12 % | 1 % |
//! | 4 % fail, uneven instances | 0.00 % | 0.12 % | 1 % |
//! | canary 45 times the baseline | 0.20 % | 0.43 % | 1 % |
//! | traffic mix shifts | 0.03 % | 0.19 % | 1 % |
//! | 20 segments (1,000 rollouts) | 0.40 % | 1.02 % | 1 % |
//! | latency noise of 5 % | 0.27 % | 0.52 % | 1 % |
//! | the same at 2,000 requests a second | 0.53 % | 0.86 % | 1 % |
//! | pauses of garbage collection | 0.10 % | 0.29 % | 2 % |
//! | cold start: 10 times the errors for a minute | 1.53 % | 2.04 % | 3 % |
//! | ticks of 0.5 s | 0.03 % | 0.19 % | 1 % |
//! | ticks of 5 s, bursts of 5 | 0.17 % | 0.39 % | 1 % |
//! | ticks of 15 s | 0.03 % | 0.19 % | 1 % |
//! | ticks of 15 s, bursts of 5 | 0.13 % | 0.34 % | 1 % |
//! | a tenth of the ticks missed | 0.40 % | 0.70 % | 1 % |
//! | counters reset each minute | 0.17 % | 0.39 % | 1 % |
//! | no error-seconds | 0.03 % | 0.19 % | 1 % |
//! | no error-seconds, bursts of 5 | 0.00 % | 0.12 % | 1 % |
//! | 1 request a second and instance | 0.27 % | 0.52 % | 1 % |
//! | 10,000, and one instance an arm | 0.00 % | 0.12 % | 1 % |
//! | 1,000 instances (1,000 rollouts) | 0.00 % | 0.37 % | 1 % |
//! | 0.01 % fail | 0.47 % | 0.78 % | 1 % |
//! | 30 % fail | 0.00 % | 0.12 % | 1 % |
//! | 10 coarse buckets | 0.23 % | 0.48 % | 1 % |
//! | latencies in one bucket, near its bound | 0.40 % | 0.70 % | 1 % |
//!
//! | faults | median | 90 % | goal | failed requests |
//! |---|---|---|---|---|
//! | 10 % fail | 2 s | 3 s | 2 s | 21 |
//! | 2 % fail | 15 s | 30 s | 15 s | 31 |
//! | 2 % fail, from minute 2 | 7 s | 10 s | 8 s | 15 |
//! | 3 times the errors | 91 s | 141 s | 85 s | 28 |
//! | 3 times the errors, from minute 15 | 89 s | 149 s | 85 s | 27 |
//! | 1.5 times 5 %, 2,000 requests a second | 12 s | 22 s | 35 s | 1786 |
//! | one of 20 segments: 2 % fail | 95 s | 129 s | none | 21 |
//! | latency x 1.25 | 36 s | 229 s | 45 s | 4 |
//! | latency x 1.5 | 5 s | 9 s | 12 s | 0 |
//! | latency x 1.5, from minute 15 | 53 s | 160 s | none | 5 |
//! | 2 % take 300 ms longer | 8 s | 14 s | 20 s | 1 |
//! | the same, latencies in one bucket | 5 s | 6 s | 20 s | 0 |
//! | 0.5 % take 1 s longer | 75 s | 322 s | none | 8 |
//!
//! Every goal holds but one that is not shown: with 20 segments, 4 of 1,000 rollouts leave the bound just above 1 %; it takes
//! more of them. In a burst of 8 s one of the canary's four instances fails a third of its requests: 7 % of the canary, which
//! two seconds are meant to find. A median up to 1.1 times its goal counts as met.
//!
//! ## What cannot be had
//!
//! - At 2 requests a second in the canary, 10 % errors take 20 s, 2 % take 80 s, and 0.3 % are found within 30 minutes in
//!   38 % of the cases. No rule does much better: let a stage last longer, or give it more traffic.
//! - A fault of 2 % that is found within 5 s and a ten-fold cold start that passes: there is no such test.
//! - A p99 that is 1.25 times the baseline's is found at the start of a stage only; later it looks like any noisy minute.
//!
//! ## Life of a verdict
//!
//! `rollback` latches: the numbers look fine once the traffic is gone. It ends with a new rollout, or with
//! [`Judge::override_by`](crate::rollback::Judge::override_by) and a name.
//!
//! `pause` holds until the evidence is under half of its threshold, or a person decides; its sentence says what would decide
//! it. Only good ticks lower the evidence. A new stage, the end of a warm-up, a hole in the data, a baseline or a circuit that
//! is no longer reported, other buckets: none of them ends a pause. A pause for want of data ends when the data is back.
//!
//! An override silences the triggers behind the decision, also one that rolled back and has recovered since. They act again
//! in the next stage, where they begin anew: the evidence before counts no more, and a fresh fault is found as soon as at the
//! start of the rollout. Where ticks have no stages, they stay silent to the end.
//!
//! `collecting` is no reason to promote. Data is missing where a trigger had some and then none for ten seconds, or for three
//! times its usual gap if that is longer; where it is required and never had any; and where no trigger at all is measured, of
//! those that are optional or only report as well. A comparison without its baseline is
//! missing data as well, for KPIs and latencies. Errors have a limit without a baseline: after 30 s, or three ticks, without
//! its requests the canary is judged alone, by twice the last rate of the baseline, with its standard error, which is large where
//! it had little traffic, or by `without_baseline`, and `without_baseline_requests` count from then on. KPIs are held to that
//! limit, too, and one without `without_baseline` is no
//! pass all the same.
//!
//! A stage of 100 % ends the baseline: from its first tick on, the canary is held to what the baseline was last. Twice its rate
//! of errors and of bad results, twice its share of slow requests over `late_margin` (of either, 1 % at least) and `ratio` times
//! its usual gauges are tolerated. What is not known of it is not measured: after a restart, start the last stage again from the
//! one before, or judge by recorded baselines and limits. Requests under 1 % of the canary's are stray ones and no baseline.
//!
//! Latencies are compared at the bounds of the buckets. Where these are far apart, a canary that is slower and stays in the next
//! bucket is found after minutes, or not at all; bounds as in
//! [`REQUEST_BUCKETS`](crate::telemetry::REQUEST_BUCKETS) show a tail that is 1.25 times as long.
//!
//! A stage begins a new warm-up; the evidence goes on. One that begins in a hole of the data (more than a minute, and three usual
//! gaps) has its warm-up and its time to become ready from its first tick on. Name stages by their plan (5, 20, 50), not by measured shares, which
//! would begin a new one with every tick.
