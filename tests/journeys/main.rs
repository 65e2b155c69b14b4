//! Everything that needs a real PostgreSQL, as one program: one throw-away cluster serves it all.

mod buy_and_run;
mod containers;
mod database;
mod demonstration;
mod dispute_rooms;
mod deposits;
mod disputes;
mod doors;
mod embedded;
mod kept;
mod keys;
mod ledger;
mod live;
mod lives;
mod matrix;
mod members;
mod oversight;
mod program;
mod replay;
mod second_factor;
mod sequencer;
mod sign_in;
mod support;
mod ticket;
