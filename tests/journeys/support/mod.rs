//! What the journeys stand on.

pub(crate) mod market;
pub(crate) mod postgres;
