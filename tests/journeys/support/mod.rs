//! What the journeys stand on.

pub(crate) mod postgres;
