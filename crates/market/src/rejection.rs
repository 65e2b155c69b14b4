//! Every reason for which the market says no.

use crate::money::{Money, decimal};

/// Why a command was not done. Nothing was changed by it.
///
/// The order of the variants is the order in which they are looked for: the first that holds is
/// the answer (docs/PROTOCOL.md).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The command, or one of its options, is not built yet.
    #[error("this is not supported yet")]
    NotSupported,
    /// The id is in use with other terms.
    #[error("this id is in use with other terms")]
    DuplicateId,
    /// No instrument of this symbol.
    #[error("there is no such instrument")]
    UnknownSymbol,
    /// No such pool, or another's.
    #[error("there is no such pool")]
    UnknownPool,
    /// No such lease, or another's.
    #[error("there is no such lease")]
    UnknownLease,
    /// No such dispute.
    #[error("there is no such dispute")]
    UnknownDispute,
    /// No such order, or another's.
    #[error("there is no such order")]
    UnknownOrder,
    /// The order is filled, cancelled or expired.
    #[error("the order is done")]
    OrderDone,
    /// Units or `min_fill` are not a positive multiple of the lot.
    #[error("the quantity is not a positive multiple of the lot")]
    NotALot,
    /// `min_fill` exceeds the units.
    #[error("the smallest fill is larger than the order")]
    MinFillOverUnits,
    /// The price is not a positive multiple of the tick.
    #[error("the price is not a positive multiple of the tick")]
    NotATick,
    /// Not on the hour, empty, backward, ending more than 400 days ahead, or not in the years 1970
    /// to 9998.
    #[error("the period is not one of whole hours, or ends more than 400 days ahead")]
    BadPeriod,
    /// A bid wants fewer hours than one or more than its period has, or runs of fewer than one or
    /// more than it wants.
    #[error("the hours that are wanted do not fit into the period")]
    BadDuration,
    /// A bid that starts before now.
    #[error("the period has started")]
    PeriodStarted,
    /// A bid for a pool whose units have to be prepared, with a start nearer than the rules let it be.
    #[error("the gate for this period is closed")]
    GateClosed,
    /// An ask that does not end after now.
    #[error("the period is over")]
    PeriodOver,
    /// The ask's period is not within its pool's.
    #[error("the period is not within the pool's")]
    OutsidePool,
    /// The ask has more units than its pool.
    #[error("the pool has fewer units")]
    OverPool,
    /// The ask offers more than the lease has in an hour and other asks don't offer.
    #[error("the lease has fewer units that are not offered")]
    OverLease,
    /// The rules in force don't allow it, or not yet.
    #[error("the rules do not allow this now")]
    NotAllowed,
    /// A good-till-date order whose date is not after now.
    #[error("the time until which it should stand has passed")]
    UntilPassed,
    /// More of something than the rules admit: asks of a pool, instruments of a bid, hours in which
    /// a flexible bid may lie, unit-hours still to come of an instrument.
    #[error("this is more than the rules admit")]
    OverLimit,
    /// The instrument is halted: orders can only be cancelled.
    #[error("orders of this instrument can only be cancelled now")]
    Halted,
    /// A bid above or an ask below what the rules let pass.
    #[error("the price is outside the band")]
    OutsideBand {
        /// No ask is lower.
        lowest: Option<Money>,
        /// No bid is higher.
        highest: Option<Money>,
    },
    /// Cash does not cover what must be held.
    #[error("cash is short by {} yuan", decimal(*missing))]
    InsufficientFunds {
        /// What is missing, in 1/10,000 yuan; wider than a balance, since an order can be absurd.
        missing: i128,
    },
    /// A post-only order that could trade at once.
    #[error("the order would trade at once")]
    WouldTrade,
    /// The hour is not one of the lease's.
    #[error("the hour is not one of the lease's")]
    OutsideLease,
    /// The notice is shorter than the rules ask for.
    #[error("it is too late for this")]
    TooLate,
    /// Nothing is left of the lease that could end.
    #[error("nothing is left of the lease")]
    LeaseOver,
    /// The hour is not over.
    #[error("the hour is not over")]
    HourNotOver,
    /// The hour is not settled.
    #[error("the hour is not settled")]
    NotSettled,
    /// The hour is settled, as it would be by this.
    #[error("the hour is settled")]
    AlreadySettled,
    /// More minutes than the hour has, or fewer than none.
    #[error("the minutes are not between none and all")]
    BadMinutes,
    /// The claim window after the lease's end has passed.
    #[error("the claim window has passed")]
    ClaimWindowOver,
    /// A dispute about the lease is open.
    #[error("a dispute about the lease is open")]
    AlreadyDisputed,
    /// The dispute is decided.
    #[error("the dispute is decided")]
    AlreadyRuled,
    /// The rule set can't hold, is not newer than the others, or would hold from before now or
    /// before another.
    #[error("this rule set can not be put in force")]
    BadRules,
    /// A deposit that is not positive or would exceed what the ledger can count, a claim that is
    /// not positive or above the lease's price, an award below zero or above the claim.
    #[error("the amount is not one that can be booked")]
    BadAmount,
}

impl Rejection {
    /// The name by which the protocol knows it, such as `insufficient_funds`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotSupported => "not_supported",
            Self::DuplicateId => "duplicate_id",
            Self::UnknownSymbol => "unknown_symbol",
            Self::UnknownPool => "unknown_pool",
            Self::UnknownLease => "unknown_lease",
            Self::UnknownDispute => "unknown_dispute",
            Self::UnknownOrder => "unknown_order",
            Self::OrderDone => "order_done",
            Self::NotALot => "not_a_lot",
            Self::MinFillOverUnits => "min_fill_over_units",
            Self::NotATick => "not_a_tick",
            Self::BadPeriod => "bad_period",
            Self::BadDuration => "bad_duration",
            Self::PeriodStarted => "period_started",
            Self::GateClosed => "gate_closed",
            Self::PeriodOver => "period_over",
            Self::OutsidePool => "outside_pool",
            Self::OverPool => "over_pool",
            Self::OverLease => "over_lease",
            Self::NotAllowed => "not_allowed",
            Self::OverLimit => "over_limit",
            Self::BadRules => "bad_rules",
            Self::TooLate => "too_late",
            Self::LeaseOver => "lease_over",
            Self::UntilPassed => "until_passed",
            Self::Halted => "halted",
            Self::OutsideBand { .. } => "outside_band",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::WouldTrade => "would_trade",
            Self::OutsideLease => "outside_lease",
            Self::HourNotOver => "hour_not_over",
            Self::NotSettled => "not_settled",
            Self::AlreadySettled => "already_settled",
            Self::BadMinutes => "bad_minutes",
            Self::ClaimWindowOver => "claim_window_over",
            Self::AlreadyDisputed => "already_disputed",
            Self::AlreadyRuled => "already_ruled",
            Self::BadAmount => "bad_amount",
        }
    }
}
