//! The admin page of a program, and how it is set up.

use super::problem::Problem;
use super::routes;
use super::turned_away::TurnedAway;
use crate::bulkhead::Bulkhead;
use crate::clock::timestamp;
use crate::config::{ConfigError, Problems};
use crate::kill_switch::access::AccessList;
use crate::kill_switch::{Editor, KillSwitches};
use crate::registry::Registry;
use crate::sync::Arc;
use axum::Router;
use http::StatusCode;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Requests that are worked on at once. Operators are few.
const AT_ONCE: u32 = 16;

/// Breakers, bulkheads and switches of a program over HTTP. Clones are of the same one.
///
/// # Examples
///
/// ```
/// use backstop::Registry;
/// use backstop::admin::Admin;
/// use backstop::kill_switch::KillSwitches;
/// use backstop::kill_switch::access::AccessList;
///
/// let switches = KillSwitches::builder("shop").build()?;
/// let admin = Admin::builder(switches).registry(Registry::new()).access(AccessList::default()).build()?;
/// let app: axum::Router = axum::Router::new().nest("/backstop", admin.router());
/// # drop(app);
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Admin {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) switches: KillSwitches,
    pub(super) registry: Registry,
    pub(super) access: AccessList,
    pub(super) audit_file: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) turned_away: TurnedAway,
    at_once: Bulkhead,
}

impl Admin {
    /// Starts from the defaults: nothing but the switches, no tokens, 10 seconds for each step of a request.
    pub fn builder(switches: KillSwitches) -> AdminBuilder {
        AdminBuilder {
            switches,
            registry: Registry::new(),
            access: AccessList::default(),
            audit_file: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// The routes, to be nested in a router: `nest("/backstop", admin.router())`.
    ///
    /// Without tokens they only read. How long headers may take, and how many connections there may be, is up to the
    /// server that it is mounted in; [`serve`](Self::serve) brings its own.
    pub fn router(&self) -> Router {
        routes::router(&self.shared)
    }

    /// Whether somebody can change something: whether a token has not expired.
    pub fn has_live_token(&self) -> bool {
        self.shared.has_live_token()
    }
}

impl Shared {
    pub(super) fn has_live_token(&self) -> bool {
        let now = timestamp();
        self.access.grants().iter().any(|grant| grant.is_live(now))
    }

    pub(super) fn editor(&self) -> Result<Editor, Problem> {
        self.switches.editor().cloned().ok_or_else(Problem::no_store)
    }

    /// A place among the requests that are worked on.
    pub(super) fn begin(&self) -> Result<crate::bulkhead::Permit, Problem> {
        self.at_once.try_acquire().map_err(|_| Problem::busy())
    }

    /// Runs what blocks. The permit goes with it: a store that hangs holds up so many threads, and no more.
    pub(super) async fn in_background<T: Send + 'static>(
        &self,
        permit: crate::bulkhead::Permit,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the store panicked")),
            Err(_) => {
                let detail =
                    "the store takes too long: what was asked for may still happen, so look before you repeat it";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "slow_store", detail))
            }
        }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Admin")
            .field("switches", &shared.switches.name())
            .field("grants", &shared.access.grants().len())
            .finish()
    }
}

/// Sets up an admin page. Setters never fail; `build` returns every problem at once.
pub struct AdminBuilder {
    switches: KillSwitches,
    registry: Registry,
    access: AccessList,
    audit_file: Option<PathBuf>,
    timeout: Duration,
}

impl AdminBuilder {
    /// The breakers and bulkheads that are shown. Default: none.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Who may do what. Default: nobody may change anything, and whoever is on this machine may read.
    #[must_use]
    pub fn access(mut self, access: AccessList) -> Self {
        self.access = access;
        self
    }

    /// The file of the audit, to be read. Default: none. Changes are written to where the switches'
    /// [`audit`](crate::kill_switch::KillSwitchesBuilder::audit) writes.
    #[must_use]
    pub fn audit_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.audit_file = Some(path.into());
        self
    }

    /// How long each of these may take: the headers of a request, its body, the store, and the answer's way back.
    /// Default: 10 s. Valid: 10 ms to 10 minutes.
    ///
    /// Smaller drops slow clients sooner; larger waits for a slow store.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub fn build(self) -> Result<Admin, ConfigError> {
        let Self { switches, registry, access, audit_file, timeout } = self;
        let mut problems = Problems::default();
        if timeout < Duration::from_millis(10) || timeout > Duration::from_secs(600) {
            problems.add("timeout", format!("{timeout:?}"), "from 10ms to 10 minutes");
        }
        problems.into_result(())?;
        let at_once = Bulkhead::builder("backstop-admin").max_concurrent_calls(AT_ONCE).build()?;
        let turned_away = TurnedAway::new()?;
        let shared = Arc::new(Shared { switches, registry, access, audit_file, timeout, turned_away, at_once });
        Ok(Admin { shared })
    }
}

impl fmt::Debug for AdminBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminBuilder").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
