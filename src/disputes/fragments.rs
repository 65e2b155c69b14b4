//! Disputes as they change: the list, the evidence on one axis, what is said, and the ruling with
//! its ledger effect.

use askama::Template;
use askama::filters::HtmlSafe;
use askama_web::WebTemplate;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use market::{Account, DisputeId, Money, ParticipantId, Timestamp};

use super::forms::Proposal;
use super::pages::Typed;
use super::queries::{self, Booked, Proposed, Room, Side, Stage};
use crate::app::App;
use crate::feed::Published;
use crate::web::entry::EntryTable;
use crate::web::evidence::{Evidence, Stated, Subject};
use crate::web::i18n::LocaleOf;
use crate::web::live::{self, Audience, Topic, Watcher};
use crate::web::minutes::LONGEST;
use crate::web::symbol::Symbol;
use crate::web::{Error, FieldErrors, Locale, Member, Role, format};

/// Disputes that are open, and decided ones.
#[derive(Template)]
#[template(path = "disputes/_list.html")]
pub(super) struct List {
    locale: Locale,
    is_of_platform: bool,
    open: Vec<Summary>,
    ruled: Vec<Summary>,
    is_past: bool,
    more: Option<String>,
}

impl HtmlSafe for List {}

/// The disputes that a member sees; below a number only decided ones.
pub(super) async fn list(
    app: &App,
    locale: Locale,
    member: &Member,
    below: Option<DisputeId>,
) -> Result<List, Error> {
    let now = app.clock.now();
    let of = (!member.is_of_platform()).then_some(member.participant);
    let open = match below {
        None => queries::open(&app.db, of).await?,
        Some(_) => Vec::new(),
    };
    let mut ruled = queries::ruled(&app.db, of, below).await?;
    let shown = usize::try_from(queries::RULED).unwrap_or(usize::MAX);
    let has_more = ruled.len() > shown;
    ruled.truncate(shown);
    let more = ruled.last().filter(|_| has_more);
    let more = more.map(|last| format!("/disputes?below={}", last.id));
    let rows = |rooms: &[Room]| -> Vec<Summary> {
        let sides = rooms
            .iter()
            .filter_map(|room| Some((room, room.side(member)?)));
        sides
            .map(|(room, side)| summary(locale, room, side, now))
            .collect()
    };
    let mut open = rows(&open);
    open.sort_by_key(|row| !row.is_due());
    Ok(List {
        locale,
        is_of_platform: member.is_of_platform(),
        open,
        ruled: rows(&ruled),
        is_past: below.is_some(),
        more,
    })
}

/// What a dispute is about and how far it has come.
#[derive(Template)]
#[template(path = "disputes/_summary.html")]
pub(super) struct Summary {
    locale: Locale,
    id: String,
    side: Side,
    reason: Option<String>,
    stage: Stage,
    lease: String,
    /// Where the reader sees the lease.
    href: String,
    what: String,
    period: String,
    price: String,
    total: String,
    parties: String,
    deadline: Option<(String, String)>,
    claimed: String,
    claim: String,
    frozen: String,
    opened: String,
    awarded: Option<String>,
}

impl HtmlSafe for Summary {}

impl Summary {
    /// Whether its reader is to answer.
    fn is_due(&self) -> bool {
        self.side == Side::Provider && self.stage == Stage::Open
    }
}

fn summary(locale: Locale, room: &Room, side: Side, now: Timestamp) -> Summary {
    let claim = room.claim.as_ref();
    let minutes = claim.and_then(|claim| claim.sum.minutes);
    let total = Money::exact(room.price.times(room.units, room.period.hours()));
    let stage = room.stage(now);
    let waits = stage == Stage::Open;
    Summary {
        locale,
        id: room.id.to_string(),
        side,
        reason: claim.map(|claim| {
            let key = format!("dispute.reason.{}", claim.reason);
            locale.t(key).into_owned()
        }),
        stage,
        lease: room.lease.to_string(),
        href: match side {
            Side::Claimant => format!("/leases/{}", room.lease),
            Side::Provider => format!("/provide/leases/{}", room.lease),
            Side::Platform => format!("/ops/leases/{}", room.lease),
        },
        what: format!(
            "{} × {}",
            room.units,
            Symbol::new(&room.symbol).title(locale)
        ),
        period: locale.period(room.period),
        price: format::money(room.price),
        total: format::money(total),
        parties: locale.tr(
            "dispute.row.parties",
            [
                ("claimant", &*room.claimant.name),
                ("provider", &*room.provider.name),
            ],
        ),
        deadline: waits.then(|| {
            (
                locale.span(room.answer_until.0 - now.0),
                locale.minute(room.answer_until),
            )
        }),
        claimed: format::money(room.claimed),
        claim: minutes.map_or_else(
            || locale.t("dispute.by_amount").into_owned(),
            |minutes| minutes.text(locale),
        ),
        frozen: format::money(room.frozen),
        opened: locale.minute(room.opened_at),
        awarded: room
            .ruled
            .as_ref()
            .map(|ruled| format::money(ruled.awarded)),
    }
}

/// Who says what about the hours.
async fn evidence(
    app: &App,
    locale: Locale,
    room: &Room,
    standing: Option<&Proposed>,
) -> Result<Evidence, Error> {
    let subject = Subject {
        units: room.units,
        period: room.period,
        disputed: room.disputed_hours(),
    };
    let readings = queries::readings(&app.db, room.lease, subject.axis()).await?;
    let claim = room.claim.as_ref().map(|claim| Stated {
        title: "dispute.lane.claim",
        by: "dispute.lane.claimant",
        sum: claim.sum,
        is_finding: false,
    });
    let finding = standing.map(|standing| Stated {
        title: match room.ruled {
            Some(_) => "dispute.lane.found",
            None => "dispute.lane.finding",
        },
        by: match room.ruled {
            Some(_) => "dispute.lane.booked",
            None => "dispute.lane.proposed",
        },
        sum: standing.sum,
        is_finding: true,
    });
    let stated: Vec<Stated> = claim.into_iter().chain(finding).collect();
    Ok(Evidence::new(locale, &subject, &readings, &stated))
}

/// What was said, in its order.
#[derive(Template)]
#[template(path = "disputes/_talk.html")]
pub(super) struct Talk {
    locale: Locale,
    said: Vec<Statement>,
}

impl HtmlSafe for Talk {}

struct Statement {
    name: String,
    role: &'static str,
    at: String,
    machine: String,
    text: String,
    is_of_platform: bool,
}

async fn talk(app: &App, locale: Locale, room: &Room) -> Result<Talk, Error> {
    let messages = queries::messages(&app.db, room.id).await?;
    let first = room.claim.as_ref().map(|claim| queries::Said {
        participant: room.claimant.id,
        at: claim.sent_at,
        text: claim.text.clone(),
    });
    let said = first.into_iter().chain(messages).map(|said| Statement {
        name: name(locale, room, said.participant),
        role: if said.participant == room.claimant.id {
            "dispute.party.claimant"
        } else if said.participant == room.provider.id {
            "dispute.party.provider"
        } else {
            "dispute.arbiter"
        },
        at: locale.minute(said.at),
        machine: format::machine(said.at),
        text: said.text,
        is_of_platform: said.participant == ParticipantId::MARKETPLACE,
    });
    Ok(Talk {
        locale,
        said: said.collect(),
    })
}

/// A party's name, or the marketplace's.
fn name(locale: Locale, room: &Room, participant: ParticipantId) -> String {
    if participant == room.claimant.id {
        room.claimant.name.clone()
    } else if participant == room.provider.id {
        room.provider.name.clone()
    } else {
        locale.t("site.name").into_owned()
    }
}

/// What a ruling would post, exactly as it would; nothing when it would move nothing.
fn preview(app: &App, locale: Locale, room: &Room, award: Money) -> Option<EntryTable> {
    let postings = app.feed.market().ruling_preview(room.id, award);
    let head = (
        locale.t("dispute.preview").into_owned(),
        locale.t("dispute.preview_caption").into_owned(),
    );
    let named = |account: Account| name(locale, room, account.participant);
    (!postings.is_empty()).then(|| EntryTable::new(locale, head, false, &postings, named))
}

/// An entry that a dispute has made.
fn booked(locale: Locale, room: &Room, entry: &Booked) -> EntryTable {
    let title = locale.t(format!("entry.{}", entry.reason));
    let head = (
        format!("{title} J-{}", entry.number),
        locale.second(entry.at),
    );
    let named = |account: Account| name(locale, room, account.participant);
    EntryTable::new(locale, head, true, &entry.postings, named)
}

/// The proposed ruling, or the one that was made, with what it does to the ledger.
#[derive(Template)]
#[template(path = "disputes/_ruling.html")]
pub(super) struct Ruling {
    locale: Locale,
    /// By where it was, while it is frozen.
    frozen: Vec<(&'static str, Money)>,
    frozen_total: String,
    /// The ruling: its lines, with the last one the sum.
    outcome: Option<Vec<(&'static str, String)>>,
    finding: Option<Finding>,
    entries: Vec<EntryTable>,
    past: Vec<Finding>,
}

impl HtmlSafe for Ruling {}

/// A proposal as it is read.
struct Finding {
    award: String,
    formula: Option<String>,
    by: String,
    at: String,
    reason: String,
    decided: Option<String>,
    opinion: Option<String>,
}

/// Who proposes and decides is for the platform's people to know; the parties see that there were
/// two.
fn finding(locale: Locale, room: &Room, side: Side, one: &Proposed) -> Finding {
    let by = |name: &str| match side {
        Side::Platform => name.to_owned(),
        Side::Claimant | Side::Provider => locale.t("dispute.arbiter").into_owned(),
    };
    let decided = match (one.decided_at, one.state.as_str()) {
        (None, _) | (_, "open") => None,
        (Some(at), state) => {
            // What the market has ruled is approved, whether that was noted here or not.
            let state = match state {
                "approving" if room.ruled.is_some() => "approved",
                state => state,
            };
            let name = one.decider_name.as_deref().unwrap_or(&one.proposer_name);
            let words = [("name", by(name)), ("at", locale.minute(at))];
            Some(locale.tr(format!("dispute.decided.{state}"), words))
        }
    };
    Finding {
        award: format::four(one.sum.amount),
        formula: one
            .sum
            .minutes
            .map(|minutes| minutes.formula(locale, room.price)),
        by: by(&one.proposer_name),
        at: locale.minute(one.at),
        reason: one.reason.clone(),
        decided,
        opinion: one.opinion.clone(),
    }
}

async fn ruling(
    app: &App,
    locale: Locale,
    room: &Room,
    side: Side,
    proposals: &[Proposed],
) -> Result<Ruling, Error> {
    let standing = proposals.iter().find(|one| one.stands());
    let entries = queries::entries(&app.db, room.id).await?;
    let entries = entries.iter().map(|entry| booked(locale, room, entry));
    let mut entries: Vec<EntryTable> = entries.collect();
    if room.ruled.is_none() && side == Side::Platform {
        let award = standing.map(|standing| standing.sum.amount);
        entries.extend(award.and_then(|award| preview(app, locale, room, award)));
    }
    let outcome = room.ruled.as_ref().map(|ruled| {
        let paid = ruled.awarded - ruled.unfunded;
        vec![
            ("dispute.outcome.awarded", format::four(ruled.awarded)),
            ("dispute.outcome.paid", format::four(paid)),
            ("dispute.outcome.unfunded", format::four(ruled.unfunded)),
            ("dispute.outcome.released", format::four(room.frozen - paid)),
        ]
    });
    let past = proposals.iter().filter(|one| !one.stands());
    Ok(Ruling {
        locale,
        frozen: queries::frozen(&app.feed.market(), room.id),
        frozen_total: format::four(room.frozen),
        outcome,
        finding: standing.map(|one| finding(locale, room, side, one)),
        entries,
        past: past
            .filter(|_| side == Side::Platform)
            .map(|one| finding(locale, room, side, one))
            .collect(),
    })
}

/// What an arbiter can do now.
#[derive(Template)]
#[template(path = "disputes/_decide.html")]
pub(super) struct Decide {
    locale: Locale,
    id: String,
    can: Can,
    /// The standing proposal's number and its award.
    proposal: i64,
    award: String,
    /// Who proposed and who approved, and when.
    proposed: Option<(String, String)>,
    approved: Option<(String, String)>,
    login: String,
    form: Proposal,
    effect: Effect,
    opinion: String,
    until: String,
    errors: FieldErrors,
    longest: usize,
}

impl HtmlSafe for Decide {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Can {
    /// Nothing before the provider has answered or their time is over.
    Wait,
    Propose,
    /// It is one's own: somebody else approves.
    Withdraw,
    Approve,
    /// An approval was cut short.
    Resume,
}

/// What a proposal that is being typed would post.
#[derive(Template, WebTemplate)]
#[template(path = "disputes/_effect.html")]
pub(super) struct Effect {
    locale: Locale,
    formula: Option<String>,
    award: Option<(String, String)>,
    unfunded: Option<String>,
    entry: Option<EntryTable>,
}

impl HtmlSafe for Effect {}

impl Effect {
    fn of(app: &App, locale: Locale, room: &Room, form: &Proposal) -> Self {
        let sum = form.sum(locale, room, &mut FieldErrors::default());
        let minutes = sum.and_then(|sum| sum.minutes);
        let over = sum.map(|sum| sum.amount - room.frozen);
        Self {
            locale,
            formula: minutes.map(|minutes| minutes.formula(locale, room.price)),
            award: sum.map(|sum| (format::money(sum.amount), sum.amount.to_string())),
            unfunded: over.filter(|over| over.0 > 0).map(format::four),
            entry: sum.and_then(|sum| preview(app, locale, room, sum.amount)),
        }
    }
}

fn decide(
    app: &App,
    locale: Locale,
    member: &Member,
    room: &Room,
    standing: Option<&Proposed>,
    typed: &Typed,
) -> Option<Decide> {
    if !member.roles.have(&[Role::Arbiter]) {
        return None;
    }
    let is_own = standing.is_some_and(|one| one.proposer == member.user);
    let can = match room.stage(app.clock.now()) {
        Stage::Ruled => return None,
        Stage::Open => Can::Wait,
        Stage::Answered | Stage::Overdue => Can::Propose,
        Stage::Proposed if is_own => Can::Withdraw,
        Stage::Proposed => Can::Approve,
        Stage::Approving if is_own => Can::Withdraw,
        Stage::Approving => Can::Resume,
    };
    let form = (typed.proposal.clone()).unwrap_or_else(|| Proposal::new(room));
    let decision = typed.decision.as_ref();
    Some(Decide {
        locale,
        id: room.id.to_string(),
        can,
        proposal: standing.map_or(0, |one| one.id),
        award: standing.map_or_else(String::new, |one| format::money(one.sum.amount)),
        proposed: standing.map(|one| (one.proposer_name.clone(), locale.minute(one.at))),
        approved: standing.and_then(|one| {
            let name = one.decider_name.clone()?;
            Some((name, locale.minute(one.decided_at?)))
        }),
        login: member.login.clone(),
        effect: Effect::of(app, locale, room, &form),
        form,
        opinion: decision.map_or_else(String::new, |one| one.opinion.clone()),
        until: locale.minute(room.answer_until),
        errors: typed.errors.clone(),
        longest: LONGEST,
    })
}

/// `GET /disputes/{id}/preview`: what a proposal would post, as it is typed.
///
/// # Errors
/// [`Error::NotFound`] where there is no such dispute.
pub async fn effect(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    Query(form): Query<Proposal>,
) -> Result<Response, Error> {
    let id: DisputeId = id.parse().map_err(|_| Error::NotFound)?;
    let (room, _) = queries::room(&app.db, &member, id)
        .await?
        .ok_or(Error::NotFound)?;
    Ok(Effect::of(&app, locale, &room, &form).into_response())
}

/// The parts of a dispute's page.
pub(super) struct Parts {
    pub(super) summary: Summary,
    pub(super) evidence: Evidence,
    pub(super) talk: Talk,
    pub(super) ruling: Ruling,
    pub(super) decide: Option<Decide>,
}

/// The parts of a dispute's page, for one side of it.
pub(super) async fn parts(
    app: &App,
    locale: Locale,
    member: &Member,
    room: &Room,
    side: Side,
    typed: &Typed,
) -> Result<Parts, Error> {
    let proposals = queries::proposals(&app.db, room.id).await?;
    let standing = proposals.iter().find(|one| one.stands());
    Ok(Parts {
        summary: summary(locale, room, side, app.clock.now()),
        evidence: evidence(app, locale, room, standing).await?,
        talk: talk(app, locale, room).await?,
        ruling: ruling(app, locale, room, side, &proposals).await?,
        decide: decide(app, locale, member, room, standing, typed),
    })
}

/// `GET /disputes/live`: the disputes, after each change of one.
///
/// # Errors
/// When the server has as many streams as it may.
pub async fn live_list(
    State(app): State<App>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    watcher: Watcher,
) -> Result<Response, Error> {
    let audience = Audience::Member(member.participant, member.user);
    let drawn = app.clone();
    let render = move || {
        let (app, member) = (drawn.clone(), member.clone());
        async move {
            let list = list(&app, locale, &member, None).await?;
            Ok(vec![("list", live::html(&list)?)])
        }
    };
    let wants = |published: &Published| !published.disputes.is_empty();
    let topic = Topic::new("disputes", audience, wants, render);
    live::stream(&app, watcher, vec![topic])
}

/// `GET /disputes/{id}/live`: all of a dispute, after each commit that touches it and after what
/// people say and propose. What each member can do differs, so nobody shares a drawing.
///
/// # Errors
/// [`Error::NotFound`] for others' disputes as for none.
pub async fn live(
    State(app): State<App>,
    Path(id): Path<String>,
    LocaleOf(locale): LocaleOf,
    member: Member,
    watcher: Watcher,
) -> Result<Response, Error> {
    let id: DisputeId = id.parse().map_err(|_| Error::NotFound)?;
    queries::room(&app.db, &member, id)
        .await?
        .ok_or(Error::NotFound)?;
    let audience = Audience::Member(member.participant, member.user);
    let drawn = app.clone();
    let render = move || {
        let (app, member) = (drawn.clone(), member.clone());
        async move {
            let (room, side) = queries::room(&app.db, &member, id)
                .await?
                .ok_or(Error::NotFound)?;
            let parts = parts(&app, locale, &member, &room, side, &Typed::default()).await?;
            let decide = parts.decide.as_ref().map(live::html).transpose()?;
            Ok(vec![
                ("summary", live::html(&parts.summary)?),
                ("evidence", live::html(&parts.evidence)?),
                ("talk", live::html(&parts.talk)?),
                ("ruling", live::html(&parts.ruling)?),
                ("decide", decide.unwrap_or_default()),
            ])
        }
    };
    let wants = move |published: &Published| published.disputes.contains(&id);
    let topic = Topic::new("dispute", audience, wants, render);
    live::stream(&app, watcher, vec![topic])
}
