//! Every id that the market knows, in one registry.
//!
//! Orders, trades, leases, disputes and journal entries are numbered by the market itself, from 1,
//! so that the same commands always give the same ids. Participants, instruments and pools are
//! numbered by whoever sends the commands.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownId;

            fn from_str(text: &str) -> Result<Self, UnknownId> {
                let digits = text.strip_prefix($prefix).ok_or(UnknownId)?;
                if digits.starts_with(['0', '+', '-']) {
                    return Err(UnknownId);
                }
                digits.parse().map(Self).map_err(|_| UnknownId)
            }
        }
    )*};
}

/// The text is not an id of this kind: it lacks the prefix or is not a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind")]
pub struct UnknownId;

ids! {
    /// A dispute: a holder's claim about a lease.
    DisputeId(i64), "d";
    /// A journal entry, numbered from 1 in the order in which entries were made.
    EntryId(i64), "e";
    /// An instrument: grade × region × service level.
    InstrumentId(i64), "i";
    /// A lease: what a trade obliges.
    LeaseId(i64), "l";
    /// An order, numbered at its acceptance; a rejected order takes no number.
    OrderId(i64), "o";
    /// A participant: the organisation that trades. Number 0 is the marketplace itself.
    ParticipantId(i64), "n";
    /// A pool: one provider's homogeneous capacity of one grade at one site.
    PoolId(i64), "p";
    /// A trade: one match of a bid and an ask.
    TradeId(i64), "t";
}

impl ParticipantId {
    /// The marketplace, which owns the accounts `bank`, `fees` and `unfunded`.
    pub const MARKETPLACE: Self = Self(0);
}

/// The name that a participant gives to an order of its own; with it a retry is recognised.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct ClientId(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_prints_and_in_no_other_way() {
        assert_eq!("l12".parse(), Ok(LeaseId(12)));
        assert_eq!(LeaseId(12).to_string(), "l12");
        for text in [
            "", "l", "12", "t12", "l0", "l012", "l+12", "l-12", "l 12", "l1.0", "L12",
        ] {
            assert_eq!(text.parse::<LeaseId>(), Err(UnknownId), "{text}");
        }
        assert_eq!("l9223372036854775808".parse::<LeaseId>(), Err(UnknownId));
        assert_eq!("l-9223372036854775808".parse::<LeaseId>(), Err(UnknownId));
    }
}
