//! Values of flags, parsed into types that cannot be wrong. Messages say what is accepted.

use std::time::Duration;

/// A namespace or bucket name: letters, digits, `_`, `-`, `.` (the official command line's rule).
pub(crate) fn label(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if text.is_empty() || text.len() > 256 || !text.bytes().all(legal) || text == "." || text == ".." {
        return Err("use 1 to 256 letters, digits, '_', '-' and '.'".into());
    }
    Ok(text.to_owned())
}

/// A part size in MiB: 1 to 51,200 (the service takes parts up to 50 GiB).
pub(crate) fn part_size(text: &str) -> Result<u64, String> {
    let size = text.parse().ok().filter(|size| (1..=51_200).contains(size));
    size.ok_or_else(|| "it is a whole number of MiB from 1 to 51200".into())
}

/// Requests in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parallel {
    /// This many.
    Count(u32),
    /// As many as the link can use.
    Auto,
}

/// Requests in flight.
pub(crate) fn parallel(text: &str) -> Result<Parallel, String> {
    if text == "auto" {
        return Ok(Parallel::Auto);
    }
    let count = text.parse().ok().filter(|count| (1..=1000).contains(count));
    count.map(Parallel::Count).ok_or_else(|| "it is a whole number from 1 to 1000, or auto".into())
}

/// Size of the demonstration's file in MiB.
pub(crate) fn demo_size(text: &str) -> Result<u64, String> {
    let size = text.parse().ok().filter(|size| (16..=16_384).contains(size));
    size.ok_or_else(|| "it is a whole number of MiB from 16 to 16384".into())
}

/// Length of the demonstration in seconds.
pub(crate) fn demo_seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (12..=600).contains(seconds));
    seconds.ok_or_else(|| "it is a whole number from 12 to 600".into())
}

/// A timeout in whole seconds, at most a day.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.ok_or_else(|| "it is a whole number of seconds from 1 to 86400".into())
}

/// Retries after the first attempt.
pub(crate) fn retries(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| *count <= 1000);
    count.ok_or_else(|| "it is a whole number from 0 to 1000".into())
}

/// Minutes of a minted session: what the service allows.
pub(crate) fn mint_minutes(text: &str) -> Result<u32, String> {
    let minutes = text.parse().ok().filter(|minutes| (5..=60).contains(minutes));
    minutes.ok_or_else(|| "it is a whole number of minutes from 5 to 60".into())
}

/// A rate in bytes per second: a number with K, M or G for the binary multiples.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    let wrong = || "write bytes per second as 500000, 800K, 4M (= 4 MiB/s) or 1.5G".to_owned();
    let bare = text.trim().trim_end_matches("/s");
    let bare = bare.strip_suffix("iB").or_else(|| bare.strip_suffix('B')).unwrap_or(bare).trim_end();
    let (number, scale) = match bare.char_indices().next_back() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => {
            let scale = match unit.to_ascii_uppercase() {
                'K' => 1u64 << 10,
                'M' => 1 << 20,
                'G' => 1 << 30,
                _ => return Err(wrong()),
            };
            (bare[..at].trim_end(), scale)
        }
        _ => (bare, 1),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    let value: f64 = number.parse().map_err(|_| wrong())?;
    #[expect(clippy::cast_precision_loss, reason = "scales are powers of two")]
    let bytes = (value * scale as f64).round();
    if !(1.0..=1e15).contains(&bytes) {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e15")]
    Ok(bytes as u64)
}

/// A duration: numbers with d, h, m, s or ms, largest first; a bare number is seconds. At most 30 days.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let wrong = || "write 90s, 10m, 1h30m or 2d".to_owned();
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = if rest.is_empty() && last == u64::MAX {
            1000
        } else {
            let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name)).ok_or_else(wrong)?;
            rest = &rest[name.len()..];
            *unit
        };
        if unit >= last {
            return Err(wrong());
        }
        last = unit;
        total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
    }
    if total > 30 * 86_400_000 {
        return Err("it is at most 30 days".into());
    }
    Ok(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_binary() {
        let good =
            [("1", 1), ("500000", 500_000), ("800K", 800 << 10), ("4M", 4 << 20), ("4 MiB/s", 4 << 20)];
        for (text, bytes) in good.into_iter().chain([("1.5g", 3 << 29), ("2MB", 2 << 20)]) {
            assert_eq!(rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "M", "-1", "4X", "4MM", "1e9", "nan", "inf", "4T", "9999999G", "½M", "4 m b"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_name_their_units() {
        let good =
            [("0", 0), ("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("0s", 0)];
        for (text, seconds) in good {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("1s500ms"), Ok(Duration::from_millis(1500)));
        for text in [
            "",
            " ",
            "s",
            "-1s",
            "1.5h",
            "10x",
            "1m1h",
            "1h30",
            "5m5m",
            "31d",
            "99999999999999999999s",
            "1h-5m",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_what_the_service_takes() {
        assert!(label("a.B-c_9").is_ok());
        for text in ["", "a b", "a/b", "ü", ".", "..", "a\n"] {
            assert!(label(text).is_err(), "{text:?}");
        }
    }
}
