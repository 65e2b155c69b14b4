//! What is typed to apply.

use market::catalogue::Region;
use serde::Deserialize;

use crate::web::credit_code::{self, BadCreditCode};
use crate::web::form::plain;
use crate::web::{FieldErrors, Locale};

/// An application as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Application {
    pub(super) legal_name: String,
    pub(super) credit_code: String,
    pub(super) contact_name: String,
    pub(super) contact_phone: String,
    pub(super) contact_mail: String,
    pub(super) region: String,
    pub(super) site_address: String,
    pub(super) capacity: String,
}

/// How many characters each field takes, as the table does.
const LENGTHS: [(&str, usize); 8] = [
    ("legal_name", 120),
    ("credit_code", 40),
    ("contact_name", 60),
    ("contact_phone", 30),
    ("contact_mail", 254),
    ("region", 20),
    ("site_address", 200),
    ("capacity", 2_000),
];

impl Application {
    fn field(&self, name: &str) -> &str {
        match name {
            "legal_name" => &self.legal_name,
            "credit_code" => &self.credit_code,
            "contact_name" => &self.contact_name,
            "contact_phone" => &self.contact_phone,
            "contact_mail" => &self.contact_mail,
            "region" => &self.region,
            "site_address" => &self.site_address,
            _ => &self.capacity,
        }
    }

    /// Without the spaces round what was typed, and with one kind of line end.
    pub(super) fn trimmed(&self) -> Self {
        let trimmed = |typed: &str| typed.trim().to_owned();
        Self {
            legal_name: trimmed(&self.legal_name),
            credit_code: trimmed(&self.credit_code),
            contact_name: trimmed(&self.contact_name),
            contact_phone: trimmed(&self.contact_phone),
            contact_mail: trimmed(&self.contact_mail),
            region: trimmed(&self.region),
            site_address: trimmed(&self.site_address),
            capacity: trimmed(&self.capacity.replace("\r\n", "\n")),
        }
    }

    /// What keeps it from being saved as a draft: what no row can hold.
    pub(super) fn check_draft(&self, locale: Locale) -> FieldErrors {
        let mut errors = FieldErrors::default();
        for (name, most) in LENGTHS {
            let typed = self.field(name);
            let is_text =
                |one: char| !one.is_control() || name == "capacity" && (one == '\n' || one == '\t');
            if typed.chars().count() > most {
                let text = locale.tr("apply.bad.long", [("n", &most.to_string())]);
                errors.add(name, text);
            } else if !typed.chars().all(is_text) {
                errors.add(name, locale.t("apply.bad.control"));
            }
        }
        errors
    }

    /// The application as it is sent, or what is missing or wrong.
    pub(super) fn check(&self, locale: Locale) -> Result<Self, FieldErrors> {
        let mut errors = self.check_draft(locale);
        let mut sent = self.clone();
        let mut at_least = |name: &'static str, least: usize, key: &str| {
            if self.field(name).chars().count() < least {
                errors.add(name, locale.t(key));
            }
        };
        at_least("legal_name", 2, "apply.bad.legal_name");
        at_least("contact_name", 2, "apply.bad.contact_name");
        at_least("site_address", 5, "apply.bad.site_address");
        at_least("capacity", 10, "apply.bad.capacity");
        match credit_code::read(&self.credit_code) {
            Ok(code) => sent.credit_code = code,
            Err(bad) => {
                let key = match bad {
                    BadCreditCode::Length => "apply.bad.code_length",
                    BadCreditCode::Character => "apply.bad.code_character",
                    BadCreditCode::Check => "apply.bad.code_check",
                };
                errors.add("credit_code", locale.t(key));
            }
        }
        let phone = plain(&self.contact_phone);
        let digits = phone.chars().filter(char::is_ascii_digit).count();
        let is_phone = |one: char| one.is_ascii_digit() || "+-() ".contains(one);
        if !(7..=20).contains(&digits) || !phone.chars().all(is_phone) {
            errors.add("contact_phone", locale.t("apply.bad.contact_phone"));
        }
        sent.contact_phone = phone;
        if !is_mail(&self.contact_mail) {
            errors.add("contact_mail", locale.t("apply.bad.contact_mail"));
        }
        match Region::of(&self.region) {
            Some(region) => region.code.clone_into(&mut sent.region),
            None => errors.add("region", locale.t("apply.bad.region")),
        }
        if errors.is_empty() {
            Ok(sent)
        } else {
            Err(errors)
        }
    }
}

/// Something before and after one `@`, a point in what is after, no spaces: whether mail arrives
/// there only a mail can tell.
fn is_mail(typed: &str) -> bool {
    let Some((name, host)) = typed.split_once('@') else {
        return false;
    };
    let is_plain = !typed
        .chars()
        .any(|one| one.is_whitespace() || one.is_control());
    let is_host = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
    is_plain && is_host && !name.is_empty() && !host.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Application {
        Application {
            legal_name: "贵州黔云算力有限公司".to_owned(),
            credit_code: "9135 0100 m000 100y 43".to_owned(),
            contact_name: "王工".to_owned(),
            contact_phone: "+86 851-8888 6666".to_owned(),
            contact_mail: "ops@qianyun.example".to_owned(),
            region: "CN-GUZ-GAN".to_owned(),
            site_address: "贵安新区数据中心一号楼".to_owned(),
            capacity: "A100-80GB 整机 8 台，NVLink，双路 100G 上联".to_owned(),
        }
    }

    #[test]
    fn a_whole_application_is_sent_with_its_code_in_one_form() {
        let sent = whole().trimmed().check(Locale::Zh).unwrap();
        assert_eq!(sent.credit_code, "91350100M000100Y43");
        assert_eq!(sent.region, "CN-GUZ-GAN");
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_at_its_field() {
        let bad = |change: fn(&mut Application), field: &str| {
            let mut form = whole();
            change(&mut form);
            let errors = form.trimmed().check(Locale::En).unwrap_err();
            assert!(errors.get(field).is_some(), "{field}");
        };
        bad(|f| f.legal_name = " ".to_owned(), "legal_name");
        bad(|f| f.legal_name = "名".repeat(121), "legal_name");
        bad(
            |f| f.credit_code = "91350100M000100Y44".to_owned(),
            "credit_code",
        );
        bad(|f| f.contact_name.clear(), "contact_name");
        bad(|f| f.contact_phone = "12-34".to_owned(), "contact_phone");
        bad(
            |f| f.contact_phone = "no 8888 6666".to_owned(),
            "contact_phone",
        );
        bad(
            |f| f.contact_mail = "ops@localhost".to_owned(),
            "contact_mail",
        );
        bad(
            |f| f.contact_mail = "a@b@c.example".to_owned(),
            "contact_mail",
        );
        bad(|f| f.region = "CN-QQQ".to_owned(), "region");
        bad(|f| f.site_address = "楼".to_owned(), "site_address");
        bad(|f| f.capacity = "x\u{0}0123456789".to_owned(), "capacity");
        let empty = Application::default().check(Locale::En).unwrap_err();
        for (name, _) in LENGTHS {
            assert!(empty.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_draft_may_be_anything_that_a_row_can_hold() {
        assert!(Application::default().check_draft(Locale::En).is_empty());
        let lines = Application {
            capacity: "one\r\ntwo\t8".to_owned(),
            ..Application::default()
        };
        assert!(lines.trimmed().check_draft(Locale::En).is_empty());
        let nul = Application {
            contact_name: "a\u{0}b".to_owned(),
            ..Application::default()
        };
        assert!(nul.check_draft(Locale::En).get("contact_name").is_some());
    }
}
