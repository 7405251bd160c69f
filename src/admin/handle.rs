//! The admin page of a program, and how it is set up.

use super::access::Access;
use super::denied_log::DeniedLog;
use super::routes;
use super::shared::{AT_ONCE, Shared};
use crate::bulkhead::Bulkhead;
use crate::config::{ConfigError, Problem};
use crate::kill_switch::KillSwitches;
use crate::kill_switch::access::AccessList;
use crate::registry::Registry;
use crate::sync::Arc;
use axum::Router;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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

impl Admin {
    /// Starts from the defaults: nothing but the switches, no tokens, 10 seconds for each step of a request.
    pub fn builder(switches: KillSwitches) -> AdminBuilder {
        AdminBuilder {
            switches,
            registry: Registry::new(),
            access: AccessList::default(),
            access_file: None,
            audit_file: None,
            #[cfg(feature = "rollout")]
            rollouts: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// The routes, to be nested in a router: `nest("/backstop", admin.router())`.
    ///
    /// Without tokens they answer nothing: what is in front of them may be open to everybody. How long headers may take, and how many connections there may be, is up to the
    /// server that it is mounted in; [`serve`](Self::serve) brings its own.
    pub fn router(&self) -> Router {
        routes::router(&self.shared, false)
    }

    /// Returns whether changes are possible: whether a token is still valid.
    pub fn has_live_token(&self) -> bool {
        self.shared.has_live_token()
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Admin")
            .field("switches", &shared.switches.name())
            .field("grants", &shared.access.current().grants().len())
            .finish()
    }
}

/// Sets up an admin page. Setters never fail; `build` returns every problem at once.
#[must_use = "it does nothing before `build`"]
pub struct AdminBuilder {
    switches: KillSwitches,
    registry: Registry,
    access: AccessList,
    access_file: Option<PathBuf>,
    audit_file: Option<PathBuf>,
    #[cfg(feature = "rollout")]
    rollouts: Option<PathBuf>,
    timeout: Duration,
}

impl AdminBuilder {
    /// The breakers and bulkheads that are shown. Default: none.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The access list. Default: no changes, and reads on a loopback listener of its own ([`Admin::bind`]) alone.
    pub fn access(mut self, access: AccessList) -> Self {
        self.access = access;
        self
    }

    /// The access list in a file, as `backstop switch token` writes it. It is read again every second, so that a revoked
    /// token ends without a restart; if it cannot be read, the list of before stays, with a warning. Default: none.
    pub fn access_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.access_file = Some(path.into());
        self
    }

    /// The file of the audit, to be read. Default: none. Changes are written to the audit of the switches'
    /// [`audit`](crate::kill_switch::KillSwitchesBuilder::audit) writes.
    pub fn audit_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.audit_file = Some(path.into());
        self
    }

    /// The state directory of rollouts that are shown and take commands. Default: none.
    ///
    /// Where no controller runs, a rollback is carried out here: the commands of its plan run as this process.
    #[cfg(feature = "rollout")]
    pub fn rollouts(mut self, state: impl Into<PathBuf>) -> Self {
        self.rollouts = Some(state.into());
        self
    }

    /// Time limit of each step: the headers of a request, its body, the store, and the answer.
    /// Default: 10 s. Valid: 10 ms to 10 minutes.
    ///
    /// Smaller drops slow clients sooner; larger waits for a slow store.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// # Errors
    ///
    /// Every setting that is out of its range, and an access list that cannot be read.
    pub fn build(self) -> Result<Admin, ConfigError> {
        let Self { switches, registry, access, access_file, audit_file, timeout, .. } = self;
        #[cfg(feature = "rollout")]
        let rollouts = self.rollouts;
        if timeout < Duration::from_millis(10) || timeout > Duration::from_secs(600) {
            let problem = Problem::new("timeout", format!("{timeout:?}"), "from 10ms to 10 minutes");
            return Err(ConfigError::of(problem));
        }
        if access_file.is_some() && !access.grants().is_empty() {
            return Err(ConfigError::of(Problem::new("access_file", "with access", "one of the two")));
        }
        let access = Access::new(access, access_file)?;
        let at_once = Bulkhead::builder("backstop-admin").max_concurrent_calls(AT_ONCE).build()?;
        let denied_log = DeniedLog::new()?;
        let shared = Arc::new(Shared {
            switches,
            registry,
            access,
            audit_file,
            #[cfg(feature = "rollout")]
            rollouts,
            timeout,
            denied_log,
            at_once,
        });
        Ok(Admin { shared })
    }
}

impl fmt::Debug for AdminBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminBuilder").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
