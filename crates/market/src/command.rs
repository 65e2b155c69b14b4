//! Everything that the market can be asked.

use crate::id::{ClientId, DisputeId, InstrumentId, LeaseId, ParticipantId, PoolId};
use crate::money::Money;
use crate::rules::Rules;
use crate::time::{Period, Timestamp};

/// What the market is asked, by whom is said inside where it matters.
///
/// Quantities, times and prices come as they were written: the market checks them and rejects
/// what does not fit. The command log keeps each as JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Puts an instrument on the list; the same again does nothing.
    ListInstrument(ListInstrument),
    /// Credits cleared money to a participant's `cash`.
    Deposit {
        /// Whose cash.
        participant: ParticipantId,
        /// How much, in 1/10,000 yuan; positive.
        amount: Money,
    },
    /// Opens a pool, or adds units to one.
    OpenPool(OpenPool),
    /// Places an order.
    PlaceOrder(PlaceOrder),
    /// Cancels what remains of an order.
    CancelOrder {
        /// Whose order.
        participant: ParticipantId,
        /// Its client id.
        client_id: ClientId,
    },
    /// Cancels what remains of all of a participant's open orders.
    CancelAll {
        /// Whose orders.
        participant: ParticipantId,
        /// Only those of which a book has some; all when not given.
        instrument: Option<InstrumentId>,
    },
    /// Changes the units, the price or both of an open order.
    ReplaceOrder {
        /// Whose order.
        participant: ParticipantId,
        /// Its client id.
        client_id: ClientId,
        /// The new total, in units.
        units: Option<i64>,
        /// The new price, per unit-hour.
        price: Option<Money>,
    },
    /// Settles one hour of a lease by what was delivered in it.
    Deliver {
        /// Which lease.
        lease: LeaseId,
        /// The beginning of the hour.
        hour: Timestamp,
        /// What the units got in it.
        delivered: Delivered,
        /// What of the rest was maintenance declared in time, in unit-minutes.
        #[serde(default, skip_serializing_if = "is_none")]
        excused: i64,
    },
    /// Corrects a settled hour of a lease to what late evidence says was delivered.
    Correct {
        /// Which lease.
        lease: LeaseId,
        /// The beginning of the hour.
        hour: Timestamp,
        /// What the units got in it.
        delivered: Delivered,
        /// What of the rest was maintenance declared in time, in unit-minutes.
        #[serde(default, skip_serializing_if = "is_none")]
        excused: i64,
    },
    /// Claims money from the provider of a lease; as much as there is of it is frozen.
    OpenDispute {
        /// The lease's holder.
        participant: ParticipantId,
        /// Which lease.
        lease: LeaseId,
        /// How much, at most the lease's price.
        amount: Money,
    },
    /// Decides a dispute.
    RuleDispute {
        /// Which dispute.
        dispute: DisputeId,
        /// What the claimant gets, as far as it is frozen; at most what was claimed.
        award: Money,
    },
    /// Gives whole hours of a lease back to its pool.
    HandBack {
        /// The lease's holder.
        participant: ParticipantId,
        /// Which lease.
        lease: LeaseId,
        /// The first hour begins here.
        start: Timestamp,
        /// The last hour is over here.
        end: Timestamp,
    },
    /// Ends a lease that its provider fails.
    Default {
        /// Which lease.
        lease: LeaseId,
    },
    /// Gives the market another rule set from an instant on.
    SetRules {
        /// The rule set; its version is higher than every one before.
        rules: Box<Rules>,
        /// From when it holds.
        from: Timestamp,
    },
    /// Lets orders of an instrument only be cancelled for a time.
    Halt {
        /// Which instrument.
        instrument: InstrumentId,
        /// Until when.
        until: Timestamp,
    },
    /// Says that participants belong together: none of them trades with another.
    Relate {
        /// Whom; who is related to one of them is related to all.
        participants: Vec<ParticipantId>,
    },
    /// Only lets happen what is due.
    Tick,
}

/// An instrument's terms.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ListInstrument {
    /// The number under which commands name it.
    pub instrument: InstrumentId,
    /// Its symbol, as in `A100-80GB.GUZ-GAN.SILVER`; the part after the last point is the service
    /// level.
    pub symbol: String,
    /// The smallest number of units that trade; positive.
    pub lot: i64,
    /// The step of its prices, per unit-hour; positive.
    pub tick: Money,
}

/// A pool's terms.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OpenPool {
    /// The number under which commands name it.
    pub pool: PoolId,
    /// The provider.
    pub participant: ParticipantId,
    /// What a unit of it is.
    pub instrument: InstrumentId,
    /// How many units it has in each hour.
    pub units: i64,
    /// Its first hour begins here.
    pub start: Timestamp,
    /// It is over here.
    pub end: Timestamp,
    /// How soon its units can be used.
    #[serde(default, skip_serializing_if = "Access::is_instant")]
    pub access: Access,
}

/// How soon units of a pool can be used once they are sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// At once.
    #[default]
    Instant,
    /// When they were made ready: no hour is sold that begins before the rules' gate is over.
    Prepared,
}

impl Access {
    /// The name by which lines and tables know it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Prepared => "prepared",
        }
    }

    /// The access of this name.
    pub fn from_code(code: &str) -> Option<Self> {
        let all = [Self::Instant, Self::Prepared];
        all.into_iter().find(|access| access.code() == code)
    }

    fn is_instant(&self) -> bool {
        *self == Self::Instant
    }
}

/// An order's terms.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlaceOrder {
    /// Whose order.
    pub participant: ParticipantId,
    /// The participant's own name for it.
    pub client_id: ClientId,
    /// Bid or ask, and what only one of them has.
    pub side: Side,
    /// How many units, in each hour of the period.
    pub units: i64,
    /// The limit, per unit-hour.
    pub price: Money,
    /// The delivery period begins here.
    pub start: Timestamp,
    /// The delivery period is over here.
    pub end: Timestamp,
    /// How long it stands.
    pub tif: TimeInForce,
    /// Rejected when it could trade at once.
    pub post_only: bool,
}

impl PlaceOrder {
    /// Whether it is a bid for one pool's units.
    pub(crate) fn is_pinned(&self) -> bool {
        matches!(
            self.side,
            Side::Buy {
                target: Target::Pool(_),
                ..
            }
        )
    }
}

/// Which side of the book, with that side's own terms.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "side", rename_all = "snake_case")]
pub enum Side {
    /// A bid: wants units.
    Buy {
        /// Of which instruments, or of which pool.
        target: Target,
        /// No fill is smaller; the lot when not given.
        min_fill: Option<i64>,
        /// Fewer hours than the period, wherever in it they are had; all of it when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flexible: Option<Flexible>,
        /// Whether what its provider fails is bought in elsewhere; beyond what the bond adds to the
        /// old price up to the limit.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        buy_in: bool,
    },
    /// An ask: offers a pool's units.
    Sell {
        /// Which pool.
        pool: PoolId,
        /// No shorter period is sold.
        min_hours: i64,
        /// The hours of the week in which it holds; all when not given.
        weekly: Option<Weekly>,
    },
    /// An ask that sells a lease on.
    Resell {
        /// Which lease.
        lease: LeaseId,
        /// No shorter period is sold.
        min_hours: i64,
        /// The hours of the week in which it holds; all when not given.
        weekly: Option<Weekly>,
    },
}

/// The hours that a bid wants inside its period. All units in all of them, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Flexible {
    /// How many hours, 1 to those of the period.
    pub duration: i64,
    /// Whether they may be had in several runs; such a bid never rests.
    #[serde(default)]
    pub splittable: bool,
    /// The fewest hours of a run, 1 to the duration.
    #[serde(default = "one")]
    pub min_run: i64,
}

fn one() -> i64 {
    1
}

fn is_none(minutes: &i64) -> bool {
    *minutes == 0
}

/// What a bid can be filled from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Any of these instruments.
    Instruments(Vec<InstrumentId>),
    /// One pool.
    Pool(PoolId),
}

/// How long an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Good till cancelled: a bid to its start, an ask to its end.
    Gtc,
    /// Good till a date.
    Gtd {
        /// When it expires.
        until: Timestamp,
    },
    /// What does not trade at once is done.
    Ioc,
    /// All at once or nothing; bids only.
    Fok,
}

/// What the units of a lease got in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivered {
    /// This many minutes for each unit, 0 to 60.
    Minutes(i64),
    /// This many unit-minutes in all, 0 to 60 × units.
    UnitMinutes(i64),
}

/// The hours of the week, from Monday 00:00 UTC, in which a tariff holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Weekly([u64; 3]);

/// The text is not 168 characters `0` and `1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("weekly must be 168 characters 0 and 1")]
pub struct BadWeekly;

impl Weekly {
    /// Whether the tariff holds in this hour of the week, 0 to 167.
    pub fn holds(&self, hour_of_week: usize) -> bool {
        let word = self.0.get(hour_of_week >> 6);
        word.is_some_and(|word| (word >> (hour_of_week & 63)) & 1 == 1)
    }

    /// Whether the tariff holds in every hour of a period.
    pub fn covers(&self, period: Period) -> bool {
        // A week shows all.
        let mut hours = period.each().take(168);
        hours.all(|hour| self.holds(hour.of_week()))
    }
}

impl TryFrom<String> for Weekly {
    type Error = BadWeekly;

    fn try_from(text: String) -> Result<Self, BadWeekly> {
        let flags: Option<Vec<bool>> = text
            .chars()
            .map(|flag| match flag {
                '0' => Some(false),
                '1' => Some(true),
                _ => None,
            })
            .collect();
        let flags = flags.filter(|flags| flags.len() == 168).ok_or(BadWeekly)?;
        let mut words = [0; 3];
        for (hour, _) in flags.iter().enumerate().filter(|(_, holds)| **holds) {
            words[hour >> 6] |= 1 << (hour & 63);
        }
        Ok(Self(words))
    }
}

impl From<Weekly> for String {
    fn from(weekly: Weekly) -> Self {
        let hours = 0..168;
        hours
            .map(|hour| if weekly.holds(hour) { '1' } else { '0' })
            .collect()
    }
}
