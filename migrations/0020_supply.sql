-- The provider's side: applications for certification, permanent identifiers, simulated hosts, and
-- asks that are paused. Capacity and money stay with the market's tables.

-- One sending of an application is one row; a refused one stays as it was decided, and what is
-- mended is a new row. `reason` is a coded reason of refusal.
CREATE TABLE applications (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant   bigint NOT NULL REFERENCES participants CHECK (participant > 0),
    legal_name    text NOT NULL DEFAULT '' CHECK (char_length(legal_name) <= 120),
    credit_code   text NOT NULL DEFAULT '' CHECK (char_length(credit_code) <= 18),
    contact_name  text NOT NULL DEFAULT '' CHECK (char_length(contact_name) <= 60),
    contact_phone text NOT NULL DEFAULT '' CHECK (char_length(contact_phone) <= 30),
    contact_mail  text NOT NULL DEFAULT '' CHECK (char_length(contact_mail) <= 254),
    region        text NOT NULL DEFAULT '' CHECK (char_length(region) <= 20),
    site_address  text NOT NULL DEFAULT '' CHECK (char_length(site_address) <= 200),
    capacity      text NOT NULL DEFAULT '' CHECK (char_length(capacity) <= 2000),
    state         text NOT NULL DEFAULT 'draft'
                  CHECK (state IN ('draft', 'submitted', 'certified', 'refused')),
    created_at    timestamptz NOT NULL,
    saved_at      timestamptz NOT NULL,
    submitted_at  timestamptz,
    reason        text CHECK (char_length(reason) <= 40),
    note          text CHECK (char_length(note) <= 2000),
    decided_by    bigint REFERENCES users,
    decided_at    timestamptz,
    CHECK ((state = 'draft') = (submitted_at IS NULL)),
    CHECK ((state IN ('certified', 'refused')) = (decided_at IS NOT NULL)),
    CHECK ((decided_by IS NULL) OR (decided_at IS NOT NULL)),
    CHECK ((state = 'refused') = (reason IS NOT NULL))
);
-- A participant has one application that is not refused, so a second certificate can't come about.
CREATE UNIQUE INDEX applications_one ON applications (participant) WHERE state <> 'refused';
CREATE INDEX applications_participant ON applications (participant, id);
CREATE INDEX applications_waiting ON applications (submitted_at) WHERE state = 'submitted';
