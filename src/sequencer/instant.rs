//! The market's instants as PostgreSQL keeps them.

use std::error::Error;

use market::Timestamp;
use tokio_postgres::types::{
    FromSql, IsNull, ToSql, Type, accepts, private::BytesMut, to_sql_checked,
};

/// An instant as PostgreSQL's `timestamptz`, to the microsecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instant(pub(super) Timestamp);

/// Microseconds from 1970 to 2000, where PostgreSQL counts from.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl ToSql for Instant {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let micros = self
            .0
            .0
            .checked_sub(POSTGRES_EPOCH)
            .ok_or("an instant out of range")?;
        out.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Instant {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Timestamp(
            micros
                .checked_add(POSTGRES_EPOCH)
                .ok_or("an instant out of range")?,
        )))
    }

    accepts!(TIMESTAMPTZ);
}
