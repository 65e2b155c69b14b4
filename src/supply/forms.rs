//! Which leases are asked for.

use market::LeaseId;
use serde::Deserialize;

/// A filter of leases, as a query has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    state: String,
    before: String,
}

/// Which leases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Which {
    /// All of them.
    #[default]
    All,
    /// Begun and not settled to the end.
    Running,
    /// Not begun.
    Next,
    /// Settled to the end.
    Ended,
}

impl Which {
    /// Every filter, in the order in which they are offered.
    pub(super) const ALL: [Self; 4] = [Self::All, Self::Running, Self::Next, Self::Ended];

    /// Its name in a query.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Running => "running",
            Self::Next => "next",
            Self::Ended => "ended",
        }
    }
}

impl Filter {
    /// Which leases; all where the filter is none.
    pub(super) fn which(&self) -> Which {
        let named = Which::ALL.into_iter().find(|one| one.name() == self.state);
        named.unwrap_or_default()
    }

    /// Below which number; below all where none is named.
    pub(super) fn before(&self) -> LeaseId {
        self.before.parse().unwrap_or(LeaseId(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_none() {
        let filter = |state: &str, before: &str| Filter {
            state: state.to_owned(),
            before: before.to_owned(),
        };
        assert_eq!(filter("next", "l7").which(), Which::Next);
        assert_eq!(filter("next", "l7").before(), LeaseId(7));
        for (state, before) in [("", ""), ("' OR 1=1", "l0"), ("NEXT", "7")] {
            assert_eq!(filter(state, before).which(), Which::All);
            assert_eq!(filter(state, before).before(), LeaseId(i64::MAX));
        }
    }
}
