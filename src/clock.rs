//! The only place that reads the time: real time for sign-in and security, market time for
//! everything that trades.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use market::Timestamp;

/// Real time.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// An instant of the market as one of the calendar.
pub fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX)
}

/// An instant of the calendar as one of the market; what is finer than a microsecond is dropped.
pub fn stamp(at: jiff::Timestamp) -> Timestamp {
    Timestamp(at.as_microsecond())
}

/// Market time: real time at speed 1, else as many times as fast from a stored origin.
#[derive(Clone, Debug)]
pub struct MarketClock(Arc<Source>);

#[derive(Debug)]
enum Source {
    Running {
        wall: Timestamp,
        market: Timestamp,
        speed: i64,
    },
    Set(AtomicI64),
}

impl MarketClock {
    /// A clock that stood at `market` when real time was `wall`, and runs `speed` times as fast.
    pub fn running(wall: Timestamp, market: Timestamp, speed: i64) -> Self {
        Self(Arc::new(Source::Running {
            wall,
            market,
            speed,
        }))
    }

    /// A clock that stands until it is set: for the replay and for tests.
    pub fn set_to(at: Timestamp) -> Self {
        Self(Arc::new(Source::Set(AtomicI64::new(at.0))))
    }

    /// Market time now.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::Running {
                wall: origin,
                market,
                speed,
            } => {
                let gone = stamp(wall()).0.saturating_sub(origin.0).max(0);
                Timestamp(market.0.saturating_add(gone.saturating_mul(*speed)))
            }
            Source::Set(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// How many seconds of market time pass in a real one; 0 for a clock that stands.
    pub fn speed(&self) -> i64 {
        match &*self.0 {
            Source::Running { speed, .. } => *speed,
            Source::Set(_) => 0,
        }
    }

    /// How long a minute of market time lasts in real time, at least a second: how often to look at
    /// what goes by minutes. A clock that stands may be set at any moment.
    pub fn minute(&self) -> Duration {
        let speed = u32::try_from(self.speed()).unwrap_or(u32::MAX);
        let minute = Duration::from_secs(60).checked_div(speed);
        minute.unwrap_or_default().max(Duration::from_secs(1))
    }

    /// Moves a clock that stands; never back. A running one goes on as it does.
    pub fn set(&self, to: Timestamp) {
        if let Source::Set(at) = &*self.0 {
            at.fetch_max(to.0, Ordering::SeqCst);
        }
    }
}

/// Market time as far as the tables tell, for a program beside a server or without one: real time
/// at speed 1, else that of the last command.
///
/// # Errors
/// When the database does not answer.
pub async fn market_now(db: impl sqlx::PgExecutor<'_>) -> Result<jiff::Timestamp, sqlx::Error> {
    let last: Option<jiff_sqlx::Timestamp> = sqlx::query_scalar(
        "SELECT e.at FROM market_clock c CROSS JOIN engine e
         WHERE c.speed <> 1 AND e.at IS NOT NULL",
    )
    .fetch_optional(db)
    .await?;
    Ok(last.map_or_else(wall, jiff_sqlx::Timestamp::to_jiff))
}

/// The market's clock as it is stored, going on from the last command.
///
/// At speed 1 it is real time. At any other it stood still while nobody served: what was to be
/// delivered in the meantime is delivered when it runs again.
///
/// # Errors
/// When the database does not answer.
pub async fn resume(db: &sqlx::PgPool, speed: i64) -> Result<MarketClock, sqlx::Error> {
    let now = wall();
    let last: Option<jiff_sqlx::Timestamp> = sqlx::query_scalar("SELECT at FROM engine")
        .fetch_optional(db)
        .await?
        .flatten();
    let last = last.map(jiff_sqlx::Timestamp::to_jiff);
    let market = match last {
        Some(last) if speed != 1 || last > now => last,
        _ => now,
    };
    sqlx::query(
        "INSERT INTO market_clock (wall_at, market_at, speed) VALUES ($1, $2, $3)
             ON CONFLICT (one) DO UPDATE
            SET wall_at = EXCLUDED.wall_at, market_at = EXCLUDED.market_at,
                speed = EXCLUDED.speed",
    )
    .bind(jiff_sqlx::Timestamp::from(now))
    .bind(jiff_sqlx::Timestamp::from(market))
    .bind(speed)
    .execute(db)
    .await?;
    Ok(MarketClock::running(stamp(now), stamp(market), speed))
}
