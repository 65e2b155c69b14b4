//! The unified social credit code of a Chinese organisation (GB 32100-2015): 18 characters, the
//! last of them a check character.

use super::form::plain;

/// The characters and their values, 0 to 30 (GB 32100-2015, table 1): no I, O, S, V or Z.
const CHARACTERS: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The modulus, and the base of the weights: the weight of the place `i` is 3^(i−1) mod 31.
const MODULUS: usize = 31;
const BASE: usize = 3;

/// Why a text is no credit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCreditCode {
    /// Not 18 characters.
    #[error("a credit code has 18 characters")]
    Length,
    /// A character that no credit code has.
    #[error("a character that no credit code has")]
    Character,
    /// The check character is of another code.
    #[error("the check character does not fit")]
    Check,
}

/// The code that a person typed, in capitals and without spaces.
///
/// # Errors
/// [`BadCreditCode`].
pub fn read(typed: &str) -> Result<String, BadCreditCode> {
    let code: String = plain(typed)
        .chars()
        .filter(|typed| !typed.is_whitespace())
        .map(|typed| typed.to_ascii_uppercase())
        .collect();
    if code.chars().count() != 18 {
        return Err(BadCreditCode::Length);
    }
    let values: Option<Vec<usize>> = code.chars().map(|one| CHARACTERS.find(one)).collect();
    let values = values.ok_or(BadCreditCode::Character)?;
    // Characters 3 to 8 are an administrative division: digits.
    if values[2..8].iter().any(|value| *value > 9) {
        return Err(BadCreditCode::Character);
    }
    let (sum, _) = values[..17].iter().fold((0, 1), |(sum, weight), value| {
        (sum + value * weight, weight * BASE % MODULUS)
    });
    if (sum + values[17]) % MODULUS == 0 {
        Ok(code)
    } else {
        Err(BadCreditCode::Check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the standard works out: 91350100M000100Y4, whose check character is 3.
    const EXAMPLE: &str = "91350100M000100Y43";

    #[test]
    fn the_standards_example_is_taken_and_every_other_check_character_refused() {
        for check in CHARACTERS.chars() {
            let code = format!("{}{check}", &EXAMPLE[..17]);
            let expected = if check == '3' {
                Ok(EXAMPLE.to_owned())
            } else {
                Err(BadCreditCode::Check)
            };
            assert_eq!(read(&code), expected, "{code}");
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for typed in [
            " 91350100M000100Y43 ",
            "91350100m000100y43",
            "9135 0100 M000 100Y 43",
            "９１３５０１００M０００１００Y４３",
        ] {
            assert_eq!(read(typed).as_deref(), Ok(EXAMPLE), "{typed}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        assert_eq!(read(""), Err(BadCreditCode::Length));
        assert_eq!(read("91350100M000100Y4"), Err(BadCreditCode::Length));
        assert_eq!(read(&"9".repeat(10_000)), Err(BadCreditCode::Length));
        assert_eq!(read("91350100I000100Y43"), Err(BadCreditCode::Character));
        assert_eq!(read("9135010AM000100Y43"), Err(BadCreditCode::Character));
        assert_eq!(
            read("一二三四五六七八九十一二三四五六七八"),
            Err(BadCreditCode::Character)
        );
        // Two that changed places.
        assert_eq!(read("91350100M000010Y43"), Err(BadCreditCode::Check));
    }
}
