//! Whole replays against the bare market: what the plan comes to, without a database.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use market::{AccountKind, Command, Market, Money, Rules, Timestamp};

use super::course::{Course, Step};
use super::decimal::Decimal;
use super::plan::{Plan, Tables, Wish};
use super::profile::{self, Profile};
use super::tables::Rows;

fn wish(load: i64, seed: u64) -> Wish {
    Wish {
        load: Decimal(load),
        usd_cny: Decimal(71_000),
        seed,
    }
}

/// Fees, a bond and windows, so that every kind of account moves.
fn rules() -> Rules {
    let mut rules = Rules::none();
    rules.seller_fee.maker_bps = 200;
    rules.seller_fee.taker_bps = 200;
    rules.bond_bps = 1_000;
    rules.claim_window_hours = 72;
    rules.reading_deadline_hours = Some(24);
    rules.checked().unwrap()
}

fn from_profile(seed: u64) -> Tables {
    let mut rows = Rows::default();
    let grades = rows.grades(profile::GRADES.as_bytes()).unwrap();
    let prices = rows.prices(profile::PRICES.as_bytes()).unwrap();
    let (nodes, jobs) = Profile::built_in().unwrap().draw(seed, &mut rows);
    Tables {
        nodes,
        jobs,
        grades,
        prices,
        rows,
    }
}

/// The folder of the traces, which are not the project's to carry.
fn traces() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let named = std::env::var_os("SLUICE_TRACES").map(PathBuf::from);
    let found = named
        .into_iter()
        .chain([beside])
        .find(|path| path.join("gpu_jobs.csv").is_file());
    if found.is_none() {
        eprintln!("SKIPPED: the traces are not in ../shared/data (or $SLUICE_TRACES)");
    }
    found
}

fn from_traces(folder: &Path) -> Tables {
    let open = |name: &str| File::open(folder.join(name)).unwrap();
    let mut rows = Rows::default();
    let grades = rows.grades(open("grade_map.csv")).unwrap();
    let prices = rows.prices(open("gpu_prices.csv")).unwrap();
    let nodes = rows.nodes(open("cluster_nodes_2026.csv"), &grades).unwrap();
    let jobs = rows.jobs(open("gpu_jobs.csv"), &grades).unwrap();
    Tables {
        nodes,
        jobs,
        grades,
        prices,
        rows,
    }
}

struct Played {
    course: Course,
    market: Market,
    commands: Vec<(Timestamp, Command)>,
}

/// Answers every command at once.
fn play(plan: Plan, rules: Rules) -> Played {
    let mut course = Course::new(plan, &rules);
    let mut market = Market::new(rules);
    let mut commands = Vec::new();
    loop {
        match course.step() {
            Step::Send(at, command) => {
                course.learn(&market.apply(at, &command));
                commands.push((at, command));
            }
            Step::Wait => panic!("every command was answered"),
            Step::End => break,
        }
    }
    Played {
        course,
        market,
        commands,
    }
}

fn played(tables: Tables, load: i64, seed: u64) -> Played {
    play(Plan::draw(tables, wish(load, seed)).unwrap(), rules())
}

fn money(market: &Market) -> BTreeMap<AccountKind, Money> {
    let mut money = BTreeMap::new();
    for (account, amount) in market.ledger().balances() {
        *money.entry(account.kind).or_default() += amount;
    }
    money
}

fn assert_closed(played: &Played) {
    let tally = &played.course.fates.tally;
    assert!(tally.trades > 1_000, "{tally:?}");
    assert_eq!(tally.leases, tally.trades);
    assert!(played.course.fates.running.is_empty());
    let orders = &played.course.fates.orders;
    assert!(
        orders
            .iter()
            .all(|fate| fate.done.is_some() != fate.rejected.is_some())
    );
    let money = money(&played.market);
    assert_eq!(money.values().copied().sum::<Money>(), Money::ZERO);
    for kind in [
        AccountKind::Hold,
        AccountKind::Escrow,
        AccountKind::Payable,
        AccountKind::Bond,
    ] {
        assert_eq!(money[&kind], Money::ZERO, "{kind:?}");
    }
    assert!(money[&AccountKind::Fees] > Money::ZERO);
    assert_eq!(money[&AccountKind::Fees], tally.fees);
    assert_eq!(tally.paid + tally.refunded + tally.fees, tally.turnover);
}

#[test]
fn the_profile_makes_a_market_whose_books_close() {
    let played = played(from_profile(1), 7_000, 1);
    assert_closed(&played);
    let tally = &played.course.fates.tally;
    assert!(tally.unfilled["cancelled"] > 0 && tally.unfilled["price"] > 0);
    assert!(tally.refunded > Money::ZERO, "some minutes were missing");
}

#[test]
fn the_same_seed_gives_the_same_commands_and_another_gives_others() {
    let commands = |seed| played(from_profile(seed), 7_000, seed).commands;
    let first = commands(1);
    assert_eq!(first, commands(1));
    assert_ne!(first, commands(2));
}

#[test]
fn more_load_means_more_orders_unfilled_for_scarcity() {
    let scarce = |load| {
        let played = played(from_profile(1), load, 1);
        assert_closed(&played);
        played.course.fates.tally.unfilled["scarcity"]
    };
    let (slack, tight) = (scarce(7_000), scarce(12_000));
    assert!(tight > slack && tight > 50, "{slack} and {tight}");
}

#[test]
fn answers_may_come_late_without_changing_a_command() {
    let plan = || Plan::draw(from_profile(1), wish(7_000, 1)).unwrap();
    let at_once = play(plan(), rules());
    let mut course = Course::new(plan(), &rules());
    let mut market = Market::new(rules());
    let (mut commands, mut answers) = (Vec::new(), std::collections::VecDeque::new());
    loop {
        match course.step() {
            Step::Send(at, command) => {
                answers.push_back(market.apply(at, &command));
                commands.push((at, command));
            }
            // As late as it may be: only when nothing can be sent without it.
            Step::Wait => course.learn(&answers.pop_front().unwrap()),
            Step::End => break,
        }
    }
    assert_eq!(commands, at_once.commands);
    assert_eq!(course.fates.tally, at_once.course.fates.tally);
}

#[test]
fn readings_keep_the_deadline_of_the_rules() {
    let mut hasty = rules();
    hasty.reading_deadline_hours = Some(1);
    let plan = Plan::draw(from_profile(1), wish(7_000, 1)).unwrap();
    let played = play(plan, hasty);
    assert_closed(&played);
    let rejected = &played.course.fates.tally.rejected;
    assert_eq!(rejected.get("already_settled"), None, "{rejected:?}");
}

#[test]
fn without_rules_the_books_close_too() {
    let plan = Plan::draw(from_profile(1), wish(7_000, 1)).unwrap();
    let played = play(plan, Rules::none());
    let money = money(&played.market);
    assert_eq!(money.get(&AccountKind::Bond), None);
    assert_eq!(money[&AccountKind::Escrow], Money::ZERO);
}

#[test]
fn the_traces_make_a_market_whose_books_close() {
    let Some(folder) = traces() else { return };
    let tables = from_traces(&folder);
    assert!(tables.rows.malformed.is_empty());
    assert_eq!(tables.rows.read["nodes"], 4_278);
    assert_eq!(tables.rows.read["jobs"], 8_152);
    let left_out = &tables.rows.left_out;
    assert_eq!(left_out["undisclosed_model"], 1_111);
    assert_eq!(left_out["asks_for_no_gpu"], 1_088);
    assert_eq!(left_out["never_ran"], 861, "of those that ask for a GPU");
    for load in [7_000, 12_000] {
        let played = played(tables.clone(), load, 1);
        assert_closed(&played);
        println!("load {load}: {:#?}", played.course.fates.tally);
        println!("{:#?}", played.course.plan.fleet.shares);
    }
}

#[test]
fn the_profile_is_that_of_the_traces() {
    let Some(folder) = traces() else { return };
    let tables = from_traces(&folder);
    let profile = Profile::of(&tables.nodes, &tables.jobs, &tables.rows);
    assert_eq!(profile, Profile::built_in().unwrap());
}
