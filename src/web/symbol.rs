//! What an instrument's symbol stands for, in the reader's words.

use market::catalogue::{Grade, Region};

use super::format;
use super::i18n::Locale;

/// The grade and the region of the demonstration's real machines, which no catalogue has.
const SHARED_CPU: &str = "SHARED-CPU";
const LOCAL: &str = "LOCAL";

/// An instrument by the parts of its symbol. What the catalogue does not know is shown as it is
/// written.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// The whole of it, as in `A100-80GB.GUZ-GAN.SILVER`.
    pub text: String,
    /// The grade's entry.
    pub grade: Option<&'static Grade>,
    /// The region's entry.
    pub region: Option<&'static Region>,
    level: String,
}

impl Symbol {
    /// The parts of this symbol.
    pub fn new(text: &str) -> Self {
        let mut parts = text.split('.');
        let grade = parts.next().and_then(Grade::of);
        let region = parts.next().and_then(Region::of);
        let level = parts.next().unwrap_or_default().to_owned();
        Self {
            text: text.to_owned(),
            grade,
            region,
            level,
        }
    }

    /// The grade's name.
    pub fn grade_name(&self) -> &str {
        self.text.split('.').next().unwrap_or_default()
    }

    /// The region's code, without `CN-`.
    pub fn region_code(&self) -> &str {
        self.text.split('.').nth(1).unwrap_or_default()
    }

    fn is_here(&self) -> bool {
        self.region_code() == LOCAL
    }

    /// The cluster, without the word for "cluster" that every Chinese name ends with.
    pub fn cluster(&self, locale: impl Into<Locale>) -> &str {
        let locale = locale.into();
        match self.region {
            Some(region) => cluster(region, locale),
            None if self.is_here() => match locale {
                Locale::Zh => "本机",
                Locale::En => "This computer",
            },
            None => self.region_code(),
        }
    }

    /// The hub and whether it lies in the east or the west, as in `贵州枢纽 · 西部`.
    pub fn hub(&self, locale: impl Into<Locale>) -> String {
        let locale = locale.into();
        let Some(region) = self.region else {
            return match self.is_here() {
                true => locale.t("region.here").into_owned(),
                false => String::new(),
            };
        };
        let hub = match locale {
            Locale::Zh => region.hub_zh,
            Locale::En => region.hub_en,
        };
        let side = if region.west {
            "region.west"
        } else {
            "region.east"
        };
        locale.tr("region.hub", [("hub", hub), ("side", &locale.t(side))])
    }

    /// Form, memory and lot, as in `SXM4 · 80 GB · 8 卡整机`.
    pub fn grade_line(&self, locale: impl Into<Locale>) -> String {
        let locale = locale.into();
        let Some(grade) = self.grade else {
            return match self.grade_name() == SHARED_CPU {
                true => locale.t("grade.shared_cpu").into_owned(),
                false => String::new(),
            };
        };
        let lot = grade.lot.to_string();
        let sold = if grade.lot == 1 {
            locale.t("grade.single").into_owned()
        } else {
            locale.tr("grade.whole_host", [("n", &lot)])
        };
        format!("{} · {} GB · {sold}", grade.form, grade.memory_gib)
    }

    /// The service level's name, or its code where the catalogue has none.
    pub fn level(&self, locale: impl Into<Locale>) -> String {
        level(locale.into(), &self.level)
    }

    /// As a title, such as `A100-80GB · 贵安 · 银级`.
    pub fn title(&self, locale: impl Into<Locale>) -> String {
        let locale = locale.into();
        format!(
            "{} · {} · {}",
            self.grade_name(),
            self.cluster(locale),
            self.level(locale)
        )
    }

    /// Grams of CO₂ that a unit-hour emits at the board's power, the PUE limit and the province's
    /// average grid factor.
    pub fn carbon_grams(&self) -> Option<i64> {
        let (grade, region) = (self.grade?, self.region?);
        let scaled = i128::from(grade.board_watts)
            * i128::from(region.pue_percent)
            * i128::from(region.grid_grams_per_kwh_x10);
        // Watts to kilowatts, hundredths of a PUE, tenths of a gram: six powers of ten.
        i64::try_from(scaled / 1_000_000).ok()
    }

    /// A price per unit-hour as one per PFLOPS-hour, in yuan with two decimals.
    pub fn metered(&self, price: market::Money) -> Option<String> {
        let micro = self.grade?.micro_pflops();
        let fen = i128::from(price.0)
            .checked_mul(10_000)?
            .checked_div(micro.into())?;
        Some(format::scaled(i64::try_from(fen).ok()?, 2))
    }
}

/// A service level's name, or its code where the catalogue has none.
pub fn level(locale: Locale, code: &str) -> String {
    let key = format!("level.{}", code.to_lowercase());
    let name = locale.t(&key);
    if name == key {
        code.to_owned()
    } else {
        name.into_owned()
    }
}

/// A region's cluster in the reader's language.
pub fn cluster(region: &'static Region, locale: Locale) -> &'static str {
    if region.code == "CN-CSJ-SFQ" {
        // Its full name is as long as a sentence.
        return match locale {
            Locale::Zh => "长三角示范区",
            Locale::En => "Yangtze Delta Zone",
        };
    }
    match locale {
        Locale::Zh => {
            let name = region.cluster_zh;
            name.strip_suffix("集群").unwrap_or(name)
        }
        Locale::En => region.cluster_en,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::Money;

    #[test]
    fn a_symbol_reads_as_people_say_it() {
        let symbol = Symbol::new("A100-80GB.GUZ-GAN.SILVER");
        assert_eq!(symbol.title(Locale::Zh), "A100-80GB · 贵安 · 银级");
        assert_eq!(symbol.title(Locale::En), "A100-80GB · Gui'an · Silver");
        assert_eq!(symbol.grade_line(Locale::Zh), "SXM4 · 80 GB · 8 卡整机");
        assert_eq!(symbol.hub(Locale::En), "Guizhou hub · West");
        // 0.4 kW × 1.20 × 498.9 g
        assert_eq!(symbol.carbon_grams(), Some(239));
        // 9.98 ÷ 0.312
        assert_eq!(symbol.metered(Money(99_800)).as_deref(), Some("31.98"));
    }

    #[test]
    fn what_the_catalogue_does_not_know_is_shown_as_it_is() {
        let symbol = Symbol::new("X.Y.Z");
        assert_eq!(symbol.title(Locale::Zh), "X · Y · Z");
        assert_eq!(symbol.carbon_grams(), None);
        assert_eq!(symbol.metered(Money(1)), None);
    }

    #[test]
    fn the_demonstrations_real_machines_are_of_this_computer() {
        let symbol = Symbol::new("SHARED-CPU.LOCAL.GOLD");
        assert_eq!(symbol.title(Locale::Zh), "SHARED-CPU · 本机 · 金级");
        assert_eq!(symbol.hub(Locale::En), "the demonstration’s real machines");
        assert_eq!(
            symbol.grade_line(Locale::Zh),
            "本机处理器的一份，与其他程序共用"
        );
    }
}
