//! The shell round the areas.

pub mod assets;
