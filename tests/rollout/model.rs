//! Random histories of a rollout beside a plain reference.

use crate::plans::{PLAN, plan_with};
use backstop::rollback::Decision;
use backstop::rollback::plan::{Level, Plan};
use backstop::rollout::soak::Finding;
use backstop::rollout::stages::{Action, Ask, End, Event, Job, Look, Outcome, Reading, Ready, Rollout};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

fn ready() -> impl Strategy<Value = Option<Ready>> {
    prop_oneof![
        6 => Just(Some(Ready { ready: 4, total: 4 })),
        1 => (0..=4_u32).prop_map(|ready| Some(Ready { ready, total: 4 })),
        1 => Just(None),
    ]
}

fn look() -> impl Strategy<Value = Event> {
    let decision = prop_oneof![
        12 => Just(Decision::Continue),
        2 => Just(Decision::Collecting),
        1 => Just(Decision::Pause),
        1 => Just(Decision::Rollback),
    ];
    let recovery = prop_oneof![3 => Just(Finding::Good), 1 => Just(Finding::Waiting("errors".to_owned()))];
    (decision, ready(), ready(), prop_oneof![3 => Just(1_000.0), 1 => Just(0.0)], recovery).prop_map(
        |(decision, canary, stable, samples, recovery)| {
            Event::Looked(Look {
                decision,
                sentence: "why".to_owned(),
                canary,
                stable,
                samples,
                others: 0.0,
                watched: Duration::MAX,
                recovery,
            })
        },
    )
}

fn ask() -> impl Strategy<Value = Event> {
    let ask = prop_oneof![
        4 => Just(Ask::Approve),
        1 => Just(Ask::Reject),
        2 => Just(Ask::Pause),
        4 => Just(Ask::Resume),
        1 => any::<bool>().prop_map(|cut| Ask::Rollback { cut }),
        1 => (1..2_000_u64).prop_map(|seconds| Ask::Disable { seconds }),
        1 => Just(Ask::Enable),
        1 => Just(Ask::Supersede { artifact: "x".to_owned() }),
    ];
    ask.prop_map(|ask| Event::Asked { id: String::new(), ask, by: "bo".to_owned(), reason: "because".to_owned() })
}

/// An input: an event, the end of the oldest job, or the death of the controller.
#[derive(Clone, Debug)]
enum Input {
    Event(Event),
    Ends { is_well: bool, is_final: bool },
    Killed,
}

fn input() -> impl Strategy<Value = (u64, Input)> {
    let reading = prop_oneof![
        3 => Just(Reading::Same),
        1 => Just(Reading::Differs { why: "50 %".to_owned() }),
        1 => Just(Reading::Unknown { why: "no answer".to_owned() }),
    ];
    let input = prop_oneof![
        12 => look().prop_map(Input::Event),
        10 => (prop::bool::weighted(0.8), prop::bool::weighted(0.1)).prop_map(|(is_well, is_final)| Input::Ends { is_well, is_final }),
        2 => ask().prop_map(Input::Event),
        2 => reading.prop_map(|reading| Input::Event(Event::Weight { reading })),
        1 => Just(Input::Killed),
    ];
    (prop_oneof![3 => 0..5_u64, 2 => 30..100_u64, 1 => 200..900_u64], input)
}

/// The reference: what has to be remembered to say what must not happen.
#[derive(Default)]
struct Reference {
    at: Duration,
    jobs: Vec<(u64, Job)>,
    /// Each event that changed the state, as a journal keeps it.
    journal: Vec<(Event, Duration)>,
    /// The weight of the last move that was begun.
    last_move: u32,
    /// Time of the first decision to return.
    returning: Option<Duration>,
    /// Whether a person was named since then.
    is_named: bool,
    /// Whether a look promised enough for the stage in progress.
    is_earned: bool,
    answers: usize,
    asked: usize,
}

impl Reference {
    fn take(&mut self, rollout: &mut Rollout, event: &Event) {
        let before = rollout.clone();
        let actions = rollout.step(event, self.at);
        if *rollout != before || matches!(event, Event::Asked { .. }) {
            self.journal.push((event.clone(), self.at));
        }
        self.asked += usize::from(matches!(event, Event::Asked { .. }));
        if let Event::Looked(look) = event {
            self.is_earned |= look.decision == Decision::Continue && look.samples >= 100.0;
        }
        if rollout.is_retreat() && self.returning.is_none() {
            (self.returning, self.is_named) = (Some(self.at), false);
        }
        for action in actions {
            match action {
                Action::Do { key, job } => {
                    if let Job::Move { weight, .. } = job {
                        self.moves(&before, rollout, weight);
                    }
                    self.jobs.push((key, job));
                    assert!(self.jobs.len() <= 1, "one job at a time");
                }
                Action::Cancel => self.jobs.clear(),
                Action::Answer { .. } => self.answers += 1,
                Action::Alert { level: Level::Page, text } => {
                    self.is_named |= text.contains("on call") || text.contains("bo decides");
                }
                _ => {}
            }
        }
        assert_eq!(self.answers, self.asked, "every command has one answer");
    }

    fn moves(&mut self, before: &Rollout, after: &Rollout, weight: u32) {
        let is_up = weight > self.last_move.max(before.weight());
        assert!(!(is_up && self.returning.is_some()), "more traffic after a decision to return: {weight}");
        let is_first = before.weight() == 0;
        assert!(!is_up || is_first || self.is_earned, "a stage was left without data");
        if is_up {
            assert!(
                before.name() != "disabled" && before.name() != "escalated" || after.name() == "moving",
                "{}",
                before.name()
            );
            self.is_earned = false;
        }
        self.last_move = weight;
    }
}

fn plans() -> impl Strategy<Value = Arc<Plan>> {
    let with = |old: &str, new: &str| Just(plan_with(old, new));
    prop_oneof![
        4 => with("", ""),
        2 => with("promote =", "stable = { instances_for_full_traffic = 4 }\npromote ="),
        1 => with("samples = 100", "samples = 100, gate = \"manual\""),
        1 => with("samples = 100", "samples = 100, gate = \"timed\""),
        1 => with("budget", "start = \"manual\"\nbudget"),
        1 => Just(Arc::new(Plan::parse(&PLAN.replace("rollback = [\n    { kind = \"kill_switch\", argv = [\"true\"], idempotent = true },", "rollback = [")).unwrap())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_returns_in_time_or_names_a_person_and_promotes_only_what_it_has_seen(
        plan in plans(),
        inputs in prop::collection::vec(input(), 1..60),
        answers_at_last in any::<bool>(),
    ) {
        let mut rollout = Rollout::new(Arc::clone(&plan));
        let mut reference = Reference::default();
        reference.take(&mut rollout, &Event::Started { by: "mira".to_owned(), reason: None });
        for (seconds, input) in inputs {
            for _ in 0..seconds.min(20) {
                reference.at += Duration::from_secs(seconds) / u32::try_from(seconds.clamp(1, 20)).unwrap();
                reference.take(&mut rollout, &Event::Clock);
            }
            match input {
                Input::Event(event) => reference.take(&mut rollout, &event),
                Input::Ends { is_well, is_final } if !reference.jobs.is_empty() => {
                    let (key, _) = reference.jobs.remove(0);
                    let failed = Outcome::Failed { why: "no answer".to_owned(), is_final };
                    let outcome = if is_well { Outcome::Done } else { failed };
                    reference.take(&mut rollout, &Event::Finished { key, outcome });
                }
                Input::Ends { .. } => {}
                Input::Killed => {
                    let events = reference.journal.iter().map(|(event, at)| (event, *at));
                    let replayed = Rollout::replay(Arc::clone(&plan), events);
                    prop_assert_eq!(&replayed, &rollout, "the journal is enough");
                    reference.jobs.clear();
                    reference.take(&mut rollout, &Event::Resumed);
                }
            }
            if rollout.end() == Some(End::Promoted) {
                prop_assert!(rollout.weight() == 100);
                break;
            }
        }
        // From every state: a verdict, and then whatever the actuators do.
        if rollout.end().is_some() || rollout.name() == "disabled" {
            return Ok(());
        }
        let was_named = rollout.name() == "escalated";
        let verdict = Look {
            decision: Decision::Rollback, sentence: "worse".to_owned(), canary: None,
            stable: Some(Ready { ready: 4, total: 4 }), samples: 0.0, others: 0.0, watched: Duration::ZERO, recovery: Finding::Waiting("errors".to_owned()),
        };
        let begun = reference.returning.unwrap_or(reference.at);
        let already = reference.is_named;
        reference.take(&mut rollout, &Event::Looked(verdict.clone()));
        while reference.at < begun + plan.budget {
            if answers_at_last && !reference.jobs.is_empty() {
                let (key, _) = reference.jobs.remove(0);
                reference.take(&mut rollout, &Event::Finished { key, outcome: Outcome::Done });
            }
            reference.at += Duration::from_secs(5);
            reference.take(&mut rollout, &Event::Looked(verdict.clone()));
        }
        let is_back = rollout.weight() == 0 && rollout.is_retreat();
        prop_assert!(is_back || reference.is_named || already || was_named, "{} at {} %", rollout.name(), rollout.weight());
    }
}
