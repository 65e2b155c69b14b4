//! Sluice 算渠: a marketplace where computing power is bought by the hour.
