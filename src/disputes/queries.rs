//! What is read of disputes.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff_sqlx::ToSqlx;
use market::{
    Account, AccountKind, DisputeId, Hour, LeaseId, Market, Money, ParticipantId, Period, Posting,
    Timestamp,
};
use sqlx::PgPool;

use crate::clock;
use crate::db::{period, stamp};
use crate::delivery::simulated;
use crate::web::evidence::{Reading, Source};
use crate::web::minutes::{Minutes, Sum};
use crate::web::{Error, Member, Role};

/// The most open disputes in a list, and the most decided ones at once.
const OPEN: i64 = 200;
pub(super) const RULED: i64 = 50;

/// The most messages of one side to one dispute.
pub(super) const MOST_MESSAGES: i64 = 200;

#[derive(sqlx::FromRow)]
struct ReadingRow {
    hour_at: jiff_sqlx::Timestamp,
    unit_minutes: i64,
    refunded: i64,
    actor: String,
    is_reading: bool,
}

/// The settled hours of a lease within a period, as they stand.
pub(super) async fn readings(
    db: &PgPool,
    lease: LeaseId,
    within: Period,
) -> Result<BTreeMap<Hour, Reading>, Error> {
    let rows: Vec<ReadingRow> = sqlx::query_as(
        "SELECT s.hour_at, s.unit_minutes, s.refunded, c.actor,
                c.body ->> 'do' IN ('deliver', 'correct') AND (c.body ->> 'lease')::bigint = s.lease
                AND (c.body ->> 'hour')::bigint = extract(epoch FROM s.hour_at) * 1000000
                AND c.rejected IS NULL AS is_reading
         FROM hours s JOIN commands c ON c.seq = s.command
         WHERE s.lease = $1 AND s.hour_at >= $2 AND s.hour_at < $3",
    )
    .bind(lease.0)
    .bind(clock::instant(within.start.begins()).to_sqlx())
    .bind(clock::instant(within.end.begins()).to_sqlx())
    .fetch_all(db)
    .await
    .context("loading the readings of a lease")?;
    let simulated = simulated::ACTOR.to_string();
    let readings = rows.into_iter().map(|row| {
        let source = if !row.is_reading {
            Source::Nobody
        } else if row.actor == simulated {
            Source::Simulated
        } else {
            Source::Reported
        };
        let reading = Reading {
            unit_minutes: row.unit_minutes,
            refunded: Money(row.refunded),
            source,
        };
        (stamp(row.hour_at).hour(), reading)
    });
    Ok(readings.collect())
}

/// As what somebody sees a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The holder's participant, who claims.
    Claimant,
    /// The provider's.
    Provider,
    /// The marketplace's own people.
    Platform,
}

/// One of the two parties.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) id: ParticipantId,
    pub(super) name: String,
}

/// What was reported.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) reason: String,
    pub(super) period: Period,
    pub(super) sum: Sum,
    pub(super) text: String,
    pub(super) sent_at: Timestamp,
}

/// How it was decided.
#[derive(Clone, Debug)]
pub(super) struct Ruled {
    pub(super) at: Timestamp,
    pub(super) awarded: Money,
    pub(super) unfunded: Money,
    /// Who sent the ruling, as the command log has it.
    pub(super) by: Option<String>,
}

/// How far a dispute has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The provider has not answered and still may.
    Open,
    /// The provider has answered.
    Answered,
    /// The provider has not answered in time.
    Overdue,
    /// A ruling is proposed.
    Proposed,
    /// It is approved, and its entries are not known to be made.
    Approving,
    /// It is ruled.
    Ruled,
}

impl Stage {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Open => "dispute.stage.open",
            Self::Answered => "dispute.stage.answered",
            Self::Overdue => "dispute.stage.overdue",
            Self::Proposed => "dispute.stage.proposed",
            Self::Approving => "dispute.stage.approving",
            Self::Ruled => "dispute.stage.ruled",
        }
    }

    /// The tag's colour: amber where somebody has to act.
    pub(super) fn tone(self) -> &'static str {
        if self == Self::Ruled { "teal" } else { "amber" }
    }
}

/// A dispute with what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) id: DisputeId,
    pub(super) lease: LeaseId,
    pub(super) claimant: Party,
    pub(super) provider: Party,
    pub(super) claimed: Money,
    pub(super) frozen: Money,
    pub(super) opened_at: Timestamp,
    pub(super) answer_until: Timestamp,
    pub(super) is_answered: bool,
    pub(super) symbol: String,
    pub(super) units: i64,
    pub(super) price: Money,
    pub(super) period: Period,
    pub(super) claim: Option<Claimed>,
    pub(super) standing: Option<String>,
    pub(super) ruled: Option<Ruled>,
}

impl Room {
    /// As what a member sees it; none when it is not for them.
    pub(super) fn side(&self, member: &Member) -> Option<Side> {
        let reads = [
            Role::Arbiter,
            Role::Operations,
            Role::Surveillance,
            Role::Auditor,
        ];
        if member.is_of_platform() {
            member.roles.have(&reads).then_some(Side::Platform)
        } else if member.participant == self.claimant.id {
            Some(Side::Claimant)
        } else if member.participant == self.provider.id {
            Some(Side::Provider)
        } else {
            None
        }
    }

    pub(super) fn stage(&self, now: Timestamp) -> Stage {
        match self.standing.as_deref() {
            _ if self.ruled.is_some() => Stage::Ruled,
            Some("open") => Stage::Proposed,
            Some(_) => Stage::Approving,
            None if self.is_answered => Stage::Answered,
            None if now < self.answer_until => Stage::Open,
            None => Stage::Overdue,
        }
    }

    /// The hours that the claim is about; all of the lease's where it names none.
    pub(super) fn disputed_hours(&self) -> Period {
        self.claim
            .as_ref()
            .map_or(self.period, |claim| claim.period)
    }
}

#[derive(sqlx::FromRow)]
struct RoomRow {
    id: i64,
    lease: i64,
    claimant: i64,
    claimant_name: Option<String>,
    provider: i64,
    provider_name: Option<String>,
    claimed: i64,
    frozen: i64,
    opened_at: jiff_sqlx::Timestamp,
    answer_until: jiff_sqlx::Timestamp,
    is_answered: bool,
    awarded: Option<i64>,
    unfunded: Option<i64>,
    ruled_at: Option<jiff_sqlx::Timestamp>,
    ruled_by: Option<String>,
    symbol: String,
    units: i64,
    price: i64,
    start_at: jiff_sqlx::Timestamp,
    end_at: jiff_sqlx::Timestamp,
    reason: Option<String>,
    claim_start_at: Option<jiff_sqlx::Timestamp>,
    claim_end_at: Option<jiff_sqlx::Timestamp>,
    claim_minutes: Option<i64>,
    claim_units: Option<i64>,
    text: Option<String>,
    sent_at: Option<jiff_sqlx::Timestamp>,
    proposal_state: Option<String>,
}

impl From<RoomRow> for Room {
    fn from(row: RoomRow) -> Self {
        let party = |id, name: Option<String>| Party {
            id: ParticipantId(id),
            name: name.unwrap_or_default(),
        };
        let claimed = Money(row.claimed);
        let claim = (|| {
            Some(Claimed {
                reason: row.reason?,
                period: period(row.claim_start_at?, row.claim_end_at?),
                sum: Sum {
                    minutes: Minutes::of(row.claim_minutes, row.claim_units),
                    amount: claimed,
                },
                text: row.text?,
                sent_at: stamp(row.sent_at?),
            })
        })();
        let ruled = row.ruled_at.map(|at| Ruled {
            at: stamp(at),
            awarded: Money(row.awarded.unwrap_or_default()),
            unfunded: Money(row.unfunded.unwrap_or_default()),
            by: row.ruled_by,
        });
        Self {
            id: DisputeId(row.id),
            lease: LeaseId(row.lease),
            claimant: party(row.claimant, row.claimant_name),
            provider: party(row.provider, row.provider_name),
            claimed,
            frozen: Money(row.frozen),
            opened_at: stamp(row.opened_at),
            answer_until: stamp(row.answer_until),
            is_answered: row.is_answered,
            symbol: row.symbol,
            units: row.units,
            price: Money(row.price),
            period: period(row.start_at, row.end_at),
            claim,
            standing: row.proposal_state,
            ruled,
        }
    }
}

/// A dispute that a member may see, and as what; another's is as if it did not exist.
pub(super) async fn room(
    db: &PgPool,
    member: &Member,
    id: DisputeId,
) -> Result<Option<(Room, Side)>, Error> {
    let row: Option<RoomRow> = sqlx::query_as("SELECT * FROM dispute_rooms WHERE id = $1")
        .bind(id.0)
        .fetch_optional(db)
        .await
        .context("loading a dispute")?;
    Ok(row.map(Room::from).and_then(|room| {
        let side = room.side(member)?;
        Some((room, side))
    }))
}

/// The disputes that are not decided, those to be looked at first first: all of them for the
/// platform, else a participant's.
pub(super) async fn open(db: &PgPool, of: Option<ParticipantId>) -> Result<Vec<Room>, Error> {
    let rows: Vec<RoomRow> = sqlx::query_as(
        "SELECT * FROM dispute_rooms
         WHERE ruled_at IS NULL AND ($1::bigint IS NULL OR claimant = $1 OR provider = $1)
         ORDER BY proposal_state IS NULL, answer_until, id LIMIT $2",
    )
    .bind(of.map(|of| of.0))
    .bind(OPEN)
    .fetch_all(db)
    .await
    .context("loading open disputes")?;
    Ok(rows.into_iter().map(Room::from).collect())
}

/// Decided disputes, the newest first, below a number; one more than are shown at once.
pub(super) async fn ruled(
    db: &PgPool,
    of: Option<ParticipantId>,
    below: Option<DisputeId>,
) -> Result<Vec<Room>, Error> {
    let rows: Vec<RoomRow> = sqlx::query_as(
        "SELECT * FROM dispute_rooms
         WHERE ruled_at IS NOT NULL AND ($1::bigint IS NULL OR claimant = $1 OR provider = $1)
           AND ($2::bigint IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(of.map(|of| of.0))
    .bind(below.map(|below| below.0))
    .bind(RULED + 1)
    .fetch_all(db)
    .await
    .context("loading decided disputes")?;
    Ok(rows.into_iter().map(Room::from).collect())
}

/// Something that was said.
pub(super) struct Said {
    pub(super) participant: ParticipantId,
    pub(super) at: Timestamp,
    pub(super) text: String,
}

#[derive(sqlx::FromRow)]
struct SaidRow {
    participant: i64,
    said_at: jiff_sqlx::Timestamp,
    text: String,
}

/// What was said to a dispute, in its order.
pub(super) async fn messages(db: &PgPool, id: DisputeId) -> Result<Vec<Said>, Error> {
    let rows: Vec<SaidRow> = sqlx::query_as(
        "SELECT participant, said_at, text FROM dispute_messages WHERE dispute = $1 ORDER BY id",
    )
    .bind(id.0)
    .fetch_all(db)
    .await
    .context("loading what was said to a dispute")?;
    let said = |row: SaidRow| Said {
        participant: ParticipantId(row.participant),
        at: stamp(row.said_at),
        text: row.text,
    };
    Ok(rows.into_iter().map(said).collect())
}

/// A proposed ruling, and what became of it.
pub(super) struct Proposed {
    pub(super) id: i64,
    pub(super) proposer: i64,
    pub(super) proposer_name: String,
    pub(super) at: Timestamp,
    pub(super) sum: Sum,
    pub(super) reason: String,
    pub(super) state: String,
    pub(super) decider: Option<i64>,
    pub(super) decider_name: Option<String>,
    pub(super) decided_at: Option<Timestamp>,
    pub(super) opinion: Option<String>,
}

impl Proposed {
    /// Whether it is neither returned nor withdrawn.
    pub(super) fn stands(&self) -> bool {
        ["open", "approving", "approved"].contains(&self.state.as_str())
    }
}

#[derive(sqlx::FromRow)]
struct ProposedRow {
    id: i64,
    proposer: i64,
    proposer_name: String,
    proposed_at: jiff_sqlx::Timestamp,
    minutes: Option<i64>,
    units: Option<i64>,
    award: i64,
    reason: String,
    state: String,
    decider: Option<i64>,
    decider_name: Option<String>,
    decided_at: Option<jiff_sqlx::Timestamp>,
    opinion: Option<String>,
}

/// The latest proposals for a dispute, the newest first.
pub(super) async fn proposals(db: &PgPool, id: DisputeId) -> Result<Vec<Proposed>, Error> {
    let rows: Vec<ProposedRow> = sqlx::query_as(
        "SELECT p.id, p.proposer, a.login AS proposer_name, p.proposed_at, p.minutes, p.units,
                p.award, p.reason, p.state, p.decider, b.login AS decider_name, p.decided_at,
                p.opinion
         FROM dispute_proposals p JOIN users a ON a.id = p.proposer
         LEFT JOIN users b ON b.id = p.decider
         WHERE p.dispute = $1 ORDER BY p.id DESC LIMIT 20",
    )
    .bind(id.0)
    .fetch_all(db)
    .await
    .context("loading the proposals for a dispute")?;
    let proposed = |row: ProposedRow| Proposed {
        id: row.id,
        proposer: row.proposer,
        proposer_name: row.proposer_name,
        at: stamp(row.proposed_at),
        sum: Sum {
            minutes: Minutes::of(row.minutes, row.units),
            amount: Money(row.award),
        },
        reason: row.reason,
        state: row.state,
        decider: row.decider,
        decider_name: row.decider_name,
        decided_at: row.decided_at.map(stamp),
        opinion: row.opinion,
    };
    Ok(rows.into_iter().map(proposed).collect())
}

/// An entry that a dispute made.
pub(super) struct Booked {
    pub(super) number: i64,
    pub(super) at: Timestamp,
    pub(super) reason: String,
    pub(super) postings: Vec<Posting>,
}

#[derive(sqlx::FromRow)]
struct LineRow {
    entry: i64,
    at: jiff_sqlx::Timestamp,
    reason: String,
    participant: i64,
    kind: String,
    amount: i64,
}

/// The entries that froze and split a dispute's money.
pub(super) async fn entries(db: &PgPool, id: DisputeId) -> Result<Vec<Booked>, Error> {
    let rows: Vec<LineRow> = sqlx::query_as(
        "SELECT p.entry, e.at, e.reason, p.participant, p.kind::text AS kind, p.amount
         FROM journal_entries e JOIN postings p ON p.entry = e.id
         WHERE e.reason IN ('dispute', 'ruling') AND e.subject = $1 ORDER BY p.entry, p.line",
    )
    .bind(id.0)
    .fetch_all(db)
    .await
    .context("loading a dispute's entries")?;
    let mut entries: Vec<Booked> = Vec::new();
    for row in rows {
        let kind = AccountKind::from_code(&row.kind).context("an account of no known kind")?;
        let posting = Posting {
            account: Account::of(ParticipantId(row.participant), kind),
            amount: Money(row.amount),
        };
        match entries.last_mut().filter(|entry| entry.number == row.entry) {
            Some(entry) => entry.postings.push(posting),
            None => entries.push(Booked {
                number: row.entry,
                at: stamp(row.at),
                reason: row.reason,
                postings: vec![posting],
            }),
        }
    }
    Ok(entries)
}

/// The name of one of the marketplace's people, by the actor of a command.
pub(super) async fn name_of(db: &PgPool, actor: &str) -> Result<Option<String>, Error> {
    let user = actor.strip_prefix("user:").and_then(|id| id.parse().ok());
    let user: Option<i64> = user;
    let name: Option<String> = sqlx::query_scalar("SELECT login FROM users WHERE id = $1")
        .bind(user)
        .fetch_optional(db)
        .await
        .context("looking for who ruled")?;
    Ok(name)
}

/// What is frozen now by where it was, with its words; nothing once it is ruled.
pub(super) fn frozen(market: &Market, id: DisputeId) -> Vec<(&'static str, Money)> {
    let dispute = market.dispute(id).filter(|one| one.ruled.is_none());
    dispute.map_or_else(Vec::new, |dispute| {
        let parts = &dispute.parts;
        let (escrow, payable) = (parts.escrow.values(), parts.payable.values());
        vec![
            ("dispute.frozen.escrow", escrow.copied().sum()),
            ("dispute.frozen.bond", parts.bond),
            ("dispute.frozen.payable", payable.copied().sum()),
            ("dispute.frozen.cash", parts.cash),
        ]
    })
}
