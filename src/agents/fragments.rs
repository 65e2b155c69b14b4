//! A pool's machines as they are now: who speaks for each, what it has, and what is on it.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Path, State};
use axum::response::Response;
use market::catalogue::Grade;
use market::{ParticipantId, Pool, PoolId, Timestamp};
use serde::Deserialize;
use sluice_agent::inventory::Needs;

use super::queries::{self, MachineRow, PoolRow};
use crate::app::App;
use crate::clock;
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Audience, Topic, Watcher};
use crate::web::symbol::Symbol;
use crate::web::{Error, Locale, Member, format, say};

/// An agent that has been silent for so many real seconds is taken to be gone: it says that it is
/// there three times a minute.
const SILENT_SECONDS: i64 = 90;

/// By how many milliseconds an agent's clock may be off before a person is told to mend it. Beyond
/// a minute nothing that it sends is taken.
const SKEW_MILLIS: i64 = 5_000;

/// What a card counts of the memory that it is sold as, at least: the rest its driver keeps.
const COUNTED_MEMORY: (i64, i64) = (90, 100);

/// How often the page looks at what agents have said, in real time.
const GLANCE: Duration = Duration::from_secs(5);

/// The machines of a pool.
#[derive(Template)]
#[template(path = "agents/_machines.html")]
pub(super) struct Machines {
    locale: Locale,
    rows: Vec<MachineView>,
    /// How many units the machines have that have an agent, of all.
    there: String,
    all: String,
}

impl HtmlSafe for Machines {}

struct MachineView {
    name: String,
    units: String,
    address: String,
    state: &'static str,
    tone: &'static str,
    /// Since when or until when.
    state_note: Option<String>,
    /// What its agent says of itself.
    agent: Vec<(&'static str, String, bool)>,
    /// What it has, what the grade needs, and whether that will do; nothing before it has enrolled.
    inventory: Vec<Compared>,
    problems: Vec<String>,
    leases: Vec<(String, String)>,
    cases: Vec<String>,
}

/// Something that a machine has beside what the grade needs of it.
struct Compared {
    key: &'static str,
    has: String,
    needs: Option<String>,
    is_enough: bool,
}

/// What an agent says that its machine has; what it leaves out counts as nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Inventory {
    accelerators: Vec<Accelerator>,
    cpus: i64,
    memory_mib: i64,
    disk_mib: i64,
    problems: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Accelerator {
    model: String,
    memory_mib: i64,
    healthy: bool,
}

/// What a machine is asked to have: as the catalogue has the grade, and what a host needs for each
/// unit of it, where that is said.
#[derive(Clone, Copy)]
struct Asked<'a> {
    grade: Option<&'static Grade>,
    each: Option<&'a Needs>,
}

/// A participant's own pool that can have machines; another's is as if it did not exist.
pub(super) async fn own(
    app: &App,
    of: ParticipantId,
    id: PoolId,
) -> Result<(Pool, PoolRow), Error> {
    let pool = app.feed.market().pool(id).cloned();
    let own = pool.filter(|pool| pool.participant == of);
    let row = queries::pool(&app.db, of, id).await?;
    own.zip(row).ok_or(Error::NotFound)
}

impl Machines {
    pub(super) async fn of(
        app: &App,
        locale: Locale,
        id: PoolId,
        pool: &PoolRow,
    ) -> Result<Self, Error> {
        let rows = queries::machines(&app.db, id).await?;
        let mut leases: BTreeMap<i64, Vec<(String, String)>> = BTreeMap::new();
        for (host, lease, units) in queries::leases(&app.db, id, app.clock.now()).await? {
            let number = format!("l{lease}");
            leases
                .entry(host)
                .or_default()
                .push((number, format::count(units)));
        }
        let mut cases: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (host, kind, n) in queries::cases(&app.db, id).await? {
            let words = [
                ("kind", say::delivery_case(locale, &kind)),
                ("n", n.to_string()),
            ];
            let line = locale.tr("machine.case", words);
            cases.entry(host).or_default().push(line);
        }
        let needs = Asked {
            grade: Symbol::new(&pool.symbol).grade,
            each: pool.needs.as_ref().map(|needs| &needs.0),
        };
        let now = clock::stamp(clock::wall());
        let there = rows.iter().filter(|row| is_there(row, now));
        Ok(Self {
            locale,
            there: format::count(there.map(|row| row.units).sum()),
            all: format::count(rows.iter().map(|row| row.units).sum()),
            rows: rows
                .iter()
                .map(|row| MachineView {
                    leases: leases.remove(&row.id).unwrap_or_default(),
                    cases: cases.remove(&row.id).unwrap_or_default(),
                    ..MachineView::new(locale, row, needs, now)
                })
                .collect(),
        })
    }
}

/// Whether a machine's agent has been heard lately.
fn is_there(row: &MachineRow, now: Timestamp) -> bool {
    row.seen_at()
        .is_some_and(|seen| now.0 - seen.0 <= SILENT_SECONDS * 1_000_000)
}

impl MachineView {
    fn new(locale: Locale, row: &MachineRow, needs: Asked<'_>, now: Timestamp) -> Self {
        let told = |key: &'static str, at: Timestamp| locale.tr(key, [("at", &*locale.second(at))]);
        let good = row.token_until().filter(|until| *until > now);
        let (state, tone, state_note) = match (row.agent, row.seen_at(), good) {
            (Some(_), Some(seen), _) if is_there(row, now) => (
                "machine.state.there",
                "teal",
                Some(told("machine.seen", seen)),
            ),
            (Some(_), Some(seen), _) => (
                "machine.state.silent",
                "amber",
                Some(told("machine.seen", seen)),
            ),
            (_, _, Some(until)) => (
                "machine.state.token",
                "",
                Some(told("machine.token_until", until)),
            ),
            _ => {
                let revoked = row.revoked_at().map(|at| told("machine.revoked_at", at));
                ("machine.state.none", "amber", revoked)
            }
        };
        let inventory = row.inventory.clone();
        let inventory: Option<Inventory> =
            inventory.map(|said| serde_json::from_value(said).unwrap_or_default());
        Self {
            name: row.name.clone(),
            units: format::count(row.units),
            address: row.address.clone(),
            state,
            tone,
            state_note,
            agent: agent_lines(locale, row),
            inventory: inventory
                .as_ref()
                .map(|has| compared(locale, has, needs, row.units))
                .unwrap_or_default(),
            problems: inventory.map(|has| has.problems).unwrap_or_default(),
            leases: Vec::new(),
            cases: Vec::new(),
        }
    }
}

/// What an agent says of itself: text, and whether somebody should look at it.
fn agent_lines(locale: Locale, row: &MachineRow) -> Vec<(&'static str, String, bool)> {
    let Some(agent) = row.agent else {
        return Vec::new();
    };
    let program = match row.program.as_deref() {
        None | Some("") => locale.t("machine.program_unsaid").into_owned(),
        Some(program) => program.to_owned(),
    };
    let ahead = row.clock_ahead_ms.unwrap_or(0);
    let seconds = format::scaled(ahead.saturating_abs(), 3);
    let skew = match ahead {
        -500..=500 => locale.t("machine.clock_right").into_owned(),
        501.. => locale.tr("machine.clock_fast", [("n", &*seconds)]),
        _ => locale.tr("machine.clock_slow", [("n", &*seconds)]),
    };
    let waiting = row.waiting.unwrap_or(0);
    let waits = match waiting {
        0 => locale.t("machine.waiting_none").into_owned(),
        _ => locale.tr("machine.waiting_some", [("n", &*format::count(waiting))]),
    };
    vec![
        ("machine.agent", format!("#{agent} · {program}"), false),
        ("machine.clock", skew, ahead.saturating_abs() > SKEW_MILLIS),
        ("machine.waiting", waits, false),
    ]
}

/// What a machine has beside what so many units of its grade need.
fn compared(locale: Locale, has: &Inventory, asked: Asked<'_>, units: i64) -> Vec<Compared> {
    let gib = |mib: i64| format!("{} GiB", format::count(mib / 1_024));
    let each = |needs: fn(&Needs) -> u64| {
        let each = asked.each.map(needs).filter(|each| *each > 0)?;
        Some(
            i64::try_from(each)
                .unwrap_or(i64::MAX)
                .saturating_mul(units),
        )
    };
    let (cpus, memory, disk) = (
        each(|needs| needs.cpus.into()),
        each(|needs| needs.memory_mib),
        each(|needs| needs.disk_mib),
    );
    let plain = |key, has: i64, needed: Option<i64>, text: &dyn Fn(i64) -> String| Compared {
        key,
        has: text(has),
        needs: needed.map(text),
        is_enough: needed.is_none_or(|needed| has >= needed),
    };
    vec![
        cards(locale, has, asked, units),
        plain("machine.cpus", has.cpus, cpus, &format::count),
        plain("machine.memory", has.memory_mib, memory, &gib),
        plain("machine.disk", has.disk_mib, disk, &gib),
    ]
}

/// A machine's accelerators beside those that are needed: so many that are well and have the
/// grade's memory.
fn cards(locale: Locale, has: &Inventory, asked: Asked<'_>, units: i64) -> Compared {
    let gib = |mib: i64| format!("{} GiB", format::count(mib / 1_024));
    let (part, whole) = COUNTED_MEMORY;
    let said = asked.each.map_or(0, |needs| needs.accelerator_memory_mib);
    let least = match (i64::try_from(said).unwrap_or(0), asked.grade) {
        (0, Some(grade)) => grade.memory_gib * 1_024 * part / whole,
        (least, _) => least,
    };
    let sound = |one: &&Accelerator| one.healthy && one.memory_mib >= least;
    let sound = has.accelerators.iter().filter(sound).count();
    let there = match has.accelerators.first() {
        None => locale.t("machine.no_cards").into_owned(),
        Some(first) => {
            let words = [
                ("n", has.accelerators.len().to_string()),
                ("model", first.model.clone()),
                ("memory", gib(first.memory_mib)),
            ];
            locale.tr("machine.cards", words)
        }
    };
    let unwell = has.accelerators.iter().filter(|one| !one.healthy).count();
    let there = match unwell {
        0 => there,
        n => {
            let unwell = locale.tr("machine.unwell", [("n", n.to_string())]);
            format!("{there} · {unwell}")
        }
    };
    let needs = asked.grade.map(|grade| {
        let words = [
            ("n", units.to_string()),
            ("model", grade.name.to_owned()),
            ("memory", format!("{} GiB", grade.memory_gib)),
        ];
        locale.tr("machine.cards", words)
    });
    Compared {
        key: "machine.accelerators",
        has: there,
        is_enough: i64::try_from(sound).unwrap_or(0) >= units || needs.is_none(),
        needs,
    }
}

/// `GET /provide/pools/{id}/machines/live`: the machines, as their agents are heard.
///
/// # Errors
/// [`Error::NotFound`] for another participant's pool as for none.
pub async fn live(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    watcher: Watcher,
) -> Result<Response, Error> {
    let id: PoolId = id.parse().map_err(|_| Error::NotFound)?;
    let (_, row) = own(&app, member.participant, id).await?;
    let drawn = app.clone();
    let render = move || {
        let (app, row) = (drawn.clone(), row.clone());
        async move {
            let machines = Machines::of(&app, locale, id, &row).await?;
            Ok(vec![("machines", live::html(&machines)?)])
        }
    };
    // What agents say is no commit of the market.
    let audience = Audience::Member(member.participant, member.user);
    let topic = Topic::new("machines", audience, |_| false, render);
    let topic = topic.while_it_stands(|| Some(GLANCE));
    live::stream(&app, watcher, vec![topic])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cards_are_counted_that_are_well_and_have_the_grades_memory() {
        let each = Needs {
            cpus: 80,
            ..Needs::default()
        };
        let asked = Asked {
            grade: Grade::of("A100-80GB"),
            each: Some(&each),
        };
        let all = |cards: serde_json::Value| {
            let said = json!({ "accelerators": cards, "cpus": 128, "memory_mib": 1_048_576 });
            let has: Inventory = serde_json::from_value(said).unwrap();
            compared(Locale::En, &has, asked, 2)
        };
        let enough = |cards| all(cards)[0].is_enough;
        let host = all(json!([]));
        assert!(!host[1].is_enough, "two units need 160 processors");
        assert!(host[2].is_enough && host[2].needs.is_none());
        let card = |memory: i64, healthy: bool| {
            json!({ "model": "A100", "identity": "GPU-1", "memory_mib": memory,
                    "healthy": healthy })
        };
        assert!(enough(json!([card(81_920, true), card(81_559, true)])));
        assert!(!enough(json!([card(81_920, true)])));
        assert!(!enough(json!([card(81_920, true), card(81_920, false)])));
        assert!(!enough(json!([card(81_920, true), card(40_960, true)])));
        assert!(!enough(json!([])));
    }
}
