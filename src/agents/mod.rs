//! Agents: what programs on providers' machines ask (docs/PROTOCOL.md, "The agent"). Each request is
//! signed; what a machine says is believed as far as probes leave it standing.

pub mod api;
