//! One switch, as the program holds it.

use super::runtime::gate::Gate;
use crate::config::{ConfigError, Problem, intern};
use crate::kill_switch::{KillSwitches, OnUnknown, State, SwitchId, Target};
use crate::reject::{CallError, RejectReason, Rejected};
use crate::sync::{Arc, Ordering};
use std::fmt;
use std::future::Future;

/// One switch: a cheap handle, made by [`KillSwitches::switch`].
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::{KillSwitches, OnUnknown, State, Target};
///
/// let switches = KillSwitches::builder("shop").build()?;
/// let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
/// match recommendations.check(&Target::new().tenant("acme")) {
///     Ok(State::Unknown) => println!("not defined yet: allowed, as declared above"),
///     Ok(_) => println!("on"),
///     Err(rejected) => println!("off: {rejected}"),
/// }
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct KillSwitch {
    pub(super) gate: Arc<Gate>,
    /// Keeps the switches alive that update this one.
    shared: KillSwitches,
}

impl KillSwitch {
    /// The id, as it stands in documents, metrics and rejections.
    pub fn name(&self) -> &'static str {
        self.gate.name
    }

    /// The switches that it belongs to.
    pub fn switches(&self) -> &KillSwitches {
        &self.shared
    }

    /// State of the switch for a request. Nothing is counted.
    pub fn state(&self, target: &Target<'_>) -> State {
        self.gate.state(target)
    }

    /// Returns whether the switch is engaged on this instance, for any request.
    pub fn is_engaged(&self) -> bool {
        self.gate.is_engaged()
    }

    /// Asks for one request. Where nothing is engaged it costs one load.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the switch is engaged for the request, or unknown and declared to block then.
    #[inline]
    pub fn check(&self, target: &Target<'_>) -> Result<State, Rejected> {
        if self.gate.is_released() { Ok(State::Released) } else { self.check_with_care(target) }
    }

    /// Returns whether every request is let through, and that is known.
    #[inline]
    pub(crate) fn is_released(&self) -> bool {
        self.gate.is_released()
    }

    /// Returns whether every request is blocked.
    pub(crate) fn blocks_everybody(&self) -> bool {
        self.gate.blocks_everybody()
    }

    #[inline]
    fn check_with_care(&self, target: &Target<'_>) -> Result<State, Rejected> {
        match self.gate.decide(target) {
            State::Engaged => Err(self.gate.rejected(RejectReason::Engaged)),
            State::Unknown if self.gate.on_unknown == OnUnknown::Block => {
                Err(self.gate.rejected(RejectReason::SwitchUnknown))
            }
            state => Ok(state),
        }
    }

    /// Runs a future unless the switch is engaged; then `fallback` answers, with [`CallError::Rejected`], and is counted.
    /// The future's own errors pass: a degraded mode does not hide them.
    ///
    /// # Errors
    ///
    /// The future's error, or the one that `fallback` returns.
    ///
    /// # Cancel safety
    ///
    /// That of the future.
    pub async fn call_or<T, E>(
        &self,
        target: &Target<'_>,
        future: impl Future<Output = Result<T, E>>,
        fallback: impl FnOnce(CallError<E>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.check(target) {
            Ok(_) => future.await,
            Err(rejected) => {
                self.count_fallback();
                fallback(rejected.into())
            }
        }
    }

    /// Runs a future unless the switch is engaged: the error is the degraded mode.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    ///
    /// # Cancel safety
    ///
    /// That of the future.
    pub async fn call<T, E>(
        &self,
        target: &Target<'_>,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        self.check(target)?;
        future.await.map_err(CallError::Inner)
    }

    /// Requests that were blocked since the program began.
    pub fn blocked(&self) -> u64 {
        self.gate.blocked.load(Ordering::Relaxed)
    }

    pub(crate) fn count_fallback(&self) {
        self.gate.fallbacks.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(clippy::missing_fields_in_debug, reason = "it shows the state that its fields lead to")]
impl fmt::Debug for KillSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.gate.state(&Target::new());
        f.debug_struct("KillSwitch").field("name", &self.name()).field("state", &state).finish()
    }
}

impl KillSwitches {
    /// A switch of the program. `on_unknown` says what holds as long as no document knows it.
    ///
    /// A definition that says otherwise changes nothing: the declaration decides while no document is known.
    /// [`Event::Differing`](super::Event::Differing), the log and [`Status::differing`](super::Status::differing)
    /// report it.
    ///
    /// # Errors
    ///
    /// An id that is not of the form `[a-z0-9][a-z0-9._-]{0,127}`, or that was asked for before with another
    /// `on_unknown`.
    pub fn switch(&self, id: &str, on_unknown: OnUnknown) -> Result<KillSwitch, ConfigError> {
        let id = SwitchId::new(id)?;
        let name = intern("switch", id.as_str())?;
        let gate = {
            let mut gates = self.shared.gates.lock();
            let make = || Arc::new(Gate::new(name, id.clone(), on_unknown, self.shared.region.as_deref()));
            Arc::clone(gates.entry(id.clone()).or_insert_with(make))
        };
        if gate.on_unknown != on_unknown {
            let allowed = format!("{:?}, as where {id} was asked for first", gate.on_unknown);
            return Err(ConfigError::of(Problem::new("on_unknown", format!("{on_unknown:?}"), allowed)));
        }
        self.shared.bring_into_force();
        self.shared.tell();
        Ok(KillSwitch { gate, shared: self.clone() })
    }
}
