//! What a page has of what it watches, as the id of an event.

use std::collections::BTreeMap;
use std::fmt;

/// The field of a stream's address that says what the page has when it first asks, or when it
/// asks anew by itself. A browser that comes back by itself says it in `Last-Event-ID`.
const FIELD: &str = "last-event-id";

/// No page has more parts.
const MOST: usize = 16;

/// The parts that a page has, by their names and what their texts are known by. As a text it is
/// `book-0123456789abcdef.tape-…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Has(BTreeMap<String, u64>);

impl Has {
    /// What an id says; what can't be read is as if it were not there.
    pub(super) fn read(id: &str) -> Self {
        let parts = id.split('.').filter_map(|part| {
            let (name, digest) = part.split_once('-')?;
            let is_plain = digest.len() == 16 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            let digest = u64::from_str_radix(digest, 16).ok().filter(|_| is_plain)?;
            Some((name.to_owned(), digest))
        });
        Self(parts.take(MOST).collect())
    }

    /// Notes that the page gets this part; false when it has that very one.
    pub(super) fn take(&mut self, name: &str, digest: u64) -> bool {
        self.0.insert(name.to_owned(), digest) != Some(digest)
    }
}

impl fmt::Display for Has {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, digest)) in self.0.iter().enumerate() {
            let point = if place == 0 { "" } else { "." };
            write!(f, "{point}{name}-{digest:016x}")?;
        }
        Ok(())
    }
}

/// A stream's query without what the page has, and that.
pub(super) fn split(query: &str) -> (String, Has) {
    let mut has = Has::default();
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((FIELD, id)) => has = Has::read(id),
            _ => rest.push(pair),
        }
    }
    (rest.join("&"), has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_a_page_has() {
        let mut has = Has::default();
        assert!(has.take("tape", 0xff) && has.take("book", 1));
        let id = "book-0000000000000001.tape-00000000000000ff";
        assert_eq!(has.to_string(), id);
        assert_eq!(Has::read(id), has);
        assert!(!has.take("tape", 0xff));
        assert!(has.take("tape", 0xfe));
    }

    #[test]
    fn an_id_that_cannot_be_read_says_nothing() {
        for id in [
            "",
            "book",
            "book-1",
            "book-000000000000000g",
            "-.-.",
            "\u{1}",
        ] {
            assert_eq!(Has::read(id), Has::default(), "{id}");
        }
        let many: Vec<String> = (0..99).map(|n| format!("p{n}-{:016x}", 0)).collect();
        assert_eq!(Has::read(&many.join(".")).0.len(), MOST);
    }

    #[test]
    fn what_a_page_has_is_no_part_of_the_address() {
        let (query, has) = split("day=2026-10-06&last-event-id=book-0000000000000001&hours=4");
        assert_eq!(query, "day=2026-10-06&hours=4");
        assert_eq!(has.to_string(), "book-0000000000000001");
        assert_eq!(split(""), (String::new(), Has::default()));
    }
}
