//! # Kill switches
//!
//! A breaker protects you from what you can measure. A kill switch is for everything else: wrong prices, an
//! offensive page, a model that answers nonsense, a growing bill. A person, or a rule that a person wrote, turns
//! *one capability* off.
//!
//! ## What gets a switch
//!
//! A capability the business can do without for an hour: recommendations, exports, a new checkout, one expensive
//! query. Not the whole service; that has a load balancer. If you cannot say what the page looks like without the
//! capability, it is not ready for a switch, which is why a gate becomes a layer only after you have declared its
//! answer while engaged:
//!
//! ```
//! use axum::{Router, extract::{OriginalUri, Request}, routing::get};
//! use backstop::kill_switch::{KillSwitches, OnUnknown, Target};
//!
//! /// Dimensions of a request: those that an operator may name in a scope.
//! fn target(request: &Request) -> Target<'_> {
//!     // A nested router sees the path without its prefix; operators type the whole one.
//!     let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |OriginalUri(uri)| uri);
//!     let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
//!     Target::new().route(uri.path()).tenant(header("x-tenant")).key(header("x-user"))
//! }
//!
//! let switches = KillSwitches::builder("shop").build()?;
//! let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
//! let app: Router = Router::new()
//!     .route("/recommendations", get(|| async { "for you" }))
//!     .layer(
//!         recommendations.layer().target(target).respond(), // 503, in the format of every other rejection
//!     );
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! State every dimension that an operator may name at 3 am. A request that states no tenant passes while the switch is
//! engaged for one tenant, and one without a key passes every percentage. Such requests are counted
//! (`backstop_kill_switch_undecided_total`), and the status, the log and `backstop switch list --admin` name the dimension
//! that is missing. An empty value states nothing.
//!
//! In a handler, pass that answer to `call_or`:
//!
//! ```
//! use backstop::kill_switch::{KillSwitch, Target};
//!
//! async fn page(recommendations: &KillSwitch, tenant: &str) -> Result<String, std::io::Error> {
//!     let ask = async { Ok("for you: …".to_owned()) };
//!     recommendations.call_or(&Target::new().tenant(tenant), ask, |_| Ok("bestsellers".to_owned())).await
//! }
//! ```
//!
//! ## Before the first document
//!
//! A switch is *engaged*, *released*, or **unknown**: no document that defines it has been read. Unknown is never
//! silently treated as released; you declare what happens when you create the switch. `OnUnknown::Allow` is for
//! capabilities that existed before the switch. `OnUnknown::Block` is for those that must not run unless they can
//! be stopped: a start without the store is then a start without the capability. A snapshot on disk of the last
//! good document (`KillSwitchesBuilder::snapshot`) makes that rare, and a document baked into the binary makes it
//! rarer.
//!
//! ## How much to turn off
//!
//! As little as stops the damage. A scope names routes, tenants, regions, audiences, and a share of the keys, and a
//! request has to match all of them. An empty scope is rejected; to engage for everyone, write `Scope::all()`. Keys
//! inside 1 % are inside 10 %: widening a scope never drops a key. The share is taken from a hash of the target's
//! key (a user, a tenant) together with the switch's id, so two switches do not hit the same people.
//!
//! ```
//! use backstop::kill_switch::Scope;
//!
//! let for_one = Scope::new().tenant("acme").route("/recommendations");
//! let for_some = Scope::new().tenant("acme").tenant("initech").percent(10.0);
//! assert!(Scope::all().covers(&for_one) && !for_one.covers(&for_some));
//! ```
//!
//! Engaging again for less would turn the capability on for the rest: it is refused unless you say `--replace`.
//! `--add` engages for more. `revert` undoes your own last change of one switch and prints what is on again; to undo more,
//! name every switch and everybody else whose change it undoes.
//!
//! ## Engaging in stages
//!
//! A kill switch can cause the outage: its degraded answer was never tried, or is slow, or fills a log. Define
//! stages in the document, and every engagement begins at the first one:
//!
//! ```console
//! $ backstop switch stages instance:web-1 region:eu --reason "one, then Europe, then all"
//! $ backstop switch engage recommendations --all --reason "wrong prices" --check http://127.0.0.1:8080/health
//! ```
//!
//! With `--check`, the command advances by itself while the checks pass. When one fails it stays at the current
//! stage, and a person decides whether to revert or to `advance`. In a program, use
//! [`StagedEngage`](crate::rollout::staged::StagedEngage). When there is no time, `--now` skips the stages, and
//! the history and the audit record it.
//!
//! ## Where the document is
//!
//! In a file that every instance can read: in Kubernetes a mounted `ConfigMap`, elsewhere a file distributed by
//! your own tools. The store follows a rename, the swap of `..data` and a write in place. A document that cannot be
//! read changes nothing, and what is engaged stays engaged; `backstop_kill_switch_store_stale_seconds` is the age
//! of the last good read. Mount the directory of the file, not the file: a mount of a file keeps the old one when it is
//! replaced. A new file is for its owner alone unless the directory's group may write there; where the service is of
//! another user, define the first switch with `--mode 0644`. Build one `KillSwitches` for each document; several documents need several of them.
//!
//! If the document is damaged, deleted, or replaced by an older one, the document in force in each program does not
//! change, and a change that could not take effect is rejected rather than acknowledged. To recover, run `backstop
//! switch restore`: with the admin address of a running program it writes the document in force there; with the
//! file alone, the newest of its history.
//!
//! ## Permissions
//!
//! Engaging is cheap and reversible and should need no approval. Releasing, retiring and extending are where
//! incidents come back; [`Change::TwoPerson`](crate::kill_switch::Change::TwoPerson) requires a second person for
//! these, and break-glass bypasses it, visibly. Every change names its author and reason, is a generation of its
//! own, and is recorded in the audit, where each line holds the hash of the line before it.
//!
//! Over HTTP ([`admin`](crate::admin)) a token identifies its holder and grants verbs: `backstop switch token`
//! creates one, and only its hash is stored; `token revoke` ends it within two seconds in programs that follow the list
//! ([`AdminBuilder::access_file`](crate::admin::AdminBuilder::access_file)). Rejected requests that carried a known token are audited, too.
//!
//! Automation may engage, within the definition's `max_automatic` and `max_automatic_spread`, through the same
//! stages as people, and may never release: the symptom it watches may be gone *because* the switch is engaged.
//! With [`auto_engage`](crate::kill_switch::auto_engage), the judge of a [rollback policy](crate::rollback::Policy) decides. A pin set by a
//! person holds it back.
//!
//! ## Does it work?
//!
//! A switch that was never used is a hope. Test both states, engage it in production on a quiet day (a
//! [drill](crate::kill_switch::drill) records the times to disable and to verify), and set the definition's
//! `expires`, the date by which its owner confirms that it is still needed. An expired definition still works; it
//! is a warning in the metrics, not an outage.
//!
//! ```console
//! $ backstop switch drill recommendations --tenant drill --reason "november" \
//!     --instance http://127.0.0.1:9901 --page http://127.0.0.1:8080/recommendations --header "x-tenant: drill"
//! ```
//!
//! engages the switch for real, waits until every instance reports it engaged and the page shows it, releases it,
//! and waits again. It reports the percentiles of all four times. If the command is interrupted, `drill --end`
//! releases its engagement; otherwise the engagement expires by itself.
