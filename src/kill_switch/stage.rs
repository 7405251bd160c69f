//! Where an engagement is in force already.

use super::node::Node;
use super::read::{Read, deserialize_by_reading, tagged};
use super::text;
use crate::config::Problems;
use std::collections::BTreeSet;

const NAMES_MAX: usize = 100;

/// Where an engagement is in force: the kill itself can be the mistake, so it may begin with one instance.
///
/// ```text
///  Instances ──▶ Regions ──▶ Everywhere        an engagement only ever goes to the right, or to more names
/// ```
///
/// Valid: 1 to 100 names of 1 to 128 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// On the instances of these names.
    Instances(BTreeSet<String>),
    /// On all instances in these regions.
    Regions(BTreeSet<String>),
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
        Self::Regions(names.into_iter().map(Into::into).collect())
    }

    /// Whether it has come to an instance of this name in this region.
    pub fn includes(&self, instance: &str, region: Option<&str>) -> bool {
        match self {
            Self::Instances(names) => names.contains(instance),
            Self::Regions(names) => region.is_some_and(|region| names.contains(region)),
            Self::Everywhere => true,
        }
    }

    /// Whether it is as far as the other, or further.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everywhere, _) | (Self::Regions(_), Self::Instances(_)) => true,
            (Self::Instances(own), Self::Instances(others)) | (Self::Regions(own), Self::Regions(others)) => {
                own.is_superset(others)
            }
            (Self::Instances(_) | Self::Regions(_), _) => false,
        }
    }

    pub(super) fn check_at(&self, at: &str, problems: &mut Problems) {
        let (Self::Instances(names) | Self::Regions(names)) = self else { return };
        if names.is_empty() || names.len() > NAMES_MAX {
            problems.add(at.to_owned(), format!("{} names", names.len()), format!("1 to {NAMES_MAX} names"));
        }
        for name in names {
            text::name(at, name, problems);
        }
    }
}

impl Read for Stage {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let stage = match tagged(node, at, &["instances", "regions", "everywhere"], problems)? {
            ("everywhere", Node::Null) => Self::Everywhere,
            ("instances", names) => Self::Instances(Read::read(names, at, problems)?),
            ("regions", names) => Self::Regions(Read::read(names, at, problems)?),
            (_, more) => return super::read::wrong(more, at, "no more than \"everywhere\"", problems),
        };
        stage.check_at(at, problems);
        Some(stage)
    }
}

deserialize_by_reading!("stage": Stage);

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
        assert!(two.covers(&one) && region.covers(&two) && Stage::Everywhere.covers(&region));
        assert!(!one.covers(&two) && !two.covers(&region) && !region.covers(&Stage::Everywhere));
        assert!(!Stage::regions(["us"]).covers(&region));
    }

    #[test]
    fn a_stage_is_written_and_read_as_the_same() {
        for stage in [Stage::instances(["a", "b"]), Stage::regions(["eu"]), Stage::Everywhere] {
            let written = serde_json::to_string(&stage).unwrap();
            assert_eq!(serde_json::from_str::<Stage>(&written).unwrap(), stage);
        }
        for wrong in [r#"{"instances":[]}"#, r#"{"everywhere":1}"#, r#""regions""#, r#"{"regions":[""]}"#, "1", "{}"] {
            assert!(serde_json::from_str::<Stage>(wrong).is_err(), "{wrong}");
        }
    }
}
