//! Sluice 算渠: a marketplace where computing power is bought by the hour.

pub mod audit;
pub mod clock;
pub mod feed;
pub mod sequencer;
