//! The way of an engagement through the fleet, as the document lays it down for all switches.

use super::{Stage, decode};
use crate::config::{ConfigError, Problems};

const STAGES_MAX: usize = 10;

/// Stages that engagements pass before they are everywhere: the kill itself can be the mistake.
///
/// ```text
///  engage ──▶ first ──look──▶ next ──look──▶ … ──look──▶ everywhere
///     └─────────────────────── now ─────────────────────────▲
/// ```
///
/// Valid: at most 10 stages, each of which goes further than the one before; everywhere is always the last and is not
/// named. Without any, which is the default, an engagement is everywhere at once.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::{Stage, Stages};
///
/// let stages = Stages::new([Stage::instances(["web-1"]), Stage::regions(["eu"])])?;
/// let first = stages.first();
/// assert_eq!(first, Stage::instances(["web-1"]));
/// let second = stages.next(&first).expect("there is more than one");
/// assert!(second.includes("web-7", Some("eu")) && second.includes("web-1", Some("us")));
/// assert_eq!(stages.next(&second), Some(Stage::Everywhere));
/// assert_eq!(stages.next(&Stage::Everywhere), None);
/// # Ok::<_, backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<Stage>")]
pub struct Stages(Vec<Stage>);

impl Stages {
    /// These, and then everywhere.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn new(stages: impl IntoIterator<Item = Stage>) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let stages = Self(stages.into_iter().collect());
        stages.check_at("stages", &mut problems);
        problems.into_result(stages)
    }

    /// Those before everywhere, in their order.
    pub fn as_slice(&self) -> &[Stage] {
        &self.0
    }

    /// Returns whether there are none: an engagement is everywhere at once.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first stage.
    pub fn first(&self) -> Stage {
        self.0.first().cloned().unwrap_or_default()
    }

    /// The stage after this one; `None` after everywhere.
    pub fn next(&self, from: &Stage) -> Option<Stage> {
        let all = self.0.iter().cloned().chain([Stage::Everywhere]);
        all.map(|stage| stage.after(from)).find(|stage| stage != from && stage.covers(from))
    }

    /// Returns whether who begins there leaves stages out. Naming instances never does, whichever they are.
    pub(crate) fn are_skipped_by(&self, stage: &Stage) -> bool {
        !self.is_empty() && !matches!(stage, Stage::Instances(_)) && !self.first().covers(stage)
    }

    fn check_at(&self, at: &str, problems: &mut Problems) {
        if self.0.len() > STAGES_MAX {
            problems.add(at.to_owned(), self.0.len(), format!("at most {STAGES_MAX} stages"));
            return;
        }
        let mut before: Option<Stage> = None;
        for (number, stage) in self.0.iter().enumerate() {
            let at = format!("{at}[{number}]");
            stage.check_at(&at, problems);
            let so_far = before.as_ref().map_or_else(|| stage.clone(), |before| stage.clone().after(before));
            if *stage == Stage::Everywhere {
                problems.add(at, "everywhere", "left out, as it is always the last stage");
            } else if before.as_ref().is_some_and(|before| so_far == *before || !so_far.covers(before)) {
                problems.add(
                    at,
                    "no wider than the stage before",
                    "all names of the stage before, and more; or regions",
                );
            }
            before = Some(so_far);
        }
    }
}

impl TryFrom<Vec<Stage>> for Stages {
    type Error = String;

    fn try_from(stages: Vec<Stage>) -> Result<Self, String> {
        Self::new(stages).map_err(|error| decode::inner(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Stage {
        Stage::instances(["web-1"])
    }

    fn eu() -> Stage {
        Stage::regions(["eu"])
    }

    #[test]
    fn an_engagement_goes_through_them_from_wherever_it_is() {
        let stages = Stages::new([one(), Stage::instances(["web-1", "web-2"]), eu()]).unwrap();
        let mut way = vec![stages.first()];
        while let Some(next) = stages.next(way.last().unwrap()) {
            way.push(next);
        }
        let both = Stage::instances(["web-1", "web-2"]);
        assert_eq!(way, [one(), both.clone(), eu().after(&both), Stage::Everywhere]);
        let elsewhere = Stage::instances(["web-7"]);
        assert_eq!(stages.next(&elsewhere), Some(eu().after(&elsewhere)), "it stays in force everywhere");
        assert_eq!(Stages::default().next(&one()), Some(Stage::Everywhere));
        assert_eq!(Stages::default().first(), Stage::Everywhere);
    }

    #[test]
    fn who_begins_past_the_first_stage_skips_some() {
        let stages = Stages::new([one(), eu()]).unwrap();
        let skipped = |stage| stages.are_skipped_by(&stage);
        assert!(skipped(Stage::Everywhere) && skipped(eu()) && !skipped(one()) && !skipped(Stage::instances(["x"])));
        assert!(!Stages::default().are_skipped_by(&Stage::Everywhere));
        let regions = Stages::new([eu()]).unwrap();
        assert!(!regions.are_skipped_by(&eu()) && regions.are_skipped_by(&Stage::regions(["us"])));
    }

    #[test]
    fn stages_that_lead_nowhere_are_refused_all_at_once() {
        let wrong = [one(), one(), eu(), Stage::Everywhere, Stage::regions(["us"])];
        let error = Stages::new(wrong).unwrap_err();
        let fields: Vec<_> = error.problems().iter().map(|problem| problem.field().to_owned()).collect();
        assert_eq!(fields, ["stages[1]", "stages[3]", "stages[4]"], "{error}");
        assert!(Stages::new(vec![one(); 11]).unwrap_err().to_string().contains("at most 10"));
    }

    #[test]
    fn they_are_written_and_read_as_the_same() {
        let stages = Stages::new([one(), eu()]).unwrap();
        let written = serde_json::to_string(&stages).unwrap();
        assert_eq!(written, r#"[{"instances":["web-1"]},{"regions":["eu"]}]"#);
        assert_eq!(serde_json::from_str::<Stages>(&written).unwrap(), stages);
        for wrong in ["{}", r#"["everywhere"]"#, r#"[{"instances":[]}]"#, "[1]", r#""everywhere""#] {
            assert!(serde_json::from_str::<Stages>(wrong).is_err(), "{wrong}");
        }
    }
}
