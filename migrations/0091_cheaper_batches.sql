-- What a batch costs. A foreign key is a query and a row lock for each row, and together they were
-- a quarter of a batch. These tables have one writer, which takes the numbers from one market, and
-- nothing can be taken out of what they refer to; `sluice audit` looks for what refers to nothing.
ALTER TABLE orders DROP CONSTRAINT orders_command_fkey, DROP CONSTRAINT orders_pool_fkey,
    DROP CONSTRAINT orders_resold_fkey;
ALTER TABLE trades DROP CONSTRAINT trades_command_fkey, DROP CONSTRAINT trades_buy_fkey,
    DROP CONSTRAINT trades_sell_fkey, DROP CONSTRAINT trades_pool_fkey;
ALTER TABLE leases DROP CONSTRAINT leases_id_fkey, DROP CONSTRAINT leases_parent_fkey;
ALTER TABLE settlements DROP CONSTRAINT settlements_lease_fkey,
    DROP CONSTRAINT settlements_command_fkey;
ALTER TABLE journal_entries DROP CONSTRAINT journal_entries_command_fkey;
ALTER TABLE postings DROP CONSTRAINT postings_entry_fkey;

-- A subject has few entries of any reason: its number alone finds them.
DROP INDEX journal_entries_subject;
CREATE INDEX journal_entries_subject ON journal_entries (subject);
-- Codes and names that clients choose are compared as bytes.
ALTER TABLE journal_entries ALTER COLUMN reason TYPE text COLLATE "C";
ALTER TABLE orders ALTER COLUMN client_id TYPE text COLLATE "C";

-- Room in the page for rows that every batch writes anew.
ALTER TABLE balances SET (fillfactor = 50);
-- Compressing what is read once, if ever, costs more than its bytes.
ALTER TABLE outbox ALTER COLUMN news SET STORAGE EXTERNAL;
