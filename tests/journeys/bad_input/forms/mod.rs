//! Every form of the site: where it stands, who fills it in, and what its fields are for.
//!
//! One entry for each URL that takes a form, in the order of the router's table; a second one where
//! a form can be filled in in two ways. To add a form: one entry in [`forms`].

mod entries;

pub(super) use entries::forms;

use crate::support::provider::APPLICATION;

/// What a field is for, and so what is wrong in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number above zero.
    Whole,
    /// A whole number, zero too.
    Count,
    /// An amount of yuan.
    Money,
    /// A day of the calendar.
    Day,
    /// One of a list, or the number of something of one's own.
    Choice,
    /// A line of text.
    Line,
    /// Lines of text.
    Text,
    /// A name to sign in under.
    Login,
    /// A public key.
    Key,
    /// A new password: never shown again.
    Password,
    /// A password that is in force, or a code.
    Secret,
    /// The form's own number.
    FormId,
    /// The amount that the button named.
    Named,
    /// A box that is ticked or not.
    Tick,
    /// What is never refused: it is passed over where it means nothing.
    Free,
}

/// A field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What is typed into it when nothing is to be wrong; as the page has it where this is empty.
    pub(super) typed: &'static str,
    /// The element that says what is wrong with it; `<name>-error` where this is empty.
    pub(super) says: &'static str,
    /// Whether it may be left empty.
    pub(super) is_optional: bool,
}

/// A form.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// Its URL, as the router has it.
    pub(super) path: &'static str,
    /// Whose id stands in the URL, where it is not the one of the matrix.
    pub(super) about: Option<&'static str>,
    /// Who sends it, by the name that the matrix gives them.
    pub(super) caller: &'static str,
    /// The page that it stands on; none for a button that stands there in some states only.
    pub(super) page: Option<&'static str>,
    /// What finds it there, where its action does not.
    pub(super) drawn: Option<&'static str>,
    /// What finds what was typed on the page that refuses it, where that is another form.
    pub(super) again: Option<&'static str>,
    pub(super) fields: Vec<Field>,
    /// What a refusal writes down: that somebody tried.
    pub(super) notes: &'static [&'static str],
    /// What one sending makes, by table, however often it is sent.
    pub(super) makes: &'static [(&'static str, i64)],
    /// What each sending writes down: that somebody came in, say.
    pub(super) repeats: &'static [&'static str],
    /// Whether the second of two is told that it was done already, in place of being led on.
    pub(super) is_once: bool,
    /// Why what was typed is not kept for who signs in again; kept where there is no reason.
    pub(super) lost: Option<&'static str>,
}

fn form(path: &'static str, caller: &'static str) -> Form {
    Form {
        path,
        about: None,
        caller,
        page: None,
        drawn: None,
        again: None,
        fields: Vec::new(),
        notes: &[],
        makes: &[],
        repeats: &[],
        is_once: false,
        lost: None,
    }
}

impl Form {
    fn on(self, page: &'static str) -> Self {
        let page = Some(page);
        Self { page, ..self }
    }

    fn about(self, id: &'static str) -> Self {
        let about = Some(id);
        Self { about, ..self }
    }

    fn drawn(self, css: &'static str) -> Self {
        let drawn = Some(css);
        Self { drawn, ..self }
    }

    fn again(self, css: &'static str) -> Self {
        let again = Some(css);
        Self { again, ..self }
    }

    fn field(mut self, kind: Kind, name: &'static str, typed: &'static str) -> Self {
        self.fields.push(Field {
            name,
            kind,
            typed,
            says: "",
            is_optional: matches!(kind, Kind::Tick | Kind::Free),
        });
        self
    }

    /// The last field's message stands at this element.
    fn says(mut self, id: &'static str) -> Self {
        self.fields.last_mut().expect("a field").says = id;
        self
    }

    /// The last field may be left empty.
    fn optional(mut self) -> Self {
        self.fields.last_mut().expect("a field").is_optional = true;
        self
    }

    fn notes(self, notes: &'static [&'static str]) -> Self {
        Self { notes, ..self }
    }

    fn makes(self, makes: &'static [(&'static str, i64)]) -> Self {
        Self { makes, ..self }
    }

    fn once(self) -> Self {
        Self {
            is_once: true,
            ..self
        }
    }

    fn repeats(self, repeats: &'static [&'static str]) -> Self {
        Self { repeats, ..self }
    }

    /// What was typed is deliberately not kept.
    fn lost(self, why: &'static str) -> Self {
        let lost = Some(why);
        Self { lost, ..self }
    }

    /// The two ends of a period.
    fn ends(self) -> Self {
        self.field(Day, "from_day", "2026-11-03")
            .field(Choice, "from_hour", "0")
            .says("from_day-error")
            .field(Day, "to_day", "2026-11-05")
            .field(Choice, "to_hour", "24")
            .says("to_day-error")
    }

    /// A coded reason and a note about it.
    fn reasoned(self, reason: &'static str) -> Self {
        self.field(Choice, "reason", reason)
            .field(Text, "note", "看过材料")
            .optional()
    }
}

use Kind::{Choice, Day, FormId, Free, Line, Money, Named, Text, Tick, Whole};

/// A notice over the form, in place of a message at a field.
pub(super) const NOTICE: &str = "notice";

/// The ticket's fields; what is chosen for the lease stands on the page that confirms.
fn ticket() -> Form {
    form("/market/{symbol}/orders", "buyer-of-a")
        .on(
            "/market/A100-80GB.GUZ-GAN.SILVER/confirm?mode=advanced&day=2026-11-03&hour=9&hours=1\
             &timing=within&to_day=2026-11-03&to_hour=20&split=on&min_run=1\
             &units=1&price=10.00&tif=gtd&until_day=2026-11-01&until_hour=12&min_fill=1",
        )
        .again("form[action$='/confirm']")
        .field(Free, "mode", "advanced")
        .field(Day, "day", "")
        .optional()
        .field(Choice, "hour", "")
        .optional()
        .field(Whole, "hours", "")
        .optional()
        .field(Free, "timing", "within")
        .field(Day, "to_day", "")
        .field(Choice, "to_hour", "")
        .says("to_day-error")
        .field(Tick, "split", "on")
        .field(Whole, "min_run", "")
        .optional()
        .field(Whole, "units", "")
        .field(Money, "price", "")
        .field(Choice, "tif", "gtd")
        .optional()
        .field(Day, "until_day", "")
        .says("until-error")
        .field(Choice, "until_hour", "")
        .says("until-error")
        .field(Whole, "min_fill", "")
        .optional()
        .field(Tick, "post_only", "")
        .field(FormId, "client_id", "")
        .field(Named, "hold", "")
        .field(Choice, "image", "bare")
        .field(Choice, "ssh_key", "later")
        .optional()
        .makes(&[("orders", 1), ("leases", 1)])
}

fn application(path: &'static str, caller: &'static str, may_be_empty: bool) -> Form {
    let mut form = form(path, caller).on("/provide/apply");
    for (name, typed) in APPLICATION {
        let kind = match name {
            "region" if !may_be_empty => Choice,
            "capacity" => Text,
            _ => Line,
        };
        form = form.field(kind, name, typed);
        if may_be_empty {
            form = form.optional();
        }
    }
    form
}
