//! Alerts over HTTP: receivers that do not answer, and pages before the rest.

use crate::scene::Scene;
use crate::servers::{Fault, Hook, eventually};
use backstop::rollout::controller::{Ended, Status};
use backstop::rollout::stages::End;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

fn receiver(hook: &Hook, level: &str) -> String {
    format!("{{ kind = \"generic\", url = \"{}\", level = \"{level}\" }}", hook.url)
}

/// A rollout that pages, as its load balancer refuses the way back.
fn paging(alerts: &[String]) -> Scene {
    let scene = Scene::new(&format!("alert = [{}]", alerts.join(", ")));
    drop(scene.start());
    scene.reaches("soaking");
    *scene.balancer.fault.lock().unwrap() = Fault::Refuses;
    scene.world.is_bad.store(true, Ordering::Relaxed);
    scene
}

fn is_page(request: &str) -> bool {
    request.contains("\"level\":\"page\"")
}

#[test]
fn a_receiver_that_never_answers_delays_no_alert_of_another() {
    let dead = Hook::new(|_| {
        thread::sleep(Duration::from_secs(600));
        (200, String::new())
    });
    let alive = Hook::new(|_| (200, String::new()));
    let scene = paging(&[receiver(&dead, "info"), receiver(&alive, "info")]);
    eventually("the page", || alive.requests.lock().unwrap().iter().any(|sent| is_page(sent)).then_some(()));
    drop(scene);
}

#[test]
fn a_page_passes_an_alert_that_is_tried_again() {
    let failing = Hook::new(|_| (500, String::new()));
    let scene = paging(&[receiver(&failing, "info")]);
    let before = eventually("the page", || {
        let sent = failing.requests.lock().unwrap();
        let page = sent.iter().position(|sent| is_page(sent))?;
        Some(sent[..page].to_vec())
    });
    let text = |sent: &String| sent.split("\"text\":").nth(1).map(str::to_owned);
    assert!(before.iter().all(|sent| text(sent) == text(&before[0])), "only the first was tried before: {before:?}");
    drop(scene);
}

#[test]
fn alerts_that_never_arrive_are_said_from_the_start_to_after_the_end() {
    let scene = Scene::new("alert = [{ kind = \"slack\", url = \"env:BACKSTOP_TEST_UNSET_URL\", level = \"info\" }]");
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&said);
    let controller = scene.controller().on_trouble(move |trouble| heard.lock().unwrap().push(trouble.to_owned()));
    assert_eq!(controller.run(), Ended::Done(End::Promoted));
    let unset = "alert[0] gets no alerts: the variable BACKSTOP_TEST_UNSET_URL of its url is not set";
    assert!(said.lock().unwrap().contains(&unset.to_owned()), "{said:?}");
    let troubles = Status::read(&scene.dir).unwrap().unwrap().troubles;
    assert!(troubles.contains(&unset.to_owned()), "{troubles:?}");
    let lost = |trouble: &String| {
        trouble.starts_with("alerts did not arrive: ") && trouble.contains(" to alert[0] (slack): its url")
    };
    assert!(troubles.iter().any(lost), "{troubles:?}");
}
