//! Parameters of a query.

/// Longest query, in bytes.
const QUERY_MAX: usize = 2_048;

/// Values of these parameters, in their order; `None` for one that is not given.
///
/// # Errors
///
/// Anything else in the query, a parameter that is there twice, text that is not UTF-8, more than 2,048 bytes.
pub(super) fn values<const N: usize>(query: &str, names: [&str; N]) -> Result<[Option<String>; N], String> {
    if query.len() > QUERY_MAX {
        return Err(format!("the query has {} bytes, at most {QUERY_MAX} are read", query.len()));
    }
    let mut values = [const { None }; N];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(place) = names.iter().position(|known| *known == name) else {
            let allowed = names.join(", ");
            return Err(format!("\"{}\" is no parameter here, must be one of {allowed}", name.escape_debug()));
        };
        let value = decoded(value).ok_or_else(|| format!("{name} is not UTF-8 in percent encoding"))?;
        if values[place].replace(value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(values)
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, more @ ..] = rest {
        rest = more;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, more) = rest.split_at_checked(2)?;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?);
                rest = more;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_what_else_is_there_is_an_error() {
        let of = |query: &str| values(query, ["service", "rollout"]);
        assert_eq!(of("service=a%20b+c&rollout=%C3%A9"), Ok([Some("a b c".into()), Some("é".into())]));
        assert_eq!(of(""), Ok([None, None]));
        for (query, error) in [
            ("servce=a", "\"servce\" is no parameter here, must be one of service, rollout"),
            ("service=a&service=b", "service is there twice"),
            ("service=%", "service is not UTF-8 in percent encoding"),
            ("service=%zz", "service is not UTF-8 in percent encoding"),
            ("service=%ff", "service is not UTF-8 in percent encoding"),
            (&*format!("service={}", "a".repeat(3_000)), "the query has 3008 bytes, at most 2048 are read"),
        ] {
            assert_eq!(of(query), Err(error.to_owned()));
        }
    }
}
