//! Names in the lines, numbers in the market: each name gets the next number when it is first
//! used, known to the market or not, so that it is the market that says what it does not know.

use std::collections::BTreeMap;

use market::{InstrumentId, ParticipantId, PoolId};

use crate::protocol::Numbers;

/// The names of everything that lines name.
#[derive(Debug, Default)]
pub(super) struct Names {
    participants: Numbered,
    instruments: Numbered,
    pools: Numbered,
}

impl Names {
    pub(super) fn participant(&mut self, org: &str) -> ParticipantId {
        ParticipantId(self.participants.number(org))
    }

    /// The name of a participant; `None` for the marketplace itself, which no line names.
    pub(super) fn org(&self, id: ParticipantId) -> Option<&str> {
        self.participants.name(id.0)
    }

    pub(super) fn pool_name(&self, id: PoolId) -> Option<&str> {
        self.pools.name(id.0)
    }
}

impl Numbers for Names {
    fn instrument(&mut self, symbol: &str) -> InstrumentId {
        InstrumentId(self.instruments.number(symbol))
    }

    fn pool(&mut self, pool: &str) -> PoolId {
        PoolId(self.pools.number(pool))
    }
}

/// The names of one kind of thing, numbered from 1 in order of first use.
#[derive(Debug, Default)]
struct Numbered {
    numbers: BTreeMap<String, i64>,
    names: Vec<String>,
}

impl Numbered {
    fn number(&mut self, name: &str) -> i64 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.names.push(name.to_owned());
        let number = i64::try_from(self.names.len()).expect("names are counted");
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn name(&self, number: i64) -> Option<&str> {
        let index = usize::try_from(number - 1).ok()?;
        self.names.get(index).map(String::as_str)
    }
}
