-- Names are compared by what they look like: `name_key` and `login_key` are made by the program
-- (src/names.rs). A row that is written without one gets what SQL can make of it.

CREATE FUNCTION plain_key(name text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN lower(normalize(name, NFKC));

ALTER TABLE participants ADD COLUMN name_key text;
UPDATE participants SET name_key = plain_key(name);
ALTER TABLE participants ALTER COLUMN name_key SET NOT NULL;
DROP INDEX participants_name;
CREATE UNIQUE INDEX participants_name ON participants (name_key);

ALTER TABLE users ADD COLUMN login_key text;
UPDATE users SET login_key = plain_key(login);
ALTER TABLE users ALTER COLUMN login_key SET NOT NULL;
DROP INDEX users_login;
-- Who has left frees the name for who comes.
CREATE UNIQUE INDEX users_login ON users (login_key) WHERE removed_at IS NULL;

CREATE FUNCTION keyed_participant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.name_key := coalesce(NEW.name_key, plain_key(NEW.name));
    RETURN NEW;
END $$;
CREATE TRIGGER keyed BEFORE INSERT ON participants
    FOR EACH ROW EXECUTE FUNCTION keyed_participant();

CREATE FUNCTION keyed_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.login_key := coalesce(NEW.login_key, plain_key(NEW.login));
    RETURN NEW;
END $$;
CREATE TRIGGER keyed BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION keyed_user();
