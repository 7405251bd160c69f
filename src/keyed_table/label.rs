//! Text of a key, for the log and the admin page.

use super::Key;
use crate::sync::Arc;
use std::any::Any;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// Maximum length of a key in the log and on the admin page, in characters; the rest is cut.
const LABEL_MAX: usize = 128;

/// Text of a key, for the log and the admin page; never a metric's label.
pub(crate) struct KeyLabel<K>(Option<Label<K>>);

type Label<K> = Arc<dyn Fn(&K) -> String + Send + Sync>;

impl<K: Key> KeyLabel<K> {
    pub(crate) fn new(label: impl Fn(&K) -> String + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(label)))
    }

    /// The text: that of the user's function, or the key itself if it is a text, a number or an address.
    pub(crate) fn of(&self, key: &K) -> Option<String> {
        let text = match &self.0 {
            Some(label) => Some(label(key)),
            None => plain_text(key),
        };
        text.map(|text| text.chars().take(LABEL_MAX).collect())
    }
}

impl<K> Default for KeyLabel<K> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K> Clone for KeyLabel<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> std::fmt::Debug for KeyLabel<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyLabel").finish_non_exhaustive()
    }
}

/// A key has no bound by which it could be shown, so the usual types are asked for one by one.
fn plain_text(key: &dyn Any) -> Option<String> {
    fn shown<T: ToString + 'static>(key: &dyn Any) -> Option<String> {
        key.downcast_ref::<T>().map(ToString::to_string)
    }
    let known = [
        shown::<String>,
        shown::<&'static str>,
        shown::<Box<str>>,
        shown::<Arc<str>>,
        shown::<Cow<'static, str>>,
        shown::<u64>,
        shown::<u32>,
        shown::<u16>,
        shown::<u8>,
        shown::<usize>,
        shown::<i64>,
        shown::<i32>,
        shown::<u128>,
        shown::<IpAddr>,
        shown::<SocketAddr>,
    ];
    known.iter().find_map(|shown| shown(key))
}
