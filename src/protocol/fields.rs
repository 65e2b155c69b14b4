//! One JSON object read strictly: each field once, of its type, and none that nobody asked for.

use std::collections::BTreeMap;
use std::fmt;

use market::{Money, Rules, Timestamp};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::{Flaw, instant};
use crate::rules;

/// The fields of one line that have not been asked for yet.
#[derive(Debug)]
pub struct Fields(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if fields.contains_key(&name) {
                        return Err(A::Error::custom(format!("field {name:?} stands twice")));
                    }
                    fields.insert(name, value);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl Fields {
    /// The fields of the JSON object that a line is.
    ///
    /// # Errors
    /// Where it is none, or has a field twice.
    pub fn read(text: &str) -> Result<Self, Flaw> {
        serde_json::from_str(text).map_err(|error| {
            // A line has no lines: only the column says where.
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = error.to_string();
            let message = message.strip_suffix(&place).unwrap_or(&message);
            Flaw::syntax(match error.column() {
                0 => format!("not a JSON object: {message}"),
                column => format!("not a JSON object: {message}, column {column}"),
            })
        })
    }

    /// The fields of each object of a JSON list.
    ///
    /// # Errors
    /// Where it is none, or something in it is no object or has a field twice.
    pub fn read_list(text: &str) -> Result<Vec<Self>, Flaw> {
        serde_json::from_str(text)
            .map_err(|error| Flaw::syntax(format!("not a list of JSON objects: {error}")))
    }

    /// The fields of a query, each of the type that it has in JSON: what looks like a number or a
    /// flag and has such a name is one, `symbols` is a list between commas. These texts are fields
    /// as well.
    ///
    /// # Errors
    /// Where a field stands twice.
    pub fn of_query(pairs: Vec<(String, String)>, given: &[(&str, &str)]) -> Result<Self, Flaw> {
        let mut fields = BTreeMap::new();
        for (name, text) in pairs {
            let value = match name.as_str() {
                "symbols" => text.split(',').map(Value::from).collect(),
                "units" | "min_fill" | "duration" | "min_run" => {
                    text.parse::<i64>().map_or(Value::from(text), Value::from)
                }
                "splittable" | "post_only" | "buy_in" => {
                    text.parse::<bool>().map_or(Value::from(text), Value::from)
                }
                _ => Value::from(text),
            };
            if fields.insert(name.clone(), value).is_some() {
                return Err(Flaw::of("bad_value", &name, "stands twice"));
            }
        }
        for (name, text) in given {
            if fields
                .insert((*name).to_owned(), Value::from(*text))
                .is_some()
            {
                return Err(Flaw::of("unknown_field", name, "does not belong here"));
            }
        }
        Ok(Self(fields))
    }

    /// Puts a text in a field's place.
    pub fn put(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), Value::from(text));
    }

    /// A field that may be missing, as `what` reads it; `null` is a wrong type like any other.
    fn take<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Flaw> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(value) => read(&value)
                .map(Some)
                .ok_or_else(|| Flaw::of("wrong_type", name, format!("must be {what}"))),
        }
    }

    /// A text, if it is there.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn text_or_none(&mut self, name: &str) -> Result<Option<String>, Flaw> {
        self.take(name, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A text.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn text(&mut self, name: &str) -> Result<String, Flaw> {
        required(name, self.text_or_none(name)?)
    }

    /// A list of texts, if it is there.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn texts_or_none(&mut self, name: &str) -> Result<Option<Vec<String>>, Flaw> {
        self.take(name, "a list of texts", |value| {
            let texts = value.as_array()?.iter();
            texts.map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// A list of texts.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Flaw> {
        required(name, self.texts_or_none(name)?)
    }

    /// A rule set, with the keys of a file of rules.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn rules(&mut self, name: &str) -> Result<Rules, Flaw> {
        let value = self.take(name, "an object", |value| {
            value.is_object().then(|| value.clone())
        })?;
        let value = required(name, value)?;
        rules::from_json(value).map_err(|error| Flaw::value(name, error))
    }

    /// A whole number of 64 bits, if it is there.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn whole_or_none(&mut self, name: &str) -> Result<Option<i64>, Flaw> {
        self.take(name, "a whole number of at most 64 bits", Value::as_i64)
    }

    /// A whole number of 64 bits.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn whole(&mut self, name: &str) -> Result<i64, Flaw> {
        required(name, self.whole_or_none(name)?)
    }

    /// A flag, `false` when it is not there.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn flag(&mut self, name: &str) -> Result<bool, Flaw> {
        let flag = self.take(name, "true or false", Value::as_bool)?;
        Ok(flag.unwrap_or(false))
    }

    /// An amount of money in yuan, written as a decimal text, if it is there.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn money_or_none(&mut self, name: &str) -> Result<Option<Money>, Flaw> {
        let text = self.take(name, "a decimal text in yuan, as in \"12.50\"", |value| {
            value.as_str().map(str::to_owned)
        })?;
        text.map(|text| text.parse())
            .transpose()
            .map_err(|error| Flaw::value(name, error))
    }

    /// An amount of money in yuan, written as a decimal text.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn money(&mut self, name: &str) -> Result<Money, Flaw> {
        required(name, self.money_or_none(name)?)
    }

    /// An instant, if it is there.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn instant_or_none(&mut self, name: &str) -> Result<Option<Timestamp>, Flaw> {
        self.text_or_none(name)?
            .map(|text| instant::read(&text))
            .transpose()
            .map_err(|error| Flaw::value(name, error))
    }

    /// An instant.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn instant(&mut self, name: &str) -> Result<Timestamp, Flaw> {
        required(name, self.instant_or_none(name)?)
    }

    /// Forgets the fields that are left: of a verb that is not built nobody knows them yet.
    pub fn ignore_rest(&mut self) {
        self.0.clear();
    }

    /// Nothing may be left that nobody asked for.
    ///
    /// # Errors
    /// Where something is.
    pub fn end(self) -> Result<(), Flaw> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(Flaw::of("unknown_field", &name, "does not belong here")),
        }
    }
}

fn required<T>(name: &str, value: Option<T>) -> Result<T, Flaw> {
    value.ok_or_else(|| Flaw::of("missing_field", name, "is missing"))
}
