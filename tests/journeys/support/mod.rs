//! What the journeys stand on.

pub(crate) mod app;
pub(crate) mod machine;
pub(crate) mod market;
pub(crate) mod people;
pub(crate) mod postgres;
pub(crate) mod programs;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod visitor;
pub(crate) mod witness;
