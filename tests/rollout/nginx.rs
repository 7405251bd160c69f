//! A real nginx: weights are what requests count.

use crate::actuators::{last_request, of, set};
use crate::servers::{Nginx, Version, share_of};
use backstop::rollout::actuator::Cancel;
use backstop::rollout::stages::Reading;
use std::time::Duration;

fn traffic(nginx: &Nginx, new: &Version, old: &Version) -> String {
    let (check, reload) = (nginx.argv(&["-t"]), nginx.argv(&["-s", "reload"]));
    format!(
        "traffic = {{ kind = \"nginx\", file = \"weights.conf\", canary = [\"{}\"], stable = [\"{}\"], check = {check:?}, \
         reload = {reload:?}, probe = \"http://{}/\", probe_text = \"new\" }}",
        new.address, old.address, nginx.address
    )
}

#[test]
#[ignore = "needs nginx: scripts/test.sh"]
fn nginx_weights_are_what_ten_thousand_requests_count() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let nginx = Nginx::new(folder.path(), &[&new.address, &old.address]);
    let mut actuator = of(&traffic(&nginx, &new, &old), folder.path());
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
    let mut actuator = of(&traffic(&nginx, &new, &old), folder.path());
    let maximum = last_request("nginx", &mut *actuator, &nginx.address, &new);
    assert!(maximum < Duration::from_secs(10));
}
