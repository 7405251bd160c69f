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

/// Checks a name that requests or instances have to state in the very same way.
pub(crate) fn matched(at: &str, text: &str, problems: &mut Problems) {
    let allowed = match () {
        () if text.trim() != text => "without blanks at its ends: it would match no request",
        () if text.chars().any(is_invisible) => "without invisible characters: it would match no request",
        () if text.contains(SEPARATORS) => "one name: give each of several on its own",
        () if is_quoted(text) => "without quotes around it: a shell may have left them",
        () if text.contains('*') => "a whole name: only routes have a wildcard",
        () => return,
    };
    problems.add(at.to_owned(), shown(text), allowed);
}

/// Checks a route that the paths of requests could match.
pub(crate) fn route(at: &str, text: &str, problems: &mut Problems) {
    let path = text.strip_suffix('*').unwrap_or(text);
    let is_rooted = text == "*" || text.starts_with('/') && !text.starts_with("//");
    let allowed = match () {
        () if !is_rooted => "a path that begins with one /, as /recs or /recs/*, without method, scheme and host",
        () if path.contains('*') => "a path with * at its end or nowhere",
        () if path.contains(['?', '#']) => "a path without a query",
        () if path.contains(['{', '}', '<', '>']) || path.contains("/:") => {
            "a path without parameters: /recs/* is all below /recs/"
        }
        () if text.split('/').any(|part| matches!(part, ".*" | ".+")) => "no pattern: /recs/* is all below /recs/",
        () if path.split('/').any(|part| matches!(part, "." | "..")) => {
            "a path without . and .. in it, as clients send it"
        }
        () if path.contains(",/") => "one path: give each of several on its own",
        () if path.chars().any(|char| char.is_whitespace() || is_invisible(char)) => "a path without blanks",
        () => return,
    };
    problems.add(at.to_owned(), shown(text), allowed);
}

/// Characters between several names, of other scripts among them.
const SEPARATORS: [char; 8] = [',', ';', '\u{60c}', '\u{61b}', '\u{3001}', '\u{fe50}', '\u{ff0c}', '\u{ff1b}'];

fn is_quoted(text: &str) -> bool {
    let quotes = [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];
    quotes.iter().any(|(begin, end)| text.len() > 1 && text.starts_with(*begin) && text.ends_with(*end))
}

/// Invisible characters, and Unicode blanks that look like a space.
fn is_invisible(char: char) -> bool {
    let is_without_shape = matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    is_without_shape || char.is_whitespace() && char != ' '
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
    fn what_could_match_nobody_is_refused_with_the_reason() {
        let reason = |check: fn(&str, &str, &mut Problems), text: &str| {
            let mut problems = Problems::default();
            check("at", text, &mut problems);
            problems.into_result(()).map_err(|error| error.to_string()).err().unwrap_or_default()
        };
        for (name, why) in [
            ("acme ", "blanks at its ends"),
            ("\u{a0}acme", "blanks at its ends"),
            ("ac\u{200b}me", "invisible"),
            ("ac\u{2009}me", "invisible"),
            ("\u{feff}acme", "invisible"),
            ("acme,initech", "each of several on its own"),
            ("acme;initech", "each of several on its own"),
            ("acme\u{ff0c}initech", "each of several on its own"),
            ("acme\u{3001}initech", "each of several on its own"),
            ("\"acme\"", "without quotes"),
            ("'acme'", "without quotes"),
            ("\u{201c}acme\u{201d}", "without quotes"),
            ("ac\u{1d173}me", "invisible"),
            ("acme*", "only routes have a wildcard"),
        ] {
            assert!(reason(matched, name).contains(why), "{name:?}: {}", reason(matched, name));
        }
        for (path, why) in [
            ("recs", "begins with one /"),
            ("GET /recs", "without method"),
            ("https://shop.example/recs", "scheme and host"),
            ("//shop.example/recs", "scheme and host"),
            ("/a/*/b", "at its end or nowhere"),
            ("/recs/**", "at its end or nowhere"),
            ("/recs?page=1", "without a query"),
            ("/recs/{id}", "without parameters"),
            ("/recs/:id", "without parameters"),
            ("/recs/<id>", "without parameters"),
            ("/recs/.*", "no pattern"),
            ("/recs/.+", "no pattern"),
            ("/recs/.*/x", "at its end or nowhere"),
            ("/recs/../x", "without . and .."),
            ("/recs/./x", "without . and .."),
            ("/recs/..", "without . and .."),
            ("/a,/b", "each of several on its own"),
            ("/recs ", "without blanks"),
            ("/re\u{200b}cs", "without blanks"),
        ] {
            assert!(reason(route, path).contains(why), "{path:?}: {}", reason(route, path));
        }
        for fine in ["acme", "Acme Inc.", "caf\u{e9}", "a|b", "日本", "Moe's", "'t Hooft", "\""] {
            assert_eq!(reason(matched, fine), "");
        }
        for fine in [
            "/",
            "*",
            "/*",
            "/recs",
            "/recs/*",
            "/shop.Recs/List",
            "/a%20b",
            "/caf\u{e9}",
            "/v1:batch",
            "/.well-known/*",
            "/a,b",
            "/v1..2",
            "/.recs*",
        ] {
            assert_eq!(reason(route, fine), "");
        }
    }

    #[test]
    fn what_is_shown_is_short_and_escaped() {
        assert_eq!(shown("a\u{1b}\"b"), r#""a\u{1b}\"b""#);
        assert_eq!(shown(&"x".repeat(1_000)).len(), 52);
    }
}
