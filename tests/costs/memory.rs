//! What a healthy key costs in memory.

use allocation_counter::measure;
use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;

const KEYS: u64 = 10_000;

/// Bytes that stay allocated, for each key.
fn bytes_per_key(work: impl FnOnce()) -> i64 {
    measure(work).bytes_current / i64::try_from(KEYS).expect("it is small")
}

#[test]
fn a_healthy_key_takes_at_most_160_bytes_even_after_it_recovered() {
    let breakers = KeyedCircuitBreaker::<u64>::builder("memory").max_keys(20_000).build().unwrap();
    let healthy = bytes_per_key(|| {
        for key in 0..KEYS {
            breakers.key(&key).try_acquire().unwrap().success();
        }
    });
    let left_by_failures = bytes_per_key(|| {
        for key in 0..KEYS {
            breakers.key(&key).try_acquire().unwrap().failure();
            for _ in 0..100 {
                breakers.key(&key).try_acquire().unwrap().success();
            }
        }
    });
    println!("{healthy} bytes a healthy key, {left_by_failures} more after it failed once and recovered");
    assert_eq!(breakers.len(), KEYS);
    assert!(healthy <= 160, "{healthy} bytes a key");
    assert_eq!(left_by_failures, 0);
}
