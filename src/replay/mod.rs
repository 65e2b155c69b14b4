//! The replay: the main job whole, without a browser, in the traces' own time run fast.
//!
//! Real nodes become providers' pools and asks ([`fleet`]), real jobs buyers' bids ([`work`]),
//! priced by a published index ([`tariff`]); or, without the traces, both are drawn from a compact
//! profile of them ([`profile`]). [`course`] then lives through it command by command: orders are
//! placed, changed and cancelled, every hour of every lease gets its reading, and the books close.
//! [`run`] sends the commands through the same sequencer and PostgreSQL as the server's.
//!
//! The rules by which a trace becomes a market, all seeded, so that the same seed gives the same
//! market ([`dice`]):
//!
//! - **Time.** Second 0 of the trace is 2026-01-01T00:00:00Z. A job is asked for when it was
//!   created, from the next whole hour on, for as many whole hours as it ran (begun ones count).
//! - **Cards.** Parts of a card count as a card. A job takes a grade that it names; else one whose
//!   hosts are shared by the card (lot 1) if a part of a card would do, one sold by the host if it
//!   wants several cards, and any for one card, each as likely as the fleet has nodes of it (cards,
//!   for several). What it asks for is rounded up to the grade's lot.
//! - **Listing.** Of each grade, nodes are drawn until peak demand is the wanted share (`--load`)
//!   of what is listed. They belong to twenty providers, two in each region, more of them in the
//!   west; demand leans east.
//! - **Prices.** The median of the published index, × the rate, × the grade's factor, × the
//!   region's, the service level's and the provider's factor, to the nearest fen. Weekly, a provider
//!   asks what the index of the next published day says.
//! - **Limits.** Work that is tied to a region bids 102 to 150 % of its grade's reference, work that
//!   can go anywhere 76 to 120 %. Tied work takes SILVER or GOLD, the other any service level.
//! - **Habits.** Work for several cards wants them of one pool (`min_fill`). Some bids are IOC, FOK
//!   or GTD, some are raised or cancelled while they rest; one buyer in twenty brings half of the
//!   money that its orders need. Half of the providers re-price by replacing their ask, half cancel
//!   it and list anew; some add a cheaper night tariff.
//! - **Delivery.** Most hours are whole. One in sixty lacks some minutes; one lease in 150 loses its
//!   host for up to seven hours.

pub mod course;
pub mod decimal;
mod dice;
pub mod fates;
pub mod fleet;
pub mod plan;
pub mod profile;
mod readings;
#[cfg(test)]
mod rehearsal;
pub mod tables;
pub mod tariff;
pub mod work;
