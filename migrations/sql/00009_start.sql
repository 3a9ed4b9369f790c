-- Access that begins later than it is asked for, what was typed into the form and not sent, and how long answers take.
-- The previous binary knows no later start. It may go on filing, answering and issuing, but the checks and the trigger below keep
-- it from issuing before the start, and from approving in a way that would lapse before it.

-- +goose Up

ALTER TABLE requests
    ADD COLUMN starts_at  timestamptz,
    ADD COLUMN started_at timestamptz,
    ADD CONSTRAINT requests_start_after_they_are_filed CHECK (starts_at > filed_at),
    ADD CONSTRAINT requests_started_when_they_should CHECK (started_at IS NULL OR (starts_at IS NOT NULL AND started_at >= starts_at)),
    ADD CONSTRAINT requests_approved_outlast_their_start CHECK (state <> 'approved' OR starts_at IS NULL OR lapses_at > starts_at),
    ADD CONSTRAINT requests_broken_glass_starts_at_once CHECK (NOT break_glass OR starts_at IS NULL);

-- +goose StatementBegin
CREATE FUNCTION requests_start_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'request %: when it is to start was agreed to and cannot change', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_start_is_frozen';
END $$;

CREATE FUNCTION grants_wait_for_the_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM requests AS r WHERE r.id = NEW.request_id AND r.starts_at > NEW.intended_at) THEN
        RAISE EXCEPTION 'grant %: its request starts later', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'grants_wait_for_the_start';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER requests_start_is_frozen BEFORE UPDATE OF starts_at ON requests
    FOR EACH ROW WHEN (NEW.starts_at IS DISTINCT FROM OLD.starts_at) EXECUTE FUNCTION requests_start_is_frozen();
CREATE TRIGGER grants_wait_for_the_start BEFORE INSERT ON grants
    FOR EACH ROW EXECUTE FUNCTION grants_wait_for_the_start();

-- Requests by the people who were asked.
CREATE INDEX requests_asked ON requests (md5((decision -> 'approvals')::text), filed_at) WHERE outcome = 'needs-approval';

CREATE TABLE drafts (
    person_id text        NOT NULL PRIMARY KEY,
    -- The window that last wrote it, and when, by Slack's clock: a change that arrives late is not the last one.
    view      text        NOT NULL,
    at        timestamptz NOT NULL,
    -- JSON, which only the bot reads. NULL once it was sent or cleared.
    content   text,
    CONSTRAINT drafts_person_is_given CHECK (person_id <> ''),
    CONSTRAINT drafts_are_small CHECK (octet_length(content) <= 32768)
);
COMMENT ON TABLE drafts IS 'What somebody typed into the form and did not send: at most a day old, one for each person.';
CREATE INDEX drafts_oldest ON drafts (at);

-- +goose Down
DROP TABLE drafts;
DROP INDEX requests_asked;

-- The binary of before would give at once what was agreed to for later.
UPDATE requests SET version = version + 1, state = 'lapsed', ended_at = now()
    WHERE state IN ('pending', 'approved') AND starts_at > now();
DROP TRIGGER grants_wait_for_the_start ON grants;
DROP FUNCTION grants_wait_for_the_start();
DROP TRIGGER requests_start_is_frozen ON requests;
DROP FUNCTION requests_start_is_frozen();
ALTER TABLE requests DROP COLUMN starts_at, DROP COLUMN started_at;
