-- A bid may want fewer hours than its period has: how many.
ALTER TABLE orders ADD COLUMN duration bigint CHECK (duration > 0);
