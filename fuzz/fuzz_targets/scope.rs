//! Scopes and ids as anybody may write them, and requests as anybody may send them.
#![no_main]

use backstop::kill_switch::{CompiledScope, Scope, SwitchId, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str, &str)| {
    let (id, scope, value, key) = input;
    let id = SwitchId::new(id).unwrap_or_else(|_| SwitchId::new("exports").expect("an id"));
    let Ok(scope) = serde_json::from_str::<Scope>(scope) else { return };

    let written = serde_json::to_string(&scope).expect("a scope is written");
    assert_eq!(serde_json::from_str::<Scope>(&written).expect("what was written is read"), scope);
    let rule = CompiledScope::new(&id, &scope);
    for target in [
        Target::new().route(value).tenant(value).region(value).audience(value).key(key),
        Target::new().route(value).key(key),
        Target::new(),
    ] {
        let is_hit = rule.matches(&target, &mut target.key_hash());
        assert_eq!(is_hit, rule.matches(&target, &mut target.key_hash()), "a decision that changes");
        if scope.check().is_ok() && Scope::all().covers(&scope) {
            let all = CompiledScope::new(&id, &Scope::all());
            assert!(all.matches(&target, &mut target.key_hash()), "everybody leaves somebody out");
        }
    }
});
