//! What is read for the overview: the books of all instruments for one delivery period, from the
//! acknowledged market, and the last prices.

use std::collections::BTreeMap;

use anyhow::Context;
use market::catalogue::{GRADES, Grade, REGIONS, Region};
use market::{InstrumentId, Market, Money};
use sqlx::PgPool;

use super::forms::Wish;
use crate::web::Error;
use crate::web::quote::{Reckoned, fixed};
use crate::web::symbol::Symbol;

/// The last price of each instrument that is among the latest trades.
pub(super) async fn last_prices(db: &PgPool) -> Result<BTreeMap<InstrumentId, Money>, Error> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT DISTINCT ON (p.instrument) p.instrument, t.price
         FROM (SELECT id, pool, price FROM trades ORDER BY id DESC LIMIT 2000) t
         JOIN pools p ON p.id = t.pool
         ORDER BY p.instrument, t.id DESC",
    )
    .fetch_all(db)
    .await
    .context("loading last prices")?;
    Ok(rows
        .into_iter()
        .map(|(id, price)| (InstrumentId(id), Money(price)))
        .collect())
}

/// One instrument, and what it has in the picked hours.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) instrument: InstrumentId,
    pub(super) symbol: Symbol,
    pub(super) ask: Option<Money>,
    pub(super) bid: Option<Money>,
    /// Units that asks offer through all of the hours.
    pub(super) free: i64,
    /// Whether it is of the wished grade.
    pub(super) is_wished: bool,
    /// What the wished units cost, where it is and the market would take a bid for them.
    pub(super) reckoned: Option<Reckoned>,
}

/// Every grade that some instrument is of, as the catalogue orders them.
pub(super) fn listed_grades(market: &Market) -> Vec<&'static Grade> {
    let is_listed = |grade: &&Grade| {
        market.instruments().any(|instrument| {
            let symbol = &instrument.listed.symbol;
            symbol
                .strip_prefix(grade.name)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    };
    GRADES.iter().filter(is_listed).collect()
}

/// Every instrument in the wished hours, the strongest grade first, of each the
/// cheapest.
pub(super) fn listings(market: &Market, wish: &Wish) -> Vec<Listing> {
    let mut listings: Vec<Listing> = market
        .instruments()
        .map(|instrument| {
            let symbol = Symbol::new(&instrument.listed.symbol);
            let depth = market.depth(instrument.listed.instrument, wish.window.period);
            let is_wished = symbol
                .grade
                .is_some_and(|grade| grade.name == wish.grade.name);
            let wished = fixed(instrument.listed.instrument, wish.units, wish.window.period);
            Listing {
                instrument: instrument.listed.instrument,
                ask: depth.asks.first().map(|level| level.price),
                bid: depth.bids.first().map(|level| level.price),
                free: depth.asks.iter().map(|level| level.units).sum(),
                is_wished,
                reckoned: Some(wished)
                    .filter(|_| is_wished)
                    .and_then(|wished| Reckoned::new(market, wished, None).ok()),
                symbol,
            }
        })
        .collect();
    listings.sort_by_key(|listing| {
        let grade = listing.symbol.grade;
        (
            std::cmp::Reverse(grade.map(|grade| (grade.fp16_gflops, grade.memory_gib, grade.name))),
            listing.ask.is_none(),
            listing.ask,
            listing.instrument,
        )
    });
    listings
}

/// Where a wish can be had whole, with its total in 1/10,000 yuan, the buyer's fee included.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) listing: Listing,
    pub(super) total: i128,
}

/// The offers of a wish, the cheapest first.
pub(super) fn offers(listings: &[Listing]) -> Vec<Offer> {
    let offer = |listing: &Listing| {
        let reckoned = listing.reckoned.as_ref();
        let reckoned = reckoned.filter(|reckoned| reckoned.is_whole())?;
        Some(Offer {
            total: reckoned.quote.all_in(),
            listing: listing.clone(),
        })
    };
    let mut offers: Vec<Offer> = listings.iter().filter_map(offer).collect();
    offers.sort_by_key(|offer| (offer.total, offer.listing.instrument));
    offers
}

/// The lowest ask of the wished grade by region, from the east to the west.
pub(super) fn by_region(listings: &[Listing]) -> Vec<(&'static Region, Listing)> {
    let mut best: BTreeMap<&str, &Listing> = BTreeMap::new();
    for listing in listings.iter().filter(|listing| listing.is_wished) {
        let Some(region) = listing.symbol.region else {
            continue;
        };
        let known = best.entry(region.code).or_insert(listing);
        if listing
            .ask
            .is_some_and(|ask| known.ask.is_none_or(|known| ask < known))
        {
            *known = listing;
        }
    }
    let mut regions: Vec<&'static Region> = REGIONS
        .iter()
        .filter(|region| best.contains_key(region.code))
        .collect();
    regions.sort_by_key(|region| std::cmp::Reverse(region.longitude_centideg));
    regions
        .into_iter()
        .map(|region| (region, best[region.code].clone()))
        .collect()
}
