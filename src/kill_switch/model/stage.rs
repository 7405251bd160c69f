//! Stages: the part of the fleet in which an engagement is in force.

use super::text;
use crate::config::Problems;
use std::collections::BTreeSet;
use std::fmt;

const NAMES_MAX: usize = 100;

/// Part of the fleet in which an engagement is in force: the kill itself can be the mistake, so it may begin with one
/// instance.
///
/// ```text
///  Instances ──▶ Regions ──▶ Everywhere        an engagement only ever goes to the right, or to more names
/// ```
///
/// Valid: 1 to 100 names of 1 to 128 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Form", into = "Form")]
#[non_exhaustive]
pub enum Stage {
    /// On the instances of these names.
    Instances(BTreeSet<String>),
    /// On all instances in these regions, and on those that it began with, wherever they are.
    Regions {
        /// The names of the regions.
        regions: BTreeSet<String>,
        /// The names of the instances that it began with.
        instances: BTreeSet<String>,
    },
    /// On every instance.
    #[default]
    Everywhere,
}

impl Stage {
    /// On the instances of these names.
    pub fn instances<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self::Instances(names.into_iter().map(Into::into).collect())
    }

    /// On all instances in these regions.
    pub fn regions<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self::Regions { regions: names.into_iter().map(Into::into).collect(), instances: BTreeSet::new() }
    }

    /// Returns whether it has come to an instance of this name in this region.
    pub fn includes(&self, instance: &str, region: Option<&str>) -> bool {
        match self {
            Self::Instances(names) => names.contains(instance),
            Self::Regions { regions, instances } => {
                region.is_some_and(|region| regions.contains(region)) || instances.contains(instance)
            }
            Self::Everywhere => true,
        }
    }

    /// Spread of the stage.
    pub const fn spread(&self) -> Spread {
        match self {
            Self::Instances(_) => Spread::Instances,
            Self::Regions { .. } => Spread::Regions,
            Self::Everywhere => Spread::Everywhere,
        }
    }

    /// The next stage of an engagement: it stays in force wherever it was, in any region.
    pub(crate) fn after(self, earlier: &Self) -> Self {
        match (self, earlier) {
            (
                Self::Regions { regions, mut instances },
                Self::Instances(began) | Self::Regions { instances: began, .. },
            ) => {
                instances.extend(began.iter().cloned());
                Self::Regions { regions, instances }
            }
            (next, _) => next,
        }
    }

    /// Returns whether it is as far as the other, or further.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everywhere, _) => true,
            (_, Self::Everywhere) => false,
            (own, other) => {
                let ((regions, instances), (others, began)) = (own.names(), other.names());
                let is_among = |names: Option<&BTreeSet<String>>, more: Option<&BTreeSet<String>>| {
                    more.is_none_or(|more| more.iter().all(|name| names.is_some_and(|names| names.contains(name))))
                };
                is_among(regions, others) && is_among(instances, began)
            }
        }
    }

    /// Regions and instances, if it names any.
    fn names(&self) -> (Option<&BTreeSet<String>>, Option<&BTreeSet<String>>) {
        match self {
            Self::Instances(instances) => (None, Some(instances)),
            Self::Regions { regions, instances } => (Some(regions), Some(instances)),
            Self::Everywhere => (None, None),
        }
    }

    /// Adds names that no instance could have.
    pub(crate) fn check_matches(&self, at: &str, problems: &mut Problems) {
        let (regions, instances) = self.names();
        regions.into_iter().chain(instances).flatten().for_each(|name| text::matched(at, name, problems));
    }

    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        let (regions, instances) = self.names();
        let least_instances = usize::from(regions.is_none());
        for (names, least) in [(regions, 1), (instances, least_instances)] {
            let Some(names) = names else { continue };
            if names.len() < least || names.len() > NAMES_MAX {
                problems.add(at.to_owned(), format!("{} names", names.len()), format!("{least} to {NAMES_MAX} names"));
            }
            for name in names {
                text::name(at, name, problems);
            }
        }
    }
}

/// `web-1 and web-2`, `eu`, `eu, and web-1`, `everywhere`.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
        match self {
            Self::Instances(instances) => f.write_str(&listed(instances)),
            Self::Regions { regions, instances } if instances.is_empty() => f.write_str(&listed(regions)),
            Self::Regions { regions, instances } => write!(f, "{}, and {}", listed(regions), listed(instances)),
            Self::Everywhere => f.write_str("everywhere"),
        }
    }
}

/// The two forms of a stage in JSON.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged, expecting = "not a stage, must be \"everywhere\", or names of instances, of regions, or of both")]
enum Form {
    Everywhere(Everywhere),
    Names(Names),
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Everywhere {
    Everywhere,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<BTreeSet<String>>,
}

impl TryFrom<Form> for Stage {
    type Error = &'static str;

    fn try_from(form: Form) -> Result<Self, &'static str> {
        match form {
            Form::Everywhere(Everywhere::Everywhere) => Ok(Self::Everywhere),
            Form::Names(Names { regions: None, instances: Some(instances) }) => Ok(Self::Instances(instances)),
            Form::Names(Names { regions: Some(regions), instances }) => {
                Ok(Self::Regions { regions, instances: instances.unwrap_or_default() })
            }
            Form::Names(Names { regions: None, instances: None }) => Err("a stage without names"),
        }
    }
}

impl From<Stage> for Form {
    fn from(stage: Stage) -> Self {
        let (regions, instances) = match stage {
            Stage::Everywhere => return Self::Everywhere(Everywhere::Everywhere),
            Stage::Instances(instances) => (None, instances),
            Stage::Regions { regions, instances } => (Some(regions), instances),
        };
        let instances = Some(instances).filter(|instances| regions.is_none() || !instances.is_empty());
        Self::Names(Names { regions, instances })
    }
}

/// Spread through the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Spread {
    /// Some instances.
    #[default]
    Instances,
    /// All instances of some regions.
    Regions,
    /// All instances there are.
    Everywhere,
}

impl Spread {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Instances => "some instances",
            Self::Regions => "some regions",
            Self::Everywhere => "everywhere",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(crate) const fn is_instances(&self) -> bool {
        matches!(self, Self::Instances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_includes_whom_it_names() {
        let stage = Stage::instances(["web-1"]);
        assert!(stage.includes("web-1", None) && !stage.includes("web-2", Some("web-1")));
        let stage = Stage::regions(["eu", "us"]);
        assert!(stage.includes("web-1", Some("us")) && !stage.includes("eu", None));
        assert!(Stage::Everywhere.includes("", None));
    }

    #[test]
    fn stages_only_grow_to_the_right_or_by_names() {
        let (one, two) = (Stage::instances(["a"]), Stage::instances(["a", "b"]));
        let region = Stage::regions(["eu"]);
        assert!(two.covers(&one) && Stage::Everywhere.covers(&region));
        assert!(!region.covers(&two), "it may be that neither is there");
        let after = region.clone().after(&two);
        assert!(after.covers(&two) && after.covers(&region) && !region.covers(&after) && !two.covers(&after));
        assert!(Stage::regions(["us"]).after(&after).includes("a", None), "those that it began with stay");
        assert!(!one.covers(&two) && !two.covers(&region) && !region.covers(&Stage::Everywhere));
        assert!(!Stage::regions(["us"]).covers(&region));
    }

    #[test]
    fn a_stage_is_written_and_read_as_the_same() {
        let both = Stage::regions(["eu"]).after(&Stage::instances(["a"]));
        assert_eq!(serde_json::to_string(&both).unwrap(), r#"{"regions":["eu"],"instances":["a"]}"#);
        for stage in [Stage::instances(["a", "b"]), Stage::regions(["eu"]), both, Stage::Everywhere] {
            let written = serde_json::to_string(&stage).unwrap();
            assert_eq!(serde_json::from_str::<Stage>(&written).unwrap(), stage);
        }
        for wrong in [
            r#"{"instances":[]}"#,
            r#"{"everywhere":1}"#,
            r#""regions""#,
            r#"{"regions":[""]}"#,
            r#"{"regions":[],"instances":["a"]}"#,
            "1",
            "{}",
        ] {
            let mut problems = Problems::default();
            if let Ok(stage) = serde_json::from_str::<Stage>(wrong) {
                stage.check_at("stage", &mut problems);
                assert!(problems.into_result(()).is_err(), "{wrong}");
            }
        }
    }
}
