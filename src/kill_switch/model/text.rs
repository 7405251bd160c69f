//! Checks of texts in a document, which end up in logs, metrics and terminals.

use crate::config::Problems;

/// The longest name of an actor, owner, tenant, incident and so on, in bytes.
pub(crate) const NAME_MAX: usize = 128;
/// The longest reason, in characters.
pub(crate) const REASON_MAX: usize = 512;

/// A text for a message: in quotes, without control characters, not longer than 48 characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::from("\"");
    shown.extend(text.chars().take(48).flat_map(char::escape_debug));
    shown.push_str(if text.chars().nth(48).is_some() { "..\"" } else { "\"" });
    shown
}

/// Checks a name of 1 to 128 bytes.
pub(crate) fn name(at: &str, text: &str, problems: &mut Problems) {
    bytes(at, text, NAME_MAX, problems);
}

/// Checks a text of 1 to `most` bytes that is not blank and has no control characters.
pub(crate) fn bytes(at: &str, text: &str, most: usize, problems: &mut Problems) {
    if text.len() > most || is_unfit(text) {
        let allowed = format!("1 to {most} bytes, not blank and without control characters");
        problems.add(at.to_owned(), shown(text), allowed);
    }
}

/// Checks a reason, or another sentence, of 1 to 512 characters.
pub(crate) fn reason(at: &str, text: &str, problems: &mut Problems) {
    if text.chars().nth(REASON_MAX).is_some() || is_unfit(text) {
        let allowed = format!("1 to {REASON_MAX} characters, not blank and without control characters");
        problems.add(at.to_owned(), shown(text), allowed);
    }
}

fn is_unfit(text: &str) -> bool {
    text.trim().is_empty() || text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fine(check: fn(&str, &str, &mut Problems), text: &str) -> bool {
        let mut problems = Problems::default();
        check("at", text, &mut problems);
        problems.into_result(()).is_ok()
    }

    #[test]
    fn names_and_reasons_end_at_their_length() {
        assert!(is_fine(name, &"x".repeat(128)) && !is_fine(name, &"x".repeat(129)));
        assert!(is_fine(name, "ana") && !is_fine(name, &"é".repeat(65)), "bytes, not characters");
        assert!(is_fine(reason, &"é".repeat(512)) && !is_fine(reason, &"é".repeat(513)), "characters, not bytes");
    }

    #[test]
    fn blank_texts_and_control_characters_are_refused() {
        for wrong in ["", " ", "\u{a0}", "a\nb", "a\u{1b}[2J", "\u{85}"] {
            assert!(!is_fine(name, wrong) && !is_fine(reason, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_shown_is_short_and_escaped() {
        assert_eq!(shown("a\u{1b}\"b"), r#""a\u{1b}\"b""#);
        assert_eq!(shown(&"x".repeat(1_000)).len(), 52);
    }
}
