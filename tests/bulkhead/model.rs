//! The bulkhead against a naive reference over random histories, step by step.
//!
//! Whoever waits is polled only when it was woken: a wake-up that gets lost is a difference, too.
//! `BACKSTOP_MODEL_STEPS` sets the number of steps, `BACKSTOP_MODEL_SEED` the first seed.

mod player;
mod reference;

use player::Player;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.replace('_', "").parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text}")),
        Err(_) => default,
    }
}

#[test]
fn behaves_as_a_naive_reference_over_random_histories() {
    const STEPS: u64 = 60;
    let wanted = number("BACKSTOP_MODEL_STEPS", 150_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let first_seed = number("BACKSTOP_MODEL_SEED", 1);
    let mut happened = player::Seen::default();
    for seed in first_seed..first_seed + wanted.div_ceil(STEPS) {
        let mut player = Player::new(seed, &runtime);
        for _ in 0..STEPS {
            if let Err(difference) = player.step() {
                panic!("BACKSTOP_MODEL_SEED={seed}: {difference}\n{}", player.story());
            }
        }
        player.finish(&mut happened);
    }
    println!("{happened:?}");
    happened.assert_all_happened();
}
