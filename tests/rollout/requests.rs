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
