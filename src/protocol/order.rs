//! An order as JSON has it: its terms as they were written, with names and not yet numbers.

use market::{
    ClientId, Flexible, InstrumentId, LeaseId, Market, Money, ParticipantId, PlaceOrder, PoolId,
    Side, Target, TimeInForce, Timestamp, Weekly,
};

use super::{Fields, Flaw};

/// An order's terms. What they mean is in `market::PlaceOrder`.
#[derive(Debug, PartialEq, Eq)]
pub struct OrderLine {
    /// The participant's own name for it.
    pub id: String,
    /// Bid or ask, and what only one of them has.
    pub side: SideLine,
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

/// What only one side has.
#[derive(Debug, PartialEq, Eq)]
pub enum SideLine {
    /// A bid.
    Buy {
        /// Of which instruments, or of which pool.
        target: TargetLine,
        /// No fill is smaller; the lot when not given.
        min_fill: Option<i64>,
        /// Fewer hours than the period, wherever in it they are had.
        flexible: Option<Flexible>,
        /// Whether what its provider fails is bought in elsewhere.
        buy_in: bool,
    },
    /// An ask.
    Sell {
        /// What is sold.
        source: SourceLine,
        /// No shorter period is sold.
        min_hours: i64,
        /// The hours of the week in which it holds.
        weekly: Option<Weekly>,
    },
}

/// What a bid can be filled from.
#[derive(Debug, PartialEq, Eq)]
pub enum TargetLine {
    /// These instruments.
    Symbols(Vec<String>),
    /// One pool.
    Pool(String),
}

/// What an ask sells.
#[derive(Debug, PartialEq, Eq)]
pub enum SourceLine {
    /// A pool's units.
    Pool(String),
    /// A lease's.
    Lease(String),
}

/// A change of an open order.
#[derive(Debug, PartialEq, Eq)]
pub struct ReplaceLine {
    /// Which order.
    pub id: String,
    /// The new total, in units.
    pub units: Option<i64>,
    /// The new price, per unit-hour.
    pub price: Option<Money>,
}

impl ReplaceLine {
    /// The change of these fields; what else they have is left.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(fields: &mut Fields) -> Result<Self, Flaw> {
        let id = fields.text("id")?;
        let units = fields.whole_or_none("units")?;
        let price = fields.money_or_none("price")?;
        if units.is_none() && price.is_none() {
            return Err(Flaw::together(
                "a replacement names \"units\", \"price\" or both",
            ));
        }
        Ok(Self { id, units, price })
    }
}

impl OrderLine {
    /// The order of these fields; what else they have is left.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(fields: &mut Fields) -> Result<Self, Flaw> {
        let id = fields.text("id")?;
        let side = fields.text("side")?;
        let side = match side.as_str() {
            "buy" => buy(fields)?,
            "sell" => sell(fields)?,
            side => {
                let wrong = format!("must be buy or sell, not {side:?}");
                return Err(Flaw::of("bad_value", "side", wrong));
            }
        };
        Ok(Self {
            id,
            side,
            units: fields.whole("units")?,
            price: fields.money("price")?,
            start: fields.instant("start")?,
            end: fields.instant("end")?,
            tif: time_in_force(fields)?,
            post_only: fields.flag("post_only")?,
        })
    }
}

/// The numbers of what is named. What nobody knows has one too, so that it is the market that says
/// so, in its place among other reasons.
pub trait Numbers {
    /// That of an instrument.
    fn instrument(&mut self, symbol: &str) -> InstrumentId;
    /// That of a pool.
    fn pool(&mut self, pool: &str) -> PoolId;
}

/// The numbers that a market has given; that of nothing for what it does not know.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a>(pub &'a Market);

impl Numbers for Known<'_> {
    fn instrument(&mut self, symbol: &str) -> InstrumentId {
        let mut instruments = self.0.instruments();
        let known = instruments.find(|one| one.listed.symbol == symbol);
        known.map_or(InstrumentId(0), |one| one.listed.instrument)
    }

    fn pool(&mut self, pool: &str) -> PoolId {
        pool.parse().unwrap_or(PoolId(0))
    }
}

/// The number of a lease; that of none for what is no lease's name.
pub fn lease_number(lease: &str) -> LeaseId {
    lease.parse().unwrap_or(LeaseId(0))
}

impl OrderLine {
    /// The order that a participant places with these terms.
    pub fn numbered(&self, participant: ParticipantId, numbers: &mut impl Numbers) -> PlaceOrder {
        PlaceOrder {
            participant,
            client_id: ClientId(self.id.clone()),
            side: self.side.numbered(numbers),
            units: self.units,
            price: self.price,
            start: self.start,
            end: self.end,
            tif: self.tif,
            post_only: self.post_only,
        }
    }
}

impl SideLine {
    fn numbered(&self, numbers: &mut impl Numbers) -> Side {
        match self {
            Self::Buy {
                target,
                min_fill,
                flexible,
                buy_in,
            } => Side::Buy {
                target: match target {
                    TargetLine::Symbols(symbols) => {
                        let instruments = symbols.iter().map(|symbol| numbers.instrument(symbol));
                        Target::Instruments(instruments.collect())
                    }
                    TargetLine::Pool(pool) => Target::Pool(numbers.pool(pool)),
                },
                min_fill: *min_fill,
                flexible: *flexible,
                buy_in: *buy_in,
            },
            Self::Sell {
                source: SourceLine::Pool(pool),
                min_hours,
                weekly,
            } => Side::Sell {
                pool: numbers.pool(pool),
                min_hours: *min_hours,
                weekly: weekly.clone(),
            },
            Self::Sell {
                source: SourceLine::Lease(lease),
                min_hours,
                weekly,
            } => Side::Resell {
                lease: lease_number(lease),
                min_hours: *min_hours,
                weekly: weekly.clone(),
            },
        }
    }
}

fn buy(fields: &mut Fields) -> Result<SideLine, Flaw> {
    let symbols = fields.texts_or_none("symbols")?;
    let pool = fields.text_or_none("pool")?;
    let target = match (symbols, pool) {
        (Some(symbols), None) => TargetLine::Symbols(symbols),
        (None, Some(pool)) => TargetLine::Pool(pool),
        _ => return Err(Flaw::together("a bid names either \"symbols\" or \"pool\"")),
    };
    let min_fill = fields.whole_or_none("min_fill")?;
    let duration = fields.whole_or_none("duration")?;
    let min_run = fields.whole_or_none("min_run")?.unwrap_or(1);
    let splittable = fields.flag("splittable")?;
    let is_flexible = duration.is_some() || min_run != 1 || splittable;
    // Runs of nothing in particular are for the market to refuse.
    let flexible = is_flexible.then(|| Flexible {
        duration: duration.unwrap_or(0),
        splittable,
        min_run,
    });
    Ok(SideLine::Buy {
        target,
        min_fill,
        flexible,
        buy_in: fields.flag("buy_in")?,
    })
}

fn sell(fields: &mut Fields) -> Result<SideLine, Flaw> {
    let pool = fields.text_or_none("pool")?;
    let lease = fields.text_or_none("lease")?;
    let min_hours = fields.whole_or_none("min_hours")?.unwrap_or(1);
    let weekly = fields
        .text_or_none("weekly")?
        .map(Weekly::try_from)
        .transpose()
        .map_err(|error| Flaw::value("weekly", error))?;
    let source = match (pool, lease) {
        (Some(pool), None) => SourceLine::Pool(pool),
        (None, Some(lease)) => SourceLine::Lease(lease),
        _ => return Err(Flaw::together("an ask names either \"pool\" or \"lease\"")),
    };
    Ok(SideLine::Sell {
        source,
        min_hours,
        weekly,
    })
}

fn time_in_force(fields: &mut Fields) -> Result<TimeInForce, Flaw> {
    let tif = fields.text_or_none("tif")?;
    let until = fields.instant_or_none("until")?;
    match (tif.as_deref().unwrap_or("GTC"), until) {
        ("GTD", Some(until)) => Ok(TimeInForce::Gtd { until }),
        ("GTD", None) => Err(Flaw::together("\"tif\" GTD needs \"until\"")),
        ("GTC" | "IOC" | "FOK", Some(_)) => Err(Flaw::together("only \"tif\" GTD has \"until\"")),
        ("GTC", None) => Ok(TimeInForce::Gtc),
        ("IOC", None) => Ok(TimeInForce::Ioc),
        ("FOK", None) => Ok(TimeInForce::Fok),
        (tif, _) => {
            let wrong = format!("must be GTC, GTD, IOC or FOK, not {tif:?}");
            Err(Flaw::of("bad_value", "tif", wrong))
        }
    }
}
