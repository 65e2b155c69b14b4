//! What only a real browser shows, as one program.

mod support;
mod tools;
