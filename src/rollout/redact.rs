//! Texts of people and programs without what looks like a secret: journals, alerts and reports are sent on.
//!
//! Every text from outside passes [`clean`] where it comes in: events before they are journaled, alerts before they are
//! sent, troubles before they are shown. What is decided from them is clean, too.

/// Text in the place of a secret.
const HIDDEN: &str = "(redacted)";
/// Most characters of a text.
const TEXT_MAX: usize = 1_000;
/// Parts of names whose values are secrets.
const SECRET_NAMES: &str = "token secret password passwd passphrase api_key api-key apikey authorization credential private_key \
                            private-key access_key access-key routing_key signature cookie session";
/// Beginnings of well-known tokens.
const TOKENS: &str = "bks_ ghp_ gho_ ghs_ github_pat_ glpat- xoxb- xoxp- xapp- sk- sk_ AKIA eyJ";

/// A text in one line, without secrets, of bounded length.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::new();
    let mut hiding = Hiding::No;
    for word in text.split_whitespace() {
        let shown = match hiding {
            Hiding::No => shown(word, &mut hiding),
            Hiding::Next if is_scheme(word) => word.to_owned(),
            Hiding::Next => {
                hiding = Hiding::No;
                match word.chars().next().filter(|char| is_quote(*char)) {
                    Some(quote) if !ends_with(word.get(1..).unwrap_or_default(), quote) => {
                        hiding = Hiding::Until(quote);
                    }
                    _ => {}
                }
                HIDDEN.to_owned()
            }
            Hiding::Until(quote) => {
                if ends_with(word, quote) {
                    hiding = Hiding::No;
                }
                continue;
            }
        };
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&shown);
        if out.len() > TEXT_MAX * 4 {
            break;
        }
    }
    let cut: String = out.chars().take(TEXT_MAX).collect();
    if cut.len() < out.len() { cut + ".." } else { cut }
}

/// Every text of a value, cleaned.
pub(crate) fn clean_all(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = clean(text),
        serde_json::Value::Array(values) => values.iter_mut().for_each(clean_all),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(clean_all),
        _ => {}
    }
}

/// Words after a name whose value is a secret.
#[derive(Clone, Copy)]
enum Hiding {
    No,
    Next,
    /// Up to the word that ends with this quote.
    Until(char),
}

fn shown(word: &str, hiding: &mut Hiding) -> String {
    if let Some(at) = word.find("://") {
        return addresses(word, at);
    }
    let mut begin = 0;
    for (at, separator) in word.char_indices().filter(|(_, char)| matches!(char, '=' | ':')) {
        let name = bare(word.get(begin..at).unwrap_or_default());
        begin = at + 1;
        let is_secret = is_secret_name(name) || separator == '=' && is_variable(name);
        if !is_secret {
            continue;
        }
        let value = word.get(begin..).unwrap_or_default();
        let quote = [value, word].into_iter().find_map(|text| text.chars().next().filter(|char| is_quote(*char)));
        *hiding = match quote {
            Some(quote) if !ends_with(value.get(1..).unwrap_or_default(), quote) => Hiding::Until(quote),
            None if value.is_empty() || is_scheme(value) => Hiding::Next,
            _ => Hiding::No,
        };
        let is_hidden_here = !matches!(hiding, Hiding::Next);
        return format!("{}{}", word.get(..begin).unwrap_or_default(), if is_hidden_here { HIDDEN } else { value });
    }
    let name = bare(word);
    if word.starts_with('-') && (is_secret_name(name) || matches!(name, "-u" | "--user"))
        || name.eq_ignore_ascii_case("bearer")
    {
        *hiding = Hiding::Next;
    }
    if is_token(name) { HIDDEN.to_owned() } else { word.to_owned() }
}

/// A word with addresses: each has secrets of its own.
fn addresses(word: &str, at: usize) -> String {
    let behind = at + 3;
    let next = word.get(behind..).and_then(|rest| rest.find("://")).map(|next| behind + next);
    let Some(next) = next else { return url(word, at) };
    let scheme = word.get(..next).unwrap_or_default();
    let length: usize = scheme.chars().rev().take_while(char::is_ascii_alphanumeric).map(char::len_utf8).sum();
    match word.split_at_checked(behind.max(next - length)) {
        Some((first, more)) => url(first, at) + &addresses(more, more.find("://").unwrap_or_default()),
        None => HIDDEN.to_owned(),
    }
}

/// An address without user, values of its query, and parts of its path that look like keys.
fn url(word: &str, at: usize) -> String {
    let (scheme, rest) = word.split_at(at + 3);
    let ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(ends);
    // A password with a slash: no port is like that.
    let is_cut =
        |(_, port): (&str, &str)| !authority.starts_with('[') && !port.chars().all(|char| char.is_ascii_digit());
    if rest.contains('@') && authority.rsplit_once(':').is_some_and(is_cut) {
        return format!("{scheme}{HIDDEN}");
    }
    let host = authority.rsplit_once('@').map_or_else(|| authority.to_owned(), |(_, host)| format!("{HIDDEN}@{host}"));
    let ends = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, query) = rest.split_at(ends);
    let is_hook = host.starts_with("hooks.") || path.to_ascii_lowercase().contains("webhook");
    let is_mixed = |run: &str| {
        let has = |test: fn(&char) -> bool| run.chars().any(|char| test(&char));
        run.len() >= 16 && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic)
    };
    let is_key = |part: &str| is_token(part) || part.split(['-', '.']).any(is_mixed);
    let path: Vec<_> =
        path.split('/').map(|part| if !part.is_empty() && (is_hook || is_key(part)) { HIDDEN } else { part }).collect();
    let query = if query.len() > 1 { format!("?{HIDDEN}") } else { String::new() };
    format!("{scheme}{host}{}{query}", path.join("/"))
}

fn bare(word: &str) -> &str {
    word.trim_matches(|char: char| is_quote(char) || "()[]{},;.".contains(char))
}

const fn is_quote(char: char) -> bool {
    matches!(char, '"' | '\'' | '`')
}

fn ends_with(word: &str, quote: char) -> bool {
    word.trim_end_matches([',', ';', ')', ']', '}', '.']).ends_with(quote)
}

fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "token", "digest"].iter().any(|scheme| bare(word).eq_ignore_ascii_case(scheme))
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['-', '_']).next().unwrap_or_default();
    matches!(last, "auth" | "pwd" | "key") || SECRET_NAMES.split(' ').any(|secret| name.contains(secret))
}

/// `DB_URL`: the name of an environment variable.
fn is_variable(name: &str) -> bool {
    let is_name = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
    name.len() > 1
        && name.starts_with(|char: char| char.is_ascii_uppercase() || char == '_')
        && name.chars().all(is_name)
}

/// Long and mixed, but no digest of a commit or an image.
fn is_token(word: &str) -> bool {
    let word = bare(word);
    if word.len() >= 16 && TOKENS.split(' ').any(|token| word.starts_with(token)) {
        return true;
    }
    let is_digest = matches!(word.len(), 40 | 64) && word.chars().all(|char| char.is_ascii_hexdigit());
    let is_key = word.chars().all(|char| char.is_ascii_alphanumeric() || "-_+/=".contains(char));
    let is_mixed =
        word.chars().any(|char| char.is_ascii_digit()) && word.chars().any(|char| char.is_ascii_alphabetic());
    word.len() >= 32 && is_key && is_mixed && !is_digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_repeated() {
        for (text, cleaned) in [
            (
                "curl -H 'Authorization: Bearer abc.def' https://u:p@host/a?token=x&b=1",
                "curl -H 'Authorization:(redacted) https://(redacted)@host/a?(redacted)",
            ),
            ("Authorization: Bearer abc, then 401", "Authorization: Bearer (redacted) then 401"),
            ("env DB_PASSWORD=hunter2 ./x --weight=5", "env DB_PASSWORD=(redacted) ./x --weight=5"),
            ("HOST='a b c' ./run --token t0p now", "HOST=(redacted) ./run --token (redacted) now"),
            (r#"{"password": "a b", "id": 7}"#, r#"{"password": (redacted) "id": 7}"#),
            (
                "https://hooks.slack.com/services/T1/B2/x",
                "https://hooks.slack.com/(redacted)/(redacted)/(redacted)/(redacted)",
            ),
            ("the key ghp_0123456789abcdefghij leaked", "the key (redacted) leaked"),
            ("curl -u mira:pass http://host", "curl -u (redacted) http://host"),
            ("from=https://u:p@a,https://x:y@b/?k=v", "from=https://(redacted)@a,https://(redacted)@b/?(redacted)"),
            ("http://https://u:p@a", "http://https://(redacted)@a"),
            ("postgres://u:p/w@db/orders", "postgres://(redacted)"),
            (r#"{"id":7,"client_secret":"t0p"}"#, r#"{"id":7,"client_secret":(redacted)"#),
        ] {
            assert_eq!(clean(text), cleaned, "{text}");
        }
    }

    #[test]
    fn plain_texts_stay_as_they_are() {
        for text in [
            "1.2 % of the canary's requests fail, 12 times the baseline's 0.1 % (errors)",
            "weight.sh ended with exit code 1: no such backend: shop",
            "see https://wiki.example/incidents/2026-11-28-checkout-errors",
            "registry/checkout@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "rollback[0] (kill_switch) failed: no answer. on call: +41 44 000 00 00",
            "3c1b1bd4b7a1b9e4d4e2f9b5f0f8a3a0c9d8e7f6 by the author of errors=2x",
        ] {
            assert_eq!(clean(text), text);
        }
        assert_eq!(clean("a\n\tb \u{7}"), "a b \u{7}");
        assert!(clean(&"word ".repeat(1_000)).ends_with(".."));
    }
}
