//! Commands as files.

use crate::scene::Scene;
use backstop::rollout::controller::Ended;
use backstop::rollout::requests::Request;
use backstop::rollout::stages::{Ask, End};
use std::time::Duration;

#[test]
fn a_command_that_was_not_read_is_not_carried_out_by_the_next_rollout() {
    let scene = Scene::new("");
    let late = Request { rollout: "0000".to_owned(), ..Request::new(Ask::Rollback { cut: true }, "bo", "late") };
    let path = scene.dir.path().join("requests").join(format!("{}.json", late.id));
    std::fs::write(&path, serde_json::to_vec(&late).unwrap()).unwrap();
    assert_eq!(scene.start().join().unwrap(), Ended::Done(End::Promoted));
    let answer = late.answer(&scene.dir, Duration::from_secs(5)).unwrap();
    assert!(!answer.is_accepted && answer.text.starts_with("the command was for rollout 0000"), "{}", answer.text);
    assert!(!path.exists());
}

#[test]
fn a_rollback_reaches_the_controller_where_no_file_can_be_written() {
    let scene = Scene::new("start = \"manual\"");
    let running = scene.start();
    scene.reaches("checking");
    let refused = Request { id: "1".repeat(230), ..Request::new(Ask::Pause, "bo", "r") };
    assert!(refused.send(&scene.dir).is_err(), "its temporary file has too long a name, as on a disk without room");
    let request = Request { ask: Ask::Rollback { cut: true }, ..refused };
    request.send(&scene.dir).unwrap();
    let answer = request.answer(&scene.dir, Duration::from_secs(20)).unwrap();
    assert!(answer.is_accepted && answer.text.contains("cannot write its answer"), "{answer:?}");
    assert_eq!(running.join().unwrap(), Ended::Done(End::Aborted));
    assert_eq!(std::fs::read_dir(scene.dir.path().join("requests")).unwrap().count(), 0);
}

#[test]
fn a_window_in_a_file_is_no_longer_than_one_of_the_command() {
    for (seconds, is_allowed) in [(0, false), (1, true), (7 * 86_400, true), (7 * 86_400 + 1, false), (u64::MAX, false)]
    {
        let request = Request::new(Ask::Disable { seconds }, "bo", "r");
        assert_eq!(request.check().is_ok(), is_allowed, "{seconds}");
    }
}
