-- How soon a pool's units can be used: of one whose units have to be prepared nothing is sold within
-- the rules' gate. Every pool before was sold without.
ALTER TABLE pools ADD COLUMN access text COLLATE "C" NOT NULL DEFAULT 'instant'
    CHECK (access IN ('instant', 'prepared'));
