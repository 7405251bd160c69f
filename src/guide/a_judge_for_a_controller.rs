//! A judge for a controller: one process that judges a release, and what Argo Rollouts and Flagger ask it.
//!
//! # Running it
//!
//! ```text
//! backstop judge serve --service checkout --source scrape \
//!   --canary dns:checkout-canary:9090 --baseline dns:checkout-stable:9090 \
//!   --listen 0.0.0.0:9909 --token-file /etc/backstop/token --state /var/lib/backstop/checkout
//! ```
//!
//! One process for each service, and one replica of it: two would each see the same, and begin rollouts at different
//! moments. Services only export [signals](crate::signals). Which source:
//!
//! | | scrape | Prometheus |
//! |---|---|---|
//! | instances | up to some hundred | any number |
//! | a verdict after | seconds | a scrape interval or two more |
//! | needs | addresses of each arm | labels that tell the arms apart, such as `version` |
//! | an instance that is not ready | must be listed: a headless service with `publishNotReadyAddresses` | is a target whose `up` is 0 |
//!
//! Servers that ask who asks get `--bearer-token-file FILE`, or `--basic-auth-file FILE` with `user:password`. The file is read
//! at each look, so that a token that is renewed counts at once. `--ca-file` names the certificate authorities for https.
//!
//! Behind the Prometheus operator, targets have a label `service` of their own, and the exported one is renamed: add
//! `--service-label exported_service`.
//!
//! # Which rollout
//!
//! A verdict belongs to a rollout, and a new rollout ends what was judged before, a rollback among it. A rollout begins
//!
//! - by `POST /v1/rollout` with its name, such as the pod hash of the canary: Argo Rollouts sends it, a pipeline does by
//!   `curl -H "Authorization: Bearer $(cat token)" http://backstop-judge:9909/v1/rollout -d '{"rollout": "1.2.4"}'`. It always
//!   needs the token of `--token-file`;
//! - by the `checksum` in a hook of Flagger. A hook with one that was superseded is answered 403 for ten minutes;
//! - by itself, without a name, when the canary is back after it had no listed instance for a minute.
//!
//! The first name is given to what is judged already. `GET` changes nothing: `/v1/verdict?rollout=NAME` is the verdict on the
//! rollout of that name, and `collecting` with the reason while another one is judged. While one without a name is judged,
//! `pause` and `rollback` pass, and `continue` is `collecting`. So a controller that begins no rollout promotes nothing.
//!
//! # Restarts
//!
//! With `--state`, a process that was killed goes on where it was: it judges the ticks of the rollout again. The same file
//! explains a verdict later: `backstop judge --ticks DIR/ticks.N.jsonl --report page.html`. Beyond 16 MiB, hours of a usual
//! service, two ticks at a time become one, so that a restart after weeks judges no more than that; a pause or a rollback that
//! was reached holds all the same. Without state, it does not know
//! what it knew. For the first minute with data it answers `collecting` in place of `continue`, and `data` is `restarted`.
//!
//! # What the hooks of Flagger answer
//!
//! | | `continue` | `collecting` | `pause` | `rollback` |
//! |---|---|---|---|---|
//! | `rollback` | 403 | 403 | 403 | **200** |
//! | `confirm-rollout` | 200 | 200 | 403 | 403 |
//! | `confirm-traffic-increase` | 200 | 403, but 200 for the first step | 403 | 403 |
//! | `confirm-promotion` | 200 | 403 | 403 | 403 |
//!
//! - Only `continue` promotes: no data, too little data and a pause do not.
//! - `confirm-rollout` is asked before the canary is scaled up, where there is nothing to measure: `collecting` starts it.
//! - `confirm-traffic-increase` is asked before the first step as well. A canary without traffic has no data, so that step is
//!   allowed while the canary has had no request, and once more in case the controller could not take it. Every further
//!   step needs `continue`: a canary whose requests are not measured gets no more traffic.
//! - `rollback` is asked in each interval of an analysis. 403 is the usual answer, and means no.
//!
//! A hook that refuses raises an alert at each interval; `muteAlert: true` in the webhook leaves that out.
//!
//! # Who may ask
//!
//! Verdicts can be read by everybody who reaches the address. `POST /v1/rollout` needs the token of `--token-file` as
//! `Authorization: Bearer`, and hooks present it in `metadata.token`. Without `--token-file` there is no `POST /v1/rollout`,
//! and hooks need no token: then everybody who reaches the address can end what is judged, a rollback among it, by a hook with
//! a new `checksum`. So an address that other machines reach needs one, unless `--no-token` says that the network lets only the
//! controller through. A router in a program of your own does not know its address: give it a token there.
//!
//! Flagger has no reference to a Secret for a webhook: its token stands in the Canary, and who may read that has it. Let only
//! the controllers reach the port, as the `NetworkPolicy` in `deploy/kubernetes/judge.yaml` does, and few people read Canaries.
//!
//! # Overriding a verdict
//!
//! A rollback holds until the next rollout, and a pause until its evidence is under half of the threshold, or until a person
//! decides. With `--override-token-file`, that is one request:
//!
//! ```text
//! curl -H "Authorization: Bearer $(cat override.token)" http://backstop-judge:9909/v1/override \
//!   -d '{"by": "mira", "reason": "the errors are those of the load test"}'
//! ```
//!
//! It is in force at the next look and shown in each verdict. The triggers that had fired are silent for the rest of the stage,
//! and begin anew in the next one. Give controllers another token: they should not override anything.
//!
//! # Without a live baseline
//!
//! `backstop baseline record` writes the error rate and the p99 of the stable version by UTC hour of the week, only from
//! times whose verdict is `continue`. `judge serve --recorded FILE` tolerates twice that while no baseline is measured.
//!
//! # In a program of your own
//!
//! ```no_run
//! use backstop::rollback::Policy;
//! use backstop::rollout::judging::Judging;
//! use backstop::rollout::source::Prometheus;
//! use backstop::rollout::verdicts::{HookToken, router, serve};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::default();
//! let source = Prometheus::new("http://prometheus:9090", "checkout", r#"version="1.2.4""#)?
//!     .baseline(r#"version="1.2.3""#)
//!     .gauges(&policy);
//! let mut judging = Judging::new("checkout", policy, source).state("/var/lib/backstop/checkout")?;
//! let token = HookToken::new(std::fs::read_to_string("/etc/backstop/token")?.trim())?;
//! let router = router([judging.verdicts()], Some(token));
//! std::thread::spawn(move || {
//!     loop {
//!         judging.look();
//!         std::thread::sleep(std::time::Duration::from_secs(1));
//!     }
//! });
//! serve(tokio::net::TcpListener::bind("0.0.0.0:9909").await?, router).await;
//! # Ok(())
//! # }
//! ```
