//! Nodes become pools and asks: which nodes are listed, whose they are, where, and for how much.

use std::collections::{BTreeMap, BTreeSet};

use market::catalogue::{Grade, Region};
use market::{Command, InstrumentId, ListInstrument, Money, ParticipantId, PoolId, Weekly};

use super::decimal::{Decimal, ONE};
use super::dice::{Dice, Draw};
use super::tables::Node;
use super::tariff::{TICK, Tariff};

/// What this replay assumes of a region; no published figure. Power and land are cheaper in the
/// west and capacity is built there; users are in the east.
struct Site {
    region: &'static str,
    /// Its prices against the nation's, in basis points.
    price_bps: i64,
    /// How likely a node stands there.
    capacity: i64,
    /// How hard tied work presses on a card that is listed there.
    pressure: i64,
}

const SITES: [Site; 10] = [
    site("CN-JJJ-ZJK", 10_200, 10, 13),
    site("CN-CSJ-SFQ", 11_200, 6, 20),
    site("CN-CSJ-WUH", 10_400, 8, 12),
    site("CN-GBA-SHG", 10_600, 8, 16),
    site("CN-CHY-TFU", 9_900, 9, 10),
    site("CN-CHY-CQG", 9_800, 9, 10),
    site("CN-NMG-HLG", 8_600, 16, 5),
    site("CN-GUZ-GAN", 8_800, 15, 6),
    site("CN-GAS-QIY", 8_400, 11, 4),
    site("CN-NXA-ZHW", 8_500, 12, 5),
];

const fn site(region: &'static str, price_bps: i64, capacity: i64, pressure: i64) -> Site {
    Site {
        region,
        price_bps,
        capacity,
        pressure,
    }
}

/// Providers in each region.
pub const PROVIDERS_PER_SITE: usize = 2;

/// Service levels: how likely a provider offers one, and its price in basis points.
const LEVELS: [(&str, i64, i64); 3] = [
    ("BRONZE", 3, 9_300),
    ("SILVER", 5, 10_000),
    ("GOLD", 2, 11_200),
];

/// What a night tariff costs against the base tariff, in basis points.
const NIGHT_BPS: i64 = 8_000;

/// A provider and its habits.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its number.
    pub participant: ParticipantId,
    /// Where its pools are.
    pub region: &'static Region,
    /// What it promises.
    pub level: &'static str,
    /// Whether it cancels its ask and lists anew to re-price, in place of replacing it.
    pub relists: bool,
    /// Whether its nights are cheaper.
    pub nights: bool,
    /// Its prices against others', in basis points.
    spread_bps: i64,
    price_bps: i64,
    level_bps: i64,
}

/// An instrument that is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its number.
    pub instrument: InstrumentId,
    /// Its grade.
    pub grade: &'static Grade,
    /// Its region.
    pub region: &'static Region,
    /// Its service level.
    pub level: &'static str,
}

impl Listed {
    /// Its symbol.
    pub fn symbol(&self) -> String {
        let (grade, region) = (self.grade.name, self.region.symbol_part());
        format!("{grade}.{region}.{}", self.level)
    }

    /// The command that puts it on the list.
    pub fn command(&self) -> Command {
        Command::ListInstrument(ListInstrument {
            instrument: self.instrument,
            symbol: self.symbol(),
            lot: self.grade.lot,
            tick: TICK,
        })
    }
}

/// A pool to open.
#[derive(Clone, Debug)]
pub struct PoolTerms {
    /// Its number.
    pub pool: PoolId,
    /// Its provider's place among the providers.
    pub provider: usize,
    /// Its instrument's place among the instruments.
    pub instrument: usize,
    /// Its cards.
    pub units: i64,
}

/// What of a grade is listed, against what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Usable nodes of the grade.
    pub nodes: i64,
    /// Cards that are listed.
    pub listed: i64,
    /// The most cards that jobs want in any one hour.
    pub peak: i64,
}

/// Everything that providers bring.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Providers, two in each region.
    pub providers: Vec<Provider>,
    /// Instruments, numbered from 1.
    pub instruments: Vec<Listed>,
    /// Pools, numbered from 1.
    pub pools: Vec<PoolTerms>,
    /// By grade.
    pub shares: BTreeMap<&'static str, Share>,
}

impl Fleet {
    /// Lists nodes so that `peak` demand in each grade is the `load` of what is listed.
    pub fn list(
        nodes: &[Node],
        peaks: &BTreeMap<&'static str, i64>,
        load: Decimal,
        seed: u64,
    ) -> Self {
        let providers = providers(seed);
        let weights: Vec<i64> = providers.iter().map(|provider| provider.weight()).collect();
        let mut cards: BTreeMap<(&'static str, usize), i64> = BTreeMap::new();
        let mut shares = BTreeMap::new();
        for (at, (grade, mut hosts)) in by_grade(nodes).into_iter().enumerate() {
            let peak = peaks.get(grade).copied().unwrap_or(0);
            let mut share = Share {
                nodes: count(&hosts),
                listed: 0,
                peak,
            };
            Dice::of(seed, Draw::Sample, at).shuffle(&mut hosts);
            for host in sample(&hosts, peak, load) {
                let mut dice =
                    Dice::of(seed, Draw::Placement, at << 32 | cards_index(share.listed));
                let provider = dice.weighted(&weights).unwrap_or(0);
                *cards.entry((grade, provider)).or_default() += host;
                share.listed += host;
            }
            shares.insert(grade, share);
        }
        let (instruments, pools) = number(&cards, &providers);
        Self {
            providers,
            instruments,
            pools,
            shares,
        }
    }

    /// What a pool asks for in the `week`th week; in the first, the reference.
    pub fn price(&self, pool: &PoolTerms, tariff: &Tariff, week: Option<usize>) -> Money {
        let provider = &self.providers[pool.provider];
        let factors = [provider.price_bps, provider.level_bps, provider.spread_bps];
        match week {
            Some(week) => tariff.in_week(week, &factors),
            None => tariff.of_reference(&factors),
        }
    }

    /// What a pool asks for at night.
    pub fn night_price(&self, pool: &PoolTerms, tariff: &Tariff) -> Money {
        let provider = &self.providers[pool.provider];
        tariff.of_reference(&[
            provider.price_bps,
            provider.level_bps,
            provider.spread_bps,
            NIGHT_BPS,
        ])
    }

    /// The instruments of a grade with one of these service levels; all of the grade when none
    /// has one.
    pub fn instruments_of(&self, grade: &str, levels: &[&str]) -> Vec<usize> {
        let of_grade = |wanted: &dyn Fn(&Listed) -> bool| -> Vec<usize> {
            let listed = self.instruments.iter().enumerate();
            listed
                .filter(|(_, listed)| listed.grade.name == grade && wanted(listed))
                .map(|(at, _)| at)
                .collect()
        };
        let wanted = of_grade(&|listed| levels.contains(&listed.level));
        if wanted.is_empty() {
            of_grade(&|_| true)
        } else {
            wanted
        }
    }

    /// How hard tied work presses on an instrument: its region's pressure on each listed card.
    pub fn pressure(&self, instrument: usize) -> i64 {
        let region = self.instruments[instrument].region.code;
        let pools = self.pools.iter();
        let cards: i64 = pools
            .filter(|pool| pool.instrument == instrument)
            .map(|pool| pool.units)
            .sum();
        let site = SITES.iter().find(|site| site.region == region);
        cards * site.map_or(0, |site| site.pressure)
    }
}

impl Provider {
    fn weight(&self) -> i64 {
        let site = SITES.iter().find(|site| site.region == self.region.code);
        site.map_or(0, |site| site.capacity)
    }
}

/// The hours of a night tariff: 22:00 to 06:00 in Shanghai, 14:00 to 22:00 UTC, every day.
pub fn night() -> Weekly {
    let hours = (0..168).map(|hour| {
        if (14..22).contains(&(hour % 24)) {
            '1'
        } else {
            '0'
        }
    });
    Weekly::try_from(hours.collect::<String>()).expect("a week has 168 hours")
}

/// Card counts of nodes, by grade.
pub fn by_grade(nodes: &[Node]) -> BTreeMap<&'static str, Vec<i64>> {
    let mut hosts: BTreeMap<&'static str, Vec<i64>> = BTreeMap::new();
    for node in nodes {
        hosts.entry(node.grade.name).or_default().push(node.cards);
    }
    hosts
}

fn providers(seed: u64) -> Vec<Provider> {
    let mut providers = Vec::new();
    for site in &SITES {
        for _ in 0..PROVIDERS_PER_SITE {
            let number = providers.len();
            let mut dice = Dice::of(seed, Draw::Provider, number);
            let level = dice.weighted(&LEVELS.map(|(_, weight, _)| weight));
            let (level, _, level_bps) = LEVELS[level.unwrap_or(0)];
            providers.push(Provider {
                participant: ParticipantId(i64::try_from(number).expect("twenty providers") + 1),
                region: Region::of(site.region).expect("a region of the catalogue"),
                level,
                relists: dice.one_in(2),
                nights: dice.one_in(4),
                spread_bps: dice.between(9_300, 10_700),
                price_bps: site.price_bps,
                level_bps,
            });
        }
    }
    providers
}

/// Hosts from the front of the list whose cards come nearest to what makes `peak` the `load` of
/// them; at least one.
fn sample(hosts: &[i64], peak: i64, load: Decimal) -> &[i64] {
    let wanted = i128::from(peak) * i128::from(ONE);
    let mut listed = 0;
    let most = hosts.iter().position(|host| {
        // In cards: a further host brings it nearer while listed + host / 2 <= peak / load.
        let doubled = i128::from(2 * listed + host) * i128::from(load.0);
        let over = listed > 0 && doubled > 2 * wanted;
        listed += host;
        over
    });
    &hosts[..most.unwrap_or(hosts.len())]
}

/// Numbers the instruments and pools that the placed cards make.
fn number(
    cards: &BTreeMap<(&'static str, usize), i64>,
    providers: &[Provider],
) -> (Vec<Listed>, Vec<PoolTerms>) {
    let key = |grade: &'static str, provider: usize| {
        let provider: &Provider = &providers[provider];
        (grade, provider.region.code, provider.level)
    };
    let keys: BTreeSet<_> = cards.keys().map(|(grade, at)| key(grade, *at)).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let instruments = keys
        .iter()
        .zip(1..)
        .map(|(&(grade, region, level), id)| Listed {
            instrument: InstrumentId(id),
            grade: Grade::of(grade).expect("a grade of the catalogue"),
            region: Region::of(region).expect("a region of the catalogue"),
            level,
        });
    let pools = cards
        .iter()
        .zip(1..)
        .map(|((&(grade, provider), &units), id)| PoolTerms {
            pool: PoolId(id),
            provider,
            instrument: keys
                .binary_search(&key(grade, provider))
                .expect("its key is among them"),
            units,
        });
    (instruments.collect(), pools.collect())
}

fn count(hosts: &[i64]) -> i64 {
    i64::try_from(hosts.len()).unwrap_or(i64::MAX)
}

fn cards_index(cards: i64) -> usize {
    usize::try_from(cards).expect("cards are counted from zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(grade: &str, cards: i64, hosts: usize) -> Vec<Node> {
        let grade = Grade::of(grade).unwrap();
        vec![Node { grade, cards }; hosts]
    }

    #[test]
    fn listed_capacity_is_what_the_load_says_to_the_nearest_host() {
        let all = [nodes("A10", 1, 500), nodes("H800", 8, 50)].concat();
        let peaks = BTreeMap::from([("A10", 70), ("H800", 40)]);
        let list = |load| Fleet::list(&all, &peaks, Decimal(load), 1).shares;
        assert_eq!(list(7_000)["A10"].listed, 100);
        // 40 / 0.7 = 57.1 cards: 7 hosts of 8 are nearest; 40 / 1.2 = 33.3: 4 hosts.
        assert_eq!(list(7_000)["H800"].listed, 56);
        assert_eq!(
            (list(12_000)["A10"].listed, list(12_000)["H800"].listed),
            (58, 32)
        );
        // Never more than there are, never nothing.
        assert_eq!(list(1)["H800"].listed, 400);
        assert_eq!(list(1_000_000)["H800"].listed, 8);
    }

    #[test]
    fn every_pool_is_of_its_providers_region_and_level() {
        let all = nodes("A10", 1, 500);
        let fleet = Fleet::list(&all, &BTreeMap::from([("A10", 200)]), Decimal(7_000), 3);
        let cards: i64 = fleet.pools.iter().map(|pool| pool.units).sum();
        assert_eq!(cards, fleet.shares["A10"].listed);
        for pool in &fleet.pools {
            let provider = &fleet.providers[pool.provider];
            let listed = &fleet.instruments[pool.instrument];
            assert_eq!(
                (listed.region.code, listed.level),
                (provider.region.code, provider.level)
            );
        }
        assert!(fleet.instruments.len() > 10, "spread over regions");
        let symbols: BTreeSet<_> = fleet.instruments.iter().map(Listed::symbol).collect();
        assert_eq!(symbols.len(), fleet.instruments.len());
    }

    #[test]
    fn a_night_is_eight_hours_of_each_day() {
        let night = night();
        assert_eq!((0..168).filter(|hour| night.holds(*hour)).count(), 56);
        assert!(night.holds(14) && night.holds(21) && !night.holds(22) && !night.holds(13));
    }
}
