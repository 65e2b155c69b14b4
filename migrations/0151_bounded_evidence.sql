-- What machines say is bounded by what can be true of it.

-- Of a minute an agent tells one story; a second one shows that it lies, and more show no more.
ALTER TABLE readings ADD COLUMN story smallint NOT NULL DEFAULT 0;
UPDATE readings r SET story = least(ranked.place, 2)
FROM (SELECT stay, agent, minute, hash,
             row_number() OVER (PARTITION BY stay, agent, minute ORDER BY hash) - 1 AS place
      FROM readings) ranked
WHERE r.minute = ranked.minute AND r.stay = ranked.stay AND r.agent = ranked.agent
  AND r.hash = ranked.hash AND ranked.place > 0;
DELETE FROM readings WHERE story > 1;
ALTER TABLE readings DROP CONSTRAINT readings_pkey;
ALTER TABLE readings ADD CONSTRAINT readings_story CHECK (story IN (0, 1));
ALTER TABLE readings ADD PRIMARY KEY (stay, agent, minute, story);

-- From when on an agent speaks of its machine, in the market's time: of what was before it, the one
-- before it has said what there was to say.
ALTER TABLE agents ADD COLUMN speaks_from timestamptz;

-- Until when a vantage counts, in the market's time: what it said before stands.
ALTER TABLE vantages ADD COLUMN until_at timestamptz;
