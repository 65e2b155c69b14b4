//! Vantages: what the exchange's own places of probing ask (docs/PROTOCOL.md, "Vantages"). Each
//! request is signed.

pub mod api;
