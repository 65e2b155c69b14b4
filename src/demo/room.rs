//! A dispute to look at: the customer claims for hours of a lease, both parties have said what they
//! have to say, and a ruling that one administrator proposed waits for another.
//!
//! The claim is a command like any other ([`claim`]); what people said of it is written once the
//! market has the dispute ([`prepare`]), at instants of the same hours.

use anyhow::Context;
use market::{ClientId, Command, HOUR_MICROS, HOUR_MINUTES, Hour, Lease, LeaseId, Market, Money};
use serde_json::json;
use sqlx::PgPool;

use super::{Cast, store};
use crate::web::acts::{self, Act, Origin};

/// How many hours after the market was listed the customer claims, and since when the lease was
/// placed that it is about.
const CLAIM_AFTER: i64 = 32;
const LEASE_AFTER: i64 = 12;

/// Which hours of the lease it is about, and how many minutes of each unit.
const HOURS: (i64, i64) = (5, 7);
const CLAIMED_MINUTES: i64 = 95;

/// What is proposed.
const PROPOSED_MINUTES: i64 = 60;

const CLAIM: &str = "租约第 6、7 小时，八张卡之间的 NVLink 降级，只能各跑各的，训练任务退回到上一个检查点。\
    计量显示主机在线，但这 95 分钟里我们没有拿到合约写明的互联。";

/// Who says what, how many minutes after the claim.
const SAID: [(&str, i64, &str); 4] = [
    (
        "demo-provider",
        47,
        "查了主机日志：该时段确有一次链路重协商，告警持续约 40 分钟，主机本身一直在线。愿意按 40 分钟退款。",
    ),
    (
        "demo-buyer",
        92,
        "40 分钟只是告警的时间。链路恢复后速率只有四分之一，直到我们重启任务。按作业日志，从中断到恢复共 95 分钟。",
    ),
    (
        "demo-arbiter-1",
        155,
        "请供方补充这两个小时的链路速率记录。",
    ),
    (
        "demo-provider",
        201,
        "速率记录显示，从告警开始算，60 分钟后恢复全速。",
    ),
];

/// How many minutes after the claim the ruling is proposed, by whom, and why.
const PROPOSED_AFTER: i64 = 262;
const PROPOSER: &str = "demo-arbiter-1";
const REASON: &str = "链路重协商与降速合计 60 分钟，告警、速率记录与作业日志相互印证；其余 35 分钟没有证据。\
    按 60 分钟 × 8 卡退还。";

/// The command by which the customer claims, in the hour in which that is done.
pub(super) fn claim(cast: &Cast, market: &Market, hour: Hour) -> Option<Command> {
    if hour.0 - cast.begins.0 != CLAIM_AFTER {
        return None;
    }
    let lease = lease(cast, market)?;
    Some(Command::OpenDispute {
        participant: cast.customer,
        lease: lease.id,
        amount: worth(lease, CLAIMED_MINUTES),
    })
}

/// What people said, to be written.
pub(super) struct Room {
    pub(super) dispute: i64,
    pub(super) hours: (i64, i64),
    pub(super) claimed: (i64, i64),
    pub(super) claim: &'static str,
    /// Sign-in name, instant in microseconds, text.
    pub(super) said: Vec<(&'static str, i64, &'static str)>,
    pub(super) proposer: &'static str,
    pub(super) proposed_at: i64,
    /// Minutes, units and what they are worth.
    pub(super) proposed: (i64, i64, i64),
    pub(super) reason: &'static str,
}

/// Writes what was said of the customer's claim, where the market has it and nobody wrote before.
///
/// # Errors
/// When the database fails.
pub(super) async fn prepare(db: &PgPool, cast: &Cast, market: &Market) -> anyhow::Result<()> {
    let claimed = lease(cast, market).and_then(|lease| {
        let dispute = market.disputes_of(lease.id).next()?;
        Some((lease, dispute))
    });
    let Some((lease, dispute)) = claimed else {
        return Ok(());
    };
    let minute = HOUR_MICROS / HOUR_MINUTES;
    let after = |minutes: i64| dispute.opened_at.0 + minutes * minute;
    let begins = lease.period.start.0;
    let room = Room {
        dispute: dispute.id.0,
        hours: (
            Hour(begins + HOURS.0).begins().0,
            Hour(begins + HOURS.1).begins().0,
        ),
        claimed: (CLAIMED_MINUTES, lease.units),
        claim: CLAIM,
        said: SAID
            .into_iter()
            .map(|(who, minutes, text)| (who, after(minutes), text))
            .collect(),
        proposer: PROPOSER,
        proposed_at: after(PROPOSED_AFTER),
        proposed: (
            PROPOSED_MINUTES,
            lease.units,
            worth(lease, PROPOSED_MINUTES).0,
        ),
        reason: REASON,
    };
    let subject = dispute.id.to_string();
    let mut transaction = db.begin().await?;
    if let Some(proposal) = store::open_room(&mut transaction, room).await? {
        let award = worth(lease, PROPOSED_MINUTES);
        let act = Act {
            what: "propose_ruling",
            subject,
            detail: json!({ "proposal": proposal, "award": award, "reason": REASON }),
        };
        let recorded = acts::record(&mut transaction, &Origin::program(), act).await;
        recorded.context("recording the proposal")?;
        transaction.commit().await?;
    }
    Ok(())
}

/// The lease that the claim is about.
fn lease<'a>(cast: &Cast, market: &'a Market) -> Option<&'a Lease> {
    let name = super::traders::steady_id(Hour(cast.begins.0 + LEASE_AFTER));
    let order = market.order_of(cast.customer, &ClientId(name))?;
    (1..)
        .map_while(|number| market.lease(LeaseId(number)))
        .find(|lease| lease.buy == order)
}

/// What so many minutes of all units of a lease are worth, rounded down.
fn worth(lease: &Lease, minutes: i64) -> Money {
    let worth = lease.price.times(lease.units, minutes) / i128::from(HOUR_MINUTES);
    Money(i64::try_from(worth).unwrap_or(0))
}
