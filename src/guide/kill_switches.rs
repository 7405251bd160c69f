//! # Kill switches
//!
//! A breaker protects you from what you can measure. A kill switch is for everything else: wrong prices, a page that
//! offends, a model that answers nonsense, a bill that grows. A person, or a rule that a person wrote, turns *one
//! capability* off.
//!
//! ## What gets a switch
//!
//! What the business can do without for an hour: recommendations, exports, a new checkout, one expensive query. Not
//! the whole service; that has a load balancer. A capability is ready for a switch once its degraded mode is known: what
//! the page shows without it. So the layer does not compile without one:
//!
//! ```
//! use axum::{Router, extract::Request, routing::get};
//! use backstop::kill_switch::{KillSwitches, OnUnknown, Target};
//!
//! let switches = KillSwitches::builder("shop").build()?;
//! let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
//! let app: Router = Router::new()
//!     .route("/recommendations", get(|| async { "for you" }))
//!     .layer(
//!         recommendations
//!             .layer()
//!             .target(|request: &Request| {
//!                 let tenant = request.headers().get("x-tenant").and_then(|tenant| tenant.to_str().ok());
//!                 Target::new().route(request.uri().path()).tenant(tenant.unwrap_or_default())
//!             })
//!             .respond(), // 503 with problem+json, like every other rejection
//!     );
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! In a handler the fallback is an argument of the call:
//!
//! ```
//! use backstop::kill_switch::{KillSwitch, Target};
//!
//! async fn page(recommendations: &KillSwitch, tenant: &str) -> Result<String, std::io::Error> {
//!     let ask = async { Ok("for you: …".to_owned()) };
//!     recommendations.call_or(&Target::new().tenant(tenant), ask, |_| Ok("what everybody buys".to_owned())).await
//! }
//! ```
//!
//! ## Unknown
//!
//! A switch is *engaged*, *released*, or **unknown**: no document has been read that defines it. Unknown is not
//! the same as released: what it does is declared when the handle is created. `OnUnknown::Allow` suits a capability that
//! worked before it had a switch. `OnUnknown::Block` suits one that must not run without a way to stop it: a start
//! without the store is then a start without the capability. A snapshot of the last good document on disk
//! (`KillSwitchesBuilder::snapshot`) makes that rare; a document embedded in the binary makes it rarer.
//!
//! ## How much to turn off
//!
//! As little as stops the damage. A scope names routes, tenants, regions, audiences, and a share of the keys, all of
//! which must match. A scope that names nothing is rejected; everybody is `Scope::all()`. A key inside 1 % is also inside
//! 10 %: a larger share keeps every key of the smaller one.
//! The share is by the key of the target (a user, a tenant), hashed together with the switch's id, so two switches do
//! not hit the same people.
//!
//! ```
//! use backstop::kill_switch::Scope;
//!
//! let for_one = Scope::new().tenant("acme").route("/recommendations");
//! let for_some = Scope::new().tenant("acme").tenant("initech").percent(10.0);
//! assert!(Scope::all().covers(&for_one) && !for_one.covers(&for_some));
//! ```
//!
//! ## Stages
//!
//! An engagement can cause an outage itself: its degraded mode was never tried, or is slow, or fills a log. With stages in
//! the document, every engagement begins at the first:
//!
//! ```console
//! $ backstop switch stages instance:web-1 region:eu --reason "one, then Europe, then all"
//! $ backstop switch engage recommendations --all --reason "wrong prices" --check http://127.0.0.1:8080/health
//! ```
//!
//! With a check, the command advances by itself while the check passes and stops where it fails: then a person reverts or
//! advances (`advance`). In a program it is [`StagedEngage`](crate::kill_switch::staged::StagedEngage). When there is no
//! time, `--now` skips the stages; history and audit record that.
//!
//! ## Where the document is
//!
//! A file that every instance can read: in Kubernetes a mounted `ConfigMap`, elsewhere whatever copies files. The
//! store follows a rename, the swap of `..data` and a write in place. A document that cannot be read changes nothing,
//! and an engaged switch stays engaged; `backstop_kill_switch_store_stale_seconds` says how old the last good reading is.
//! One store holds one document; several stores need several `KillSwitches`.
//!
//! When the document itself is damaged, deleted, or brought back from an older time, running instances
//! keep the document in force, and a change that could not come into force is rejected. `backstop switch restore` repairs
//! the store: given the admin address of a running program, with the document in force there; from the file alone, with
//! the newest of its history.
//!
//! ## Permissions
//!
//! Engaging is cheap and reversible and needs no approval. Releasing, retiring and extending bring incidents back;
//! [`Change::TwoPerson`](crate::kill_switch::Change::TwoPerson) requires a second person for these, and break-glass
//! overrides it and is audited as such. Every change has an author and a reason, is a generation of its own, and has a
//! line in the audit with the hash of the line before it.
//!
//! Over HTTP ([`admin`](crate::admin)) a token names its holder and their verbs: `backstop switch token` makes one, and
//! only its hash is kept. A rejected change of a token's holder is audited, too.
//!
//! Automation may engage, within the definition's `max_automatic` and `max_automatic_spread`, through the same stages as
//! people, and never release: the symptom may be gone *because* the switch is engaged. [`auto_engage`](crate::kill_switch::auto_engage)
//! has the guards. A pin set by a person stops it.
//!
//! ## Drills
//!
//! A switch that was never engaged may not work. Test both states, run a [drill](crate::kill_switch::drill) in production
//! on a quiet day (it records the time to engage and to verify), and give the definition a date of review: `expires`. An
//! expired definition still works; it is a warning in the metrics.
//!
//! ```console
//! $ backstop switch drill recommendations --tenant drill --reason "november" \
//!     --instance http://127.0.0.1:9901 --page http://127.0.0.1:8080/recommendations --header "x-tenant: drill"
//! ```
//!
//! engages the switch, waits until every instance reports it engaged and the page shows it, releases it, and waits
//! again. It prints the percentiles of all four times. If it is interrupted, `drill --end` releases the engagement, which
//! also expires by itself.
