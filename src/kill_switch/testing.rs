//! Switches in the hands of a test, as [`Clock::manual`](crate::clock::Clock::manual) is for time.

use super::store::memory::MemoryStore;
use crate::clock::{Timestamp, timestamp};
use crate::kill_switch::{Author, Change, Definition, Engage, KillSwitches, OnUnknown, Scope, State, SwitchId};
use std::time::Duration;

/// Engages and releases switches in tests. Made by [`KillSwitches::manual`].
///
/// Every path that a switch leads to has to be walked before the incident: once with the switch released and once with
/// it engaged, which is what [`in_both_states`](Self::in_both_states) does.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::{KillSwitches, OnUnknown, State, Target};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), backstop::ConfigError> {
/// let (switches, hand) = KillSwitches::manual();
/// let recommendations = switches.switch("recommendations", OnUnknown::Allow)?; // in your own code
/// let page = async || {
///     let made_for_you = async { Ok::<_, ()>("made for you") };
///     recommendations.call_or(&Target::new(), made_for_you, |_| Ok("bestsellers")).await
/// };
/// hand.in_both_states("recommendations", async |state| match state {
///     State::Engaged => assert_eq!(page().await, Ok("bestsellers")),
///     _ => assert_eq!(page().await, Ok("made for you")),
/// })
/// .await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TestSwitches(KillSwitches);

impl KillSwitches {
    /// Switches for tests, and a hand on them. Each is unknown until the hand first touches it.
    #[expect(clippy::missing_panics_doc, reason = "the settings do not depend on the caller")]
    pub fn manual() -> (Self, TestSwitches) {
        let switches = Self::builder("manual").store(MemoryStore::new()).poll(Duration::from_secs(3_600));
        let switches = switches.build().expect("the settings are in their ranges");
        (switches.clone(), TestSwitches(switches))
    }
}

impl TestSwitches {
    /// Engages a switch for all, from the next request on.
    ///
    /// # Panics
    ///
    /// If the id is invalid, as every method here: a test should fail then.
    #[track_caller]
    pub fn engage(&self, id: &str) {
        self.engage_for(id, Scope::all());
    }

    /// Engages a switch for this scope, instead of whatever it was engaged for.
    ///
    /// # Panics
    ///
    /// If the id or the scope is invalid.
    #[track_caller]
    pub fn engage_for(&self, id: &str, scope: Scope) {
        let switch = self.known(id);
        self.change(&Change::Engage(Engage::new(switch, scope).replace()));
    }

    /// Releases a switch, or makes an unknown one known as released.
    ///
    /// # Panics
    ///
    /// If the id is invalid.
    #[track_caller]
    pub fn release(&self, id: &str) {
        let switch = self.known(id);
        let document = self.0.document();
        if document.is_some_and(|document| document.switch(id).is_some_and(|switch| switch.engaged.is_some())) {
            self.change(&Change::Release { switch });
        }
    }

    /// Runs a test with the switch released, then engaged for all, then releases it. The test hears which it is.
    ///
    /// # Panics
    ///
    /// If the id is invalid.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the switch as it is.
    pub async fn in_both_states(&self, id: &str, mut test: impl AsyncFnMut(State)) {
        self.release(id);
        test(State::Released).await;
        self.engage(id);
        test(State::Engaged).await;
        self.release(id);
    }

    #[track_caller]
    fn known(&self, id: &str) -> SwitchId {
        let switch = SwitchId::new(id).expect("it is the id of a switch");
        if self.0.document().is_none_or(|document| document.switch(id).is_none()) {
            let declared = self.0.shared.gates.lock().get(&switch).map(|gate| gate.on_unknown);
            let on_unknown = declared.unwrap_or(OnUnknown::Allow);
            let definition = Definition::new("test", "what is tested", Timestamp::MAX, on_unknown);
            self.change(&Change::Define { switch: switch.clone(), definition });
        }
        switch
    }

    #[track_caller]
    fn change(&self, change: &Change) {
        let by = Author::person("test", timestamp()).because("a test");
        if let Err(error) = self.0.change(change, &by) {
            panic!("{change}: {error}");
        }
    }
}
