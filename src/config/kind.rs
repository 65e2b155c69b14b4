//! The forms that values of settings have.

use std::net::SocketAddr;

use tracing_subscriber::EnvFilter;

/// The form of a setting's values.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// An IP address and a port.
    Address,
    /// A whole number between two others, both included.
    Count(u64, u64),
    /// A decimal above zero with at most four decimals.
    Rate,
    /// A file or folder.
    Path,
    /// An address of the web, http or https.
    WebAddress,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A filter of log lines.
    LogFilter,
    /// Text that is not shown.
    Secret,
}

impl Kind {
    /// Whether a value has this form.
    ///
    /// # Errors
    /// What it should be, to go after "is wrong: ".
    pub fn check(self, value: &str) -> Result<(), String> {
        match self {
            Self::Address => match value.parse::<SocketAddr>() {
                Ok(_) => Ok(()),
                Err(_) => Err(format!(
                    "`{value}` is not an IP address with a port, such as 127.0.0.1:8080"
                )),
            },
            Self::Count(least, most) => match value.parse::<u64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                _ => Err(format!(
                    "`{value}` is not a whole number from {least} to {most}"
                )),
            },
            Self::Rate => ten_thousandths(value).map(drop),
            Self::WebAddress => {
                let (_, host) = value.split_once("://").unwrap_or_default();
                let is_web = value.starts_with("https://") || value.starts_with("http://");
                if is_web && !host.is_empty() {
                    return Ok(());
                }
                Err(format!("`{value}` does not look like https://example.org"))
            }
            Self::OneOf(words) if words.contains(&value) => Ok(()),
            Self::OneOf(words) => Err(format!("`{value}` is none of {}", words.join(", "))),
            Self::LogFilter => match EnvFilter::try_new(value) {
                Ok(_) => Ok(()),
                Err(e) => Err(format!("`{value}` is not a log filter: {e}")),
            },
            Self::Path | Self::Secret => Ok(()),
        }
    }

    /// What stands for a value in a usage line.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Address => "ADDRESS",
            Self::Count(..) => "NUMBER",
            Self::Rate => "RATE",
            Self::Path => "PATH",
            Self::WebAddress | Self::Secret => "URL",
            Self::OneOf(_) => "WORD",
            Self::LogFilter => "FILTER",
        }
    }

    /// Whether a value must not be shown whole.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret)
    }
}

/// Reads a decimal above zero into whole ten-thousandths.
pub(super) fn ten_thousandths(value: &str) -> Result<i64, String> {
    let wrong = || format!("`{value}` is not a number above 0 with at most four decimals");
    let (whole, decimals) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 4 {
        return Err(wrong());
    }
    let number: i64 = format!("{whole}{decimals:0<4}")
        .parse()
        .map_err(|_| wrong())?;
    if number == 0 {
        Err(wrong())
    } else {
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::ten_thousandths;

    #[test]
    fn a_rate_is_read_without_rounding() {
        for (text, number) in [
            ("7.1", 71_000),
            ("7", 70_000),
            ("0.0001", 1),
            ("7.1234", 71_234),
        ] {
            assert_eq!(ten_thousandths(text), Ok(number));
        }
        for text in [
            "",
            ".",
            "7.",
            ".5",
            "+7",
            "7e3",
            "7.12345",
            "0",
            "99999999999999999999",
        ] {
            assert!(ten_thousandths(text).is_err(), "{text}");
        }
    }
}
