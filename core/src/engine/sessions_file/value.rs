//! Values: durations, words, lists.

use std::time::Duration;

/// Longest duration of a file: ten years.
const LONGEST: u64 = 10 * 366 * 86_400;

/// `90`, `90s`, `10m`, `1h30m`, `7d`: a bare number is seconds. More than zero, at most ten years.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let (mut total, mut last): (u64, u64) = (0, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = match rest.bytes().next() {
            None if last == u64::MAX => 1,
            Some(b'd') => 86_400,
            Some(b'h') => 3600,
            Some(b'm') => 60,
            Some(b's') => 1,
            _ => return None,
        };
        rest = rest.get(1..).unwrap_or_default();
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
    }
    (1..=LONGEST).contains(&total).then(|| Duration::from_secs(total))
}

/// Splits a command line into words. Single and double quotes hold words together, a backslash inside double quotes
/// or outside keeps the next sign; there is no shell and nothing else is special. `None`: a quote is not closed, or
/// there is no word.
pub fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut signs = text.chars();
    let mut quote = None;
    while let Some(sign) = signs.next() {
        match (quote, sign) {
            (Some(open), sign) if sign == open => quote = None,
            (Some('\''), sign) => word.get_or_insert_default().push(sign),
            (None, '\'' | '"') => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (_, '\\') => word.get_or_insert_default().push(signs.next()?),
            (None, sign) if sign.is_whitespace() => words.extend(word.take()),
            (_, sign) => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    (quote.is_none() && words.first().is_some_and(|program| !program.is_empty())).then_some(words)
}

/// `true`/`false` and their usual spellings.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("7d", 604_800), (" 1d1s ", 86_401)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "0", "s", "1x", "-1", "1.5h", "1m1h", "1h5", "99999999999999999999", "11000d", "1\u{fc}"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn command_lines_are_split_without_a_shell() {
        let split = |text: &str| split_words(text).map(|words| words.join("|"));
        assert_eq!(split("/bin/x --a b").as_deref(), Some("/bin/x|--a|b"));
        assert_eq!(
            split(r#" x 'a b' "c \" d" e\ f $HOME '' "#).as_deref(),
            Some(r#"x|a b|c " d|e f|$HOME|"#)
        );
        assert_eq!(split("a\nb").as_deref(), Some("a|b"));
        assert_eq!(split(r"x 'a\b'").as_deref(), Some(r"x|a\b"));
        for text in ["", " ", "'a", "\"a", "a\\", "''"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
