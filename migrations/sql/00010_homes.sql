-- Who looked at their Home tab lately, so that it is redrawn when something on it changes; and which finished grants left objects
-- behind, for those who tidy up.

-- +goose Up

CREATE TABLE slack_homes (
    user_id    text        NOT NULL PRIMARY KEY,
    opened_at  timestamptz NOT NULL,
    -- When it was last looked at whether it shows what is stored, and what it then showed.
    checked_at timestamptz NOT NULL,
    shows      text        NOT NULL,
    -- Something changed since; NULL when nothing did.
    stale_at   timestamptz
);
CREATE INDEX slack_homes_opened ON slack_homes (opened_at);
CREATE INDEX slack_homes_stale ON slack_homes (checked_at) WHERE stale_at IS NOT NULL;

CREATE INDEX grants_left_behind ON grants (ended_at DESC) WHERE receipt -> 'leftovers' IS NOT NULL;

-- +goose Down
DROP INDEX grants_left_behind;
DROP TABLE slack_homes;
