//! The token that a command presents: from a file or the environment, never from an argument, which others can see.

use super::output::Failure;
use backstop::kill_switch::access::Token;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// More than any token has, with what an editor may have put around it.
const BYTES_MAX: u64 = 1024;

/// The token; `None` if none is given, which is enough for programs that allow reading without one.
///
/// # Errors
///
/// A file that cannot be read or is not a token. The content is never printed: it may be another secret.
pub(super) fn read(path: Option<&Path>) -> Result<Option<Token>, Failure> {
    let (text, of) = if let Some(path) = path {
        (of_file(path)?, path.display().to_string())
    } else {
        match std::env::var_os("BACKSTOP_TOKEN").filter(|token| !token.is_empty()) {
            Some(token) => (token.to_string_lossy().into_owned(), "BACKSTOP_TOKEN".to_owned()),
            None => return Ok(None),
        }
    };
    let wrong =
        |_| Failure::Usage(format!("{of} does not contain a token: a token begins with bks_ and has 47 characters"));
    Token::parse(text.trim()).map(Some).map_err(wrong)
}

fn of_file(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
    let failed = |error| Failure::Usage(format!("the token in {} cannot be read: {error}", path.display()));
    read.map(|_| text).map_err(failed)
}
