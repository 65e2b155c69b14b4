//! Instants as RFC 3339 has them, to the microsecond.

use market::Timestamp;

/// Reads `2026-11-01T00:00:00Z` or `2026-11-01T08:00:00.5+08:00`.
///
/// The shape is checked here since jiff reads more than RFC 3339: a space for the `T`, a missing
/// colon, a zone in brackets, a minute without seconds.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(text: &str) -> Result<Timestamp, &'static str> {
    if !is_rfc3339(text.as_bytes()) {
        return Err("not an RFC 3339 time, as in \"2026-11-01T00:00:00Z\"");
    }
    let instant: jiff::Timestamp = text.parse().map_err(|_| "there is no such time")?;
    if instant.as_nanosecond().rem_euclid(1_000) != 0 {
        return Err("a time is counted in microseconds, six decimals");
    }
    Ok(Timestamp(instant.as_microsecond()))
}

/// Prints an instant in UTC, ending in `Z`.
///
/// # Panics
/// Where it is beyond the years that can be read.
pub fn print(instant: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(instant.0)
        .expect("what is printed was read from a line, or lies between two instants that were")
        .to_string()
}

/// A date, `T` and a time to the second, perhaps a fraction, then `Z` or an offset. A leap second is
/// refused: it has no place of its own in a count of microseconds. In a shape, `d` is any digit
/// and `5` one of 0 to 5.
fn is_rfc3339(text: &[u8]) -> bool {
    let Some((head, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let shaped = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, want)| match want {
                b'd' => byte.is_ascii_digit(),
                b'5' => (b'0'..=b'5').contains(byte),
                _ => byte.eq_ignore_ascii_case(want),
            })
    };
    if !shaped(head, b"dddd-dd-ddTdd:5d:5d") {
        return false;
    }
    let zone = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
            match digits.count() {
                0 => return false,
                digits => &fraction[digits..],
            }
        }
    };
    let offset = |sign: &[u8]| shaped(zone, &[sign, b"dd:5d"].concat());
    shaped(zone, b"Z") || ((offset(b"+") || offset(b"-")) && zone[1..3] <= b"23"[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_rfc_3339_allows() {
        let midnight = Timestamp(1_793_491_200_000_000);
        for text in [
            "2026-11-01T00:00:00Z",
            "2026-11-01t00:00:00z",
            "2026-11-01T00:00:00.000Z",
            "2026-11-01T08:00:00+08:00",
            "2026-10-31T19:30:00-04:30",
        ] {
            assert_eq!(read(text), Ok(midnight), "{text}");
            assert_eq!(print(midnight), "2026-11-01T00:00:00Z");
        }
        let later = read("2026-11-01T00:00:00.000001Z").unwrap();
        assert_eq!(later, Timestamp(midnight.0 + 1));
        assert_eq!(print(later), "2026-11-01T00:00:00.000001Z");
    }

    #[test]
    fn refuses_every_looser_form() {
        for text in [
            "",
            "2026-11-01",
            "2026-11-01T00:00Z",
            "2026-11-01 00:00:00Z",
            "2026-11-01T00:00:00",
            "2026-11-01T00:00:00+08",
            "2026-11-01T00:00:00+0800",
            "2026-11-01T00:00:00+24:00",
            "2026-11-01T00:00:00+08:60",
            "2026-11-01T00:00:00.Z",
            "2026-11-01T00:00:00,5Z",
            "2026-11-01T00:00:00Z[UTC]",
            "2026-11-01T00:00:60Z",
            "2026-11-01T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "+002026-11-01T00:00:00Z",
            "2026-11-01T00:00:00Ｚ",
            "2026-11-01T00:00:00.0000001Z",
            " 2026-11-01T00:00:00Z",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
