-- The demonstration's own rows; none can be where the database is for anything else.

-- From when to when, in market time, it has a past that was run fast before the first page.
CREATE TABLE demonstration (
    purpose  text PRIMARY KEY DEFAULT 'demonstration' CHECK (purpose = 'demonstration')
             REFERENCES purpose (purpose),
    begins   timestamptz NOT NULL,
    opens    timestamptz NOT NULL CHECK (opens >= begins)
);

-- The people whom anyone may sign in as, with their passwords as they are printed at each start.
-- They stand here in plain text because they guard nothing: the money is test money, delivery is
-- simulated, and whoever can read this table can write every other one.
CREATE TABLE demonstration_logins (
    user_id       bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    purpose       text NOT NULL DEFAULT 'demonstration' CHECK (purpose = 'demonstration')
                  REFERENCES purpose (purpose),
    -- Which of the program's list it is.
    place         smallint NOT NULL UNIQUE,
    password      text NOT NULL,
    -- The hash made of it: where the person has another by now, the password is no longer shown.
    password_hash text NOT NULL
);
