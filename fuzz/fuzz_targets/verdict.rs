//! Policies and ticks as anybody may write them: an error that says something, or verdicts of finite numbers.
#![no_main]

use backstop::rollback::{Decision, Judge, Policy, TickReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // Before the first line of three dashes, a policy.
    let (policy, lines) = text.split_once("\n---\n").unwrap_or(("", &text));
    let policy = match Policy::parse(policy) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.problems().is_empty());
            Policy::default()
        }
    };
    let (mut judge, mut ticks) = (Judge::new(policy), TickReader::new());
    let mut last = Decision::Collecting;
    for line in lines.lines() {
        let tick = match ticks.read(line) {
            Ok(Some(tick)) => tick,
            Ok(None) => continue,
            Err(error) => {
                assert!(error.line() > 0 && error.to_string().starts_with("line "));
                continue;
            }
        };
        let verdict = judge.observe(tick);
        assert!(last != Decision::Rollback || verdict.decision == Decision::Rollback, "a rollback is taken back");
        assert!(verdict.log_e.is_finite() && verdict.alpha.is_finite(), "{verdict:?}");
        for trigger in &verdict.triggers {
            let numbers = [trigger.canary, trigger.baseline, trigger.log_e, trigger.log_threshold];
            assert!(numbers.iter().flatten().all(|number| number.is_finite()), "{trigger:?}");
            assert!(!trigger.sentence.is_empty());
        }
        serde_json::to_string(&verdict).expect("a verdict is written");
        last = verdict.decision;
    }
});
