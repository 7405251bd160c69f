//! Policies and ticks with a few bytes changed: an error or a verdict, never a panic or a number that is none.

use crate::scenario::all;
use backstop::rollback::{Decision, Judge, Policy, TickReader};

const ROUNDS: usize = 200;

/// Numbers and words that are often where they should not be.
const PIECES: [&str; 14] =
    ["0", "-1", "1e15", "1e-300", "1e999", "null", "{}", "[]", "\"\"", "NaN", "true", ",", "0.5", "99999999999s"];

fn mutate(text: &str, random: &mut fastrand::Rng) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(1..4) {
        let digits: Vec<_> = (0..text.len()).filter(|i| text[*i].is_ascii_digit()).collect();
        let at = if digits.is_empty() || random.u8(..4) == 0 {
            random.usize(..text.len())
        } else {
            *random.choice(&digits).unwrap()
        };
        let piece = *random.choice(&PIECES).unwrap();
        let end = (at + random.usize(..3)).min(text.len());
        text.splice(at..end, piece.chars());
    }
    text.into_iter().collect()
}

#[test]
fn changed_bytes_are_an_error_or_a_verdict() {
    let scenarios = all();
    let seed = 11;
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut policies, mut ticks) = (0, 0);
    for round in 0..ROUNDS {
        let scenario = random.choice(&scenarios).unwrap();
        let written = scenario.policy().unwrap_or_else(|| Policy::DEFAULT.to_owned());
        let mutated = mutate(&written, &mut random);
        // A name may be anything, and sentences have names in them.
        let has = |text: &str| text.contains("NaN") || text.contains("inf ");
        let mut is_named_so = has(&mutated);
        let policy = match Policy::parse(&mutated) {
            Ok(policy) => {
                policies += 1;
                policy
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                Policy::parse(&written).unwrap()
            }
        };
        let (mut judge, mut reader) = (Judge::new(policy), TickReader::new());
        let mut is_rolled_back = false;
        for line in scenario.lines().iter().step_by(7).take(40) {
            let line = if random.bool() { mutate(line, &mut random) } else { line.clone() };
            is_named_so |= has(&line);
            let Ok(Some(tick)) = reader.read(&line) else { continue };
            ticks += 1;
            let verdict = judge.observe(tick);
            let context = || format!("seed {seed}, round {round}: {verdict:?}");
            assert!(verdict.log_e.is_finite() && verdict.alpha.is_finite(), "{}", context());
            assert!(!is_rolled_back || verdict.decision == Decision::Rollback, "{}", context());
            is_rolled_back |= verdict.decision == Decision::Rollback;
            for trigger in &verdict.triggers {
                let numbers = [trigger.canary, trigger.baseline, trigger.log_e, trigger.log_threshold];
                assert!(numbers.iter().flatten().all(|number| number.is_finite()), "{}", context());
                assert!(is_named_so || !has(&trigger.sentence), "{}", context());
            }
            assert!(!verdict.sentence.is_empty(), "{}", context());
        }
    }
    assert!(policies > ROUNDS / 10 && ticks > 5 * ROUNDS, "{policies} policies and {ticks} ticks were read");
}
