//! Everything that needs a real PostgreSQL, as one program: one throw-away cluster serves it all.

mod database;
mod embedded;
mod program;
mod replay;
mod sequencer;
mod support;
