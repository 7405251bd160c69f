//! A real nginx: weights are what requests count.

use crate::actuators::{of, set};
use crate::servers::{Nginx, Version, counted, share_of};
use backstop::rollout::actuator::Cancel;
use backstop::rollout::stages::Reading;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
#[ignore = "needs nginx: scripts/test.sh"]
fn nginx_weights_are_what_ten_thousand_requests_count() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let nginx = Nginx::new(folder.path(), &[&new.address, &old.address]);
    let (check, reload) = (nginx.argv(&["-t"]), nginx.argv(&["-s", "reload"]));
    let traffic = format!(
        "traffic = {{ kind = \"nginx\", file = \"{}/weights.conf\", canary = [\"{}\"], stable = [\"{}\"], check = {check:?}, \
         reload = {reload:?}, probe = \"http://{}/\", probe_text = \"new\" }}",
        folder.path().display(),
        new.address,
        old.address,
        nginx.address
    );
    let mut actuator = of(&traffic, folder.path());
    for weight in [5, 50, 100, 0] {
        set(&mut *actuator, weight).unwrap();
        let found = share_of(&nginx.address, 10_000, "new");
        assert!((found - f64::from(weight)).abs() <= 0.5, "{weight} %: {found}");
        assert_eq!(actuator.read(weight, &Cancel::default()), Reading::Same);
    }
    // A configuration that is refused elsewhere leaves the file as it was.
    let config = std::fs::read_to_string(folder.path().join("nginx.conf")).unwrap();
    std::fs::write(folder.path().join("nginx.conf"), format!("nonsense;\n{config}")).unwrap();
    let before = std::fs::read_to_string(folder.path().join("weights.conf")).unwrap();
    let error = set(&mut *actuator, 50).unwrap_err();
    assert!(error.contains("nginx does not accept its configuration"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.path().join("weights.conf")).unwrap(), before);
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
}

/// Decision to the last request of the canary, with clients that send all the time.
#[test]
#[ignore = "needs nginx: scripts/test.sh"]
fn the_last_request_of_the_canary_follows_a_reload_of_nginx_within_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let nginx = Nginx::new(folder.path(), &[&new.address, &old.address]);
    let (check, reload) = (nginx.argv(&["-t"]), nginx.argv(&["-s", "reload"]));
    let traffic = format!(
        "traffic = {{ kind = \"nginx\", file = \"weights.conf\", canary = [\"{}\"], stable = [\"{}\"], check = {check:?}, \
         reload = {reload:?}, probe = \"http://{}/\", probe_text = \"new\" }}",
        new.address, old.address, nginx.address
    );
    let mut actuator = of(&traffic, folder.path());
    let is_over = Arc::new(AtomicBool::new(false));
    let (stop, address) = (Arc::clone(&is_over), nginx.address.clone());
    let client = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            // A worker that ends closes its connections: the client opens another one.
            let _ = counted(&address, 5, "new");
        }
    });
    let mut delays: Vec<_> = (0..50)
        .map(|_| {
            set(&mut *actuator, 50).unwrap();
            let decided = Instant::now();
            set(&mut *actuator, 0).unwrap();
            let last = *new.last.lock().unwrap();
            last.map_or(Duration::ZERO, |last| last.saturating_duration_since(decided))
        })
        .collect();
    is_over.store(true, Ordering::Relaxed);
    client.join().unwrap();
    delays.sort();
    println!("nginx, decision to last canary request: p50 {:?}, maximum {:?}", delays[25], delays[49]);
    assert!(delays[49] < Duration::from_secs(10));
}
