//! Any JSON as a tree: read first, judged afterwards, so that every problem is told at once.
//!
//! `serde_json::Value` is not strict enough for a document that decides what is off: of two keys of the same
//! name it keeps the last one and says nothing.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// The most values that one tree holds: 1 MiB of `[0,0,..]` would be half a million.
const NODES_MAX: usize = 200_000;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Whole(u64),
    /// Not a whole number, below 0, or above what 64 bits hold.
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Object(BTreeMap<String, Node>),
}

impl Node {
    /// # Errors
    ///
    /// What is no JSON, deeper than 128 levels, has a key twice or anything after the value.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let node = Self::deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(node)
    }

    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Whole(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut left = NODES_MAX;
        Tree { left: &mut left }.deserialize(deserializer)
    }
}

/// Reads a value while there are nodes left.
struct Tree<'a> {
    left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        *self.left =
            self.left.checked_sub(1).ok_or_else(|| D::Error::custom(format!("more than {NODES_MAX} values")))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Whole(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(u64::try_from(value).map_or(Node::Number(value as f64), Node::Whole))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Tree { left: &mut *self.left })? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut object = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Tree { left: &mut *self.left })?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!(
                    "the key {} comes twice",
                    crate::kill_switch::model::text::shown(&key)
                )));
            }
            object.insert(key, value);
        }
        Ok(Node::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_comes_twice_is_refused_however_it_is_written() {
        for twice in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":true,"\u0061":false}}]"#] {
            assert!(Node::parse(twice.as_bytes()).unwrap_err().to_string().contains("twice"), "{twice}");
        }
        assert!(Node::parse(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn depth_size_and_leftovers_are_refused() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Node::parse(deep(127).as_bytes()).is_ok());
        for wrong in [deep(129), deep(100_000), format!("[{}0]", "0,".repeat(NODES_MAX)), "{} {}".into(), String::new()]
        {
            assert!(Node::parse(wrong.as_bytes()).is_err());
        }
    }

    #[test]
    fn numbers_keep_what_they_are() {
        let of = |text: &str| Node::parse(text.as_bytes());
        assert_eq!(of("18446744073709551615").unwrap(), Node::Whole(u64::MAX));
        assert_eq!(of("18446744073709551616").unwrap(), Node::Number(18_446_744_073_709_551_616.0));
        assert_eq!(of("-1").unwrap(), Node::Number(-1.0));
        assert_eq!(of("1.0").unwrap(), Node::Number(1.0));
        assert!(of("1e999").is_err());
        assert!(of("NaN").is_err());
    }
}
