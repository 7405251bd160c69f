//! Settings from TOML files: a valid one, and one whose error lists every problem.
//!
//! `cargo run --example config`

use backstop::bulkhead::BulkheadConfig;
use backstop::circuit_breaker::CircuitBreakerConfig;
use backstop::{Bulkhead, CircuitBreaker, Registry};
use std::collections::BTreeMap;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    circuit_breaker: BTreeMap<String, CircuitBreakerConfig>,
    bulkhead: BTreeMap<String, BulkheadConfig>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings: Settings = toml::from_str(include_str!("config/settings.toml"))?;
    let registry = Registry::new();
    for (name, config) in settings.circuit_breaker {
        let breaker = registry.add(CircuitBreaker::from_config(&name, config)?)?;
        println!("circuit breaker {name}: {}, open for {:?}", breaker.state(), breaker.config().open_time());
    }
    for (name, config) in settings.bulkhead {
        let bulkhead = registry.add(Bulkhead::from_config(&name, config)?)?;
        let config = bulkhead.config();
        println!("bulkhead {name}: {} calls, waiting up to {:?}", config.max_concurrent_calls(), config.max_wait());
    }
    assert_eq!((registry.all::<CircuitBreaker>().len(), registry.all::<Bulkhead>().len()), (2, 2));

    let error = toml::from_str::<Settings>(include_str!("config/wrong.toml")).unwrap_err();
    println!("\n{error}");
    assert_eq!(error.message().split("; ").count(), 4);

    let error = toml::from_str::<Settings>("[bulkhead.payments]\nmax_calls = 50").unwrap_err();
    println!("{error}");
    assert!(error.message().contains("max_concurrent_calls"));
    Ok(())
}
