//! # Kill switches
//!
//! A breaker protects you from what you can measure. A kill switch is for everything else: wrong prices, a page that
//! offends, a model that answers nonsense, a bill that grows. A person, or a rule that a person wrote, turns *one
//! capability* off.
//!
//! ## What gets a switch
//!
//! What the business can do without for an hour: recommendations, exports, a new checkout, one expensive query. Not
//! the whole service; that has a load balancer. If nobody can say what the page looks like without it, it is not ready
//! for a switch, which is why a gate is no layer until it has been told:
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
//!             .respond(), // 503, in the words of every other rejection
//!     );
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! In a handler the other answer stands beside the first:
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
//! ## Nobody has said anything yet
//!
//! A switch is *engaged*, *released*, or **unknown**: no document has been read that defines it. Unknown is never
//! taken for released in silence; what happens is declared where the switch is asked for. `OnUnknown::Allow` is for
//! what worked before the switch was there. `OnUnknown::Block` is for what must not run unless somebody can stop it:
//! then a start without the store is a start without the capability. A disk snapshot of the last good document
//! (`KillSwitchesBuilder::snapshot`) makes that rare, a document baked into the binary makes it rarer.
//!
//! ## How much to turn off
//!
//! As little as stops the damage. A scope names routes, tenants, regions, audiences, and a share of the keys, all of
//! which have to hold. One that names nothing is refused; everybody is `Scope::all()`, said aloud. Who is inside 1 % is inside 10 %: widening a scope takes nobody out.
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
//! ## Not everywhere at once
//!
//! A kill switch can be the outage: its other answer was never tried, or is slow, or fills a log. Let the document lay
//! down a way through the fleet, and every engagement begins at its first stage:
//!
//! ```console
//! $ backstop switch stages instance:web-1 region:eu --reason "one, then Europe, then all"
//! $ backstop switch engage recommendations --all --reason "wrong prices" --check http://127.0.0.1:8080/health
//! ```
//!
//! With something to look at, the command goes on by itself as long as all is well, and stays where it is else: then
//! somebody decides whether to go back or on (`advance`). In a program it is
//! [`StagedEngage`](crate::kill_switch::staged::StagedEngage). When there is no time, `--now` leaves the stages out, and
//! history and audit tell that somebody did.
//!
//! ## Where the document is
//!
//! A file that every instance can read: in Kubernetes a mounted `ConfigMap`, elsewhere whatever copies files. The
//! store follows a rename, the swap of `..data` and a write in place. Whatever it cannot understand changes nothing,
//! and what is engaged stays engaged; `backstop_kill_switch_store_stale_seconds` says how old the last good reading is.
//! Several stores mean several boards: one document, one board.
//!
//! When the document itself is damaged, deleted, or brought back from an older time, nothing that a program has in force
//! changes, and a change that could not come into force is refused rather than acknowledged. The way back is
//! `backstop switch restore`: with the admin address of a program that runs, it is the very document that is in force
//! there; from the file alone, the newest of its history.
//!
//! ## Who may
//!
//! Engaging is cheap and reversible and should need nobody's leave. Releasing, retiring and lengthening are where
//! incidents come back; [`Change::TwoPerson`](crate::kill_switch::Change::TwoPerson) asks a second person for these,
//! and break-glass goes past it, loudly. Every change names who and why, is a generation of its own, and stands in
//! the audit, each line of which holds the hash of the one before it.
//!
//! Over HTTP ([`admin`](crate::admin)) a token says who somebody is and what they may do: `backstop switch token` makes
//! one, and only its hash is kept. What is refused to somebody with a token stands in the audit, too.
//!
//! Automation may engage, as far as the definition's `max_automatic` and `max_automatic_spread` let it, through the same
//! stages as people and no further, and never release: what it saw may have
//! gone *because* the switch is engaged. [`automatic`](crate::kill_switch::auto_engage) has the guards. A pin set by a
//! person stops it from trying.
//!
//! ## Does it work?
//!
//! A switch that nobody has pulled is a hope. Exercise both states in tests, pull it in production on a quiet day
//! (a [drill](crate::kill_switch::drill), with its time to disable and to verify on record), and give it a date on
//! which somebody has to say whether it is still wanted: the definition's `expires`. An expired definition still
//! works; it is a warning in metrics, not an outage.
//!
//! ```console
//! $ backstop switch drill recommendations --tenant drill --reason "november" \
//!     --instance http://127.0.0.1:9901 --page http://127.0.0.1:8080/recommendations --header "x-tenant: drill"
//! ```
//!
//! engages it for real, waits until every instance says that it is off and its page shows it, releases it, and waits
//! again. It tells the percentiles of all four times. If the command is interrupted, `drill --end` releases what it left,
//! and otherwise that ends by itself.
