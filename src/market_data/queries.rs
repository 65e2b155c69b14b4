//! What is read for the overview: the books of all instruments for one delivery period, from the
//! acknowledged market, and the last prices.

use std::collections::BTreeMap;

use anyhow::Context;
use market::catalogue::{GRADES, Grade, REGIONS, Region};
use market::{Fees, InstrumentId, Market, Money};
use sqlx::PgPool;

use super::forms::Wish;
use crate::web::Error;
use crate::web::quote::Quote;
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
    pub(super) lot: i64,
    pub(super) ask: Option<Money>,
    pub(super) bid: Option<Money>,
    /// Units that asks offer through all of the hours.
    pub(super) free: i64,
    /// What the wished units cost, when it is of the wished grade.
    pub(super) quote: Option<Quote>,
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
            Listing {
                instrument: instrument.listed.instrument,
                lot: instrument.listed.lot.max(1),
                ask: depth.asks.first().map(|level| level.price),
                bid: depth.bids.first().map(|level| level.price),
                free: depth.asks.iter().map(|level| level.units).sum(),
                quote: is_wished.then(|| Quote::new(&depth, wish.units, None)),
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

/// Where a wish can be had whole: by price, then by carbon.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) listing: Listing,
    pub(super) total: Money,
    pub(super) limit: Money,
}

/// The offers of a wish, the cheapest first, the buyer's fee included.
pub(super) fn offers(listings: &[Listing], wish: &Wish, fees: Fees) -> Vec<Offer> {
    let mut offers: Vec<Offer> = listings
        .iter()
        .filter_map(|listing| {
            let quote = listing
                .quote
                .as_ref()
                .filter(|quote| quote.units == wish.units && wish.units % listing.lot == 0)?;
            let hours = wish.window.hours();
            let total = quote.all_in(fees, hours)?;
            Some(Offer {
                listing: listing.clone(),
                total,
                limit: quote.limit()?,
            })
        })
        .collect();
    offers.sort_by_key(|offer| (offer.total, offer.listing.instrument));
    offers
}

/// The lowest ask of the wished grade by region, from the east to the west.
pub(super) fn by_region(listings: &[Listing]) -> Vec<(&'static Region, Listing)> {
    let mut best: BTreeMap<&str, &Listing> = BTreeMap::new();
    for listing in listings.iter().filter(|listing| listing.quote.is_some()) {
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
