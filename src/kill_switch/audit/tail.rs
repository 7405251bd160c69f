//! The end of a file of entries: what the next one goes after, and what is in its way.

use super::chain::{Entry, is_torn};

/// End of an audit file.
#[derive(Debug, PartialEq)]
pub(super) struct Tail<'a> {
    /// The last whole line, unless there is none.
    pub(super) last: Option<&'a [u8]>,
    /// Rest of an interrupted write, usually empty. It may end with a new line.
    pub(super) torn: &'a [u8],
}

impl<'a> Tail<'a> {
    /// Of bytes that reach to the end of the file.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let (whole, torn) = bytes.split_at(after_last_line_end(bytes));
        let (before, last) = last_line(whole);
        if torn.is_empty() && last.is_some_and(is_torn) {
            return Self { last: last_line(before).1, torn: &bytes[before.len()..] };
        }
        Self { last, torn }
    }

    /// The entry on the last line.
    pub(super) fn entry<R: serde::de::DeserializeOwned>(&self) -> Option<Result<Entry<R>, String>> {
        self.last.map(Entry::parse)
    }
}

fn after_last_line_end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
}

/// Splits whole lines into those before the last and, without its end, the last.
fn last_line(whole: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(without_end) = whole.strip_suffix(b"\n") else { return (whole, None) };
    let (before, last) = without_end.split_at(after_last_line_end(without_end));
    (before, Some(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_tail_is_told_from_the_last_whole_line() {
        for (bytes, last, torn) in [
            ("", None, ""),
            ("{", None, "{"),
            ("{}\n", Some("{}"), ""),
            ("1\n2\n", Some("2"), ""),
            ("1\n2\n{", Some("2"), "{"),
            ("1\n2", Some("1"), "2"),
            ("1\n{\n", Some("1"), "{\n"),
            ("1\n\n", Some("1"), "\n"),
            ("{\n", None, "{\n"),
            // Only the very last line may be torn: one before it has been tampered with.
            ("1\n{\n2", Some("{"), "2"),
            ("1\n{\n{\n", Some("{"), "{\n"),
        ] {
            let expected = Tail { last: last.map(str::as_bytes), torn: torn.as_bytes() };
            assert_eq!(Tail::of(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
