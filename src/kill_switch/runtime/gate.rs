//! One switch as requests see it: a word that is loaded, and the rules behind it when the word says so.
//!
//! Nothing engaged costs a request one relaxed load: no clock, no lock, no allocation. A word that is a moment old is
//! as good as a request that came a moment earlier.

use super::compiled_scope::Match;
use super::effect::{Doubt, Effect};
use crate::kill_switch::{CompiledScope, OnUnknown, Scope, Sha256, SwitchId, Target, Trigger};
use crate::reject::{Mechanism, RejectReason, Rejected};
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};
use arc_swap::ArcSwapOption;

/// State of a switch for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum State {
    /// The capability is off for the request that was asked about.
    Engaged,
    /// It is on.
    Released,
    /// No document has been read that knows the switch: what then happens was declared in the program.
    Unknown,
}

const RELEASED: u64 = 0;
const ENGAGED: u64 = 1;
const SCOPED: u64 = 2;
const UNKNOWN_ALLOWED: u64 = 3;
const UNKNOWN_BLOCKED: u64 = 4;

pub(crate) struct Gate {
    /// The switch's id, kept for the process.
    pub(crate) name: &'static str,
    pub(crate) id: SwitchId,
    pub(crate) on_unknown: OnUnknown,
    region: Option<Box<str>>,
    word: AtomicU64,
    rule: ArcSwapOption<Rule>,
    /// The document that the rule is of.
    rule_of: Mutex<Option<Sha256>>,
    pub(crate) blocked: AtomicU64,
    pub(crate) fallbacks: AtomicU64,
    /// Requests that passed an engaged scope because they lacked a dimension that it asks for.
    pub(crate) undecided: AtomicU64,
    /// Kind of the doubt that was reported last.
    doubted: AtomicU64,
    /// To engaged and to released, by trigger.
    pub(crate) transitions: [AtomicU64; 8],
    /// Index of the present or last trigger.
    engaged_by: AtomicU64,
    /// Whether the definition in force has another `on_unknown`.
    is_differing: AtomicBool,
    #[cfg(feature = "metrics")]
    pub(crate) publication: crate::telemetry::Publication,
}

/// A scope in force, and its effect so far.
struct Rule {
    scope: CompiledScope,
    effect: Arc<Effect>,
}

/// State of a switch on this instance.
#[derive(Debug)]
pub(crate) enum GateState<'a> {
    Released,
    Engaged,
    /// The scope, and the hash of its document.
    Scoped(&'a Scope, Sha256),
    Unknown,
}

impl Gate {
    pub(crate) fn new(name: &'static str, id: SwitchId, on_unknown: OnUnknown, region: Option<&str>) -> Self {
        let word = if on_unknown == OnUnknown::Block { UNKNOWN_BLOCKED } else { UNKNOWN_ALLOWED };
        Self {
            name,
            id,
            on_unknown,
            region: region.map(Box::from),
            word: AtomicU64::new(word),
            rule: ArcSwapOption::empty(),
            rule_of: Mutex::default(),
            blocked: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
            undecided: AtomicU64::new(0),
            doubted: AtomicU64::new(0),
            transitions: [(); 8].map(|()| AtomicU64::new(0)),
            engaged_by: AtomicU64::new(0),
            is_differing: AtomicBool::new(false),
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        }
    }

    /// Counts a change on this instance; `trigger` is its place among them. Without one the switch was released: the
    /// drill that had engaged it, or a person, as nothing else releases.
    pub(crate) fn count_transition(&self, is_engaged: bool, trigger: Option<usize>) {
        let was_drill = self.engaged_by.load(Ordering::Relaxed) == Trigger::DRILL as u64;
        let trigger = trigger.unwrap_or(if was_drill { Trigger::DRILL } else { 0 });
        let first = if is_engaged { 0 } else { 4 };
        self.transitions[first + trigger].fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers what keeps it engaged now: a person may have taken over what a drill began.
    pub(crate) fn is_engaged_by(&self, trigger: usize) {
        self.engaged_by.store(trigger as u64, Ordering::Relaxed);
    }

    /// Compares what the program declares with the definition, if there is one; returns the latter if it has begun
    /// to differ.
    pub(crate) fn compare(&self, defined: Option<OnUnknown>) -> Option<OnUnknown> {
        let differing = defined.filter(|defined| *defined != self.on_unknown);
        let has_differed = self.is_differing.swap(differing.is_some(), Ordering::Relaxed);
        differing.filter(|_| !has_differed)
    }

    /// Returns whether the definition in force has another `on_unknown`. The program's own holds.
    pub(crate) fn is_differing(&self) -> bool {
        self.is_differing.load(Ordering::Relaxed)
    }

    /// Returns whether the document in force has nothing on it.
    #[cfg(feature = "metrics")]
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.word.load(Ordering::Relaxed), UNKNOWN_ALLOWED | UNKNOWN_BLOCKED)
    }

    /// Puts it into force for the requests from now on.
    pub(crate) fn set(&self, standing: &GateState<'_>) {
        let mut rule_of = self.rule_of.lock();
        let word = match standing {
            GateState::Released => RELEASED,
            GateState::Engaged => ENGAGED,
            GateState::Scoped(_, document) if *rule_of == Some(*document) => SCOPED, // as at the last reading
            GateState::Scoped(scope, document) => {
                let (scope, before) = (CompiledScope::new(&self.id, scope), self.rule.load_full());
                let effect = before.filter(|before| before.scope == scope);
                let effect = effect.map(|before| Arc::clone(&before.effect)).unwrap_or_default();
                self.rule.store(Some(Arc::new(Rule { scope, effect }))); // before the word that leads to it
                *rule_of = Some(*document);
                SCOPED
            }
            GateState::Unknown if self.on_unknown == OnUnknown::Block => UNKNOWN_BLOCKED,
            GateState::Unknown => UNKNOWN_ALLOWED,
        };
        // Release: pairs with the load in `look`, which then sees the rule.
        self.word.store(word, Ordering::Release);
        if word != SCOPED && rule_of.take().is_some() {
            self.rule.store(None);
        }
    }

    /// The reason why the scope in force does not block requests that it is meant for.
    pub(crate) fn doubt(&self) -> Option<Doubt> {
        let rule = self.rule.load();
        let Rule { scope, effect } = rule.as_deref()?;
        effect.doubt(|asked| scope.share_of(asked))
    }

    /// Returns whether this doubt is another one than that of the last call.
    pub(crate) fn is_new_doubt(&self, doubt: Option<&Doubt>) -> bool {
        let kind = doubt.map_or(0, Doubt::kind);
        self.doubted.swap(kind, Ordering::Relaxed) != kind && kind != 0
    }

    /// Returns whether every request is let through, and that is known.
    #[inline]
    pub(crate) fn is_released(&self) -> bool {
        self.word.load(Ordering::Relaxed) == RELEASED
    }

    /// The state for a request. Nothing is counted.
    pub(crate) fn state(&self, target: &Target<'_>) -> State {
        self.look(target, |_, _| {})
    }

    /// The state for a request that is now decided about.
    #[inline(never)]
    pub(crate) fn decide(&self, target: &Target<'_>) -> State {
        self.look(target, |rule, found| {
            rule.effect.count(found);
            if let Match::Undecided(_) = found {
                self.undecided.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    fn look(&self, target: &Target<'_>, count: impl FnOnce(&Rule, Match)) -> State {
        // Acquire: pairs with the store in `set`.
        match self.word.load(Ordering::Acquire) {
            RELEASED => State::Released,
            ENGAGED => State::Engaged,
            SCOPED => {
                let target = target.or_region(self.region.as_deref());
                let rule = self.rule.load();
                // Without one the word has changed since it was loaded, to engaged for everybody perhaps.
                let Some(rule) = rule.as_deref() else { return self.look(&target, count) };
                let found = rule.scope.compare(&target, &mut target.key_hash());
                count(rule, found);
                if found == Match::Inside { State::Engaged } else { State::Released }
            }
            _ => State::Unknown,
        }
    }

    /// Returns whether every request is blocked.
    pub(crate) fn blocks_everybody(&self) -> bool {
        matches!(self.word.load(Ordering::Relaxed), ENGAGED | UNKNOWN_BLOCKED)
    }

    /// The state for requests without a target, and whether it is engaged for any.
    pub(crate) fn is_engaged(&self) -> bool {
        matches!(self.word.load(Ordering::Acquire), ENGAGED | SCOPED)
    }

    #[inline]
    pub(crate) fn rejected(&self, reason: RejectReason) -> Rejected {
        self.blocked.fetch_add(1, Ordering::Relaxed);
        Rejected::new(Mechanism::KillSwitch, self.name, reason, None)
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::kill_switch::model::scope::Scope;

    fn gate(on_unknown: OnUnknown) -> Gate {
        Gate::new("recs", SwitchId::new("recs").unwrap(), on_unknown, Some("eu"))
    }

    #[test]
    fn not_consulted_is_not_released() {
        let gate = gate(OnUnknown::Allow);
        assert_eq!(gate.state(&Target::new()), State::Unknown);
        assert!(!gate.is_released());
        gate.set(&GateState::Released);
        assert!(gate.is_released());
        gate.set(&GateState::Unknown);
        assert_eq!(gate.state(&Target::new()), State::Unknown);
    }

    #[test]
    fn a_small_share_is_doubtful_only_after_as_many_more_requests() {
        let gate = gate(OnUnknown::Allow);
        gate.set(&GateState::Scoped(&Scope::new().percent(1.0), Sha256::NONE));
        let outside = ["user-1", "user-2", "user-3"].map(|key| Target::new().key(key));
        assert!(outside.iter().all(|target| gate.state(target) == State::Released));
        let ask = |requests| outside.iter().cycle().take(requests).for_each(|target| _ = gate.decide(target));
        ask(99_000);
        assert_eq!(gate.doubt(), None);
        ask(2_000);
        assert!(gate.doubt().is_some());
    }

    #[test]
    fn who_is_inside_of_a_scope_is_never_let_through_while_it_is_widened_to_all() {
        let (gate, acme) = (gate(OnUnknown::Allow), Scope::new().tenant("acme"));
        gate.set(&GateState::Engaged);
        std::thread::scope(|threads| {
            let changes = threads.spawn(|| {
                for _ in 0..20_000 {
                    gate.set(&GateState::Scoped(&acme, Sha256::NONE));
                    gate.set(&GateState::Engaged);
                }
            });
            while !changes.is_finished() {
                assert_eq!(gate.state(&Target::new().tenant("acme")), State::Engaged);
            }
        });
    }

    #[test]
    fn a_scope_is_engaged_for_those_inside_of_it() {
        let gate = gate(OnUnknown::Allow);
        gate.set(&GateState::Scoped(&Scope::new().tenant("acme").region("eu"), Sha256::NONE));
        assert_eq!(gate.state(&Target::new().tenant("acme")), State::Engaged, "the region is the process's own");
        assert_eq!(gate.state(&Target::new().tenant("acme").region("us")), State::Released);
        assert_eq!(gate.state(&Target::new().tenant("other")), State::Released);
        gate.set(&GateState::Engaged);
        assert_eq!(gate.state(&Target::new()), State::Engaged);
    }
}
