//! Settings from TOML files: one that is right, and one whose every problem is told.
//!
//! `cargo run --example config`

use backstop::circuit_breaker::CircuitBreakerConfig;
use backstop::{CircuitBreaker, Registry};
use std::collections::BTreeMap;

type Configs = BTreeMap<String, CircuitBreakerConfig>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    for (name, config) in toml::from_str::<Configs>(include_str!("config/breakers.toml"))? {
        let breaker = registry.add(CircuitBreaker::from_config(&name, config)?)?;
        println!("{name}: {}, open for {:?}", breaker.state(), breaker.config().open_time());
    }
    assert_eq!(registry.circuit_breakers().len(), 2);

    let error = toml::from_str::<Configs>(include_str!("config/wrong.toml")).unwrap_err();
    println!("\n{error}");
    assert_eq!(error.message().split("; ").count(), 4);

    let error = toml::from_str::<Configs>("[payments]\nfailure_rate = 0.5").unwrap_err();
    println!("{error}");
    assert!(error.message().contains("failure_rate_threshold"));
    Ok(())
}
