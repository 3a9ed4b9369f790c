-- What was posted to Slack (see package outbox), and which digests were claimed.

-- +goose Up

CREATE TABLE slack_messages (
    key            text        NOT NULL PRIMARY KEY,
    channel        text        NOT NULL,
    ts             text        NOT NULL,
    version        bigint      NOT NULL,
    first_tried_at timestamptz NOT NULL,
    claims         integer     NOT NULL CONSTRAINT slack_messages_were_claimed CHECK (claims >= 1),
    claim          text,
    claimed_until  timestamptz,
    gone_why       text,
    CONSTRAINT slack_messages_posted_have_an_address CHECK (ts = '' OR channel <> ''),
    CONSTRAINT slack_messages_unposted_show_nothing CHECK (version >= 0 AND (ts <> '' OR version = 0)),
    CONSTRAINT slack_messages_claims_end CHECK ((claim IS NULL) = (claimed_until IS NULL)),
    CONSTRAINT slack_messages_gone_are_left_alone CHECK (gone_why IS NULL OR claim IS NULL)
);

CREATE TABLE digests (
    due        timestamptz NOT NULL CONSTRAINT digests_happen_once PRIMARY KEY,
    claimed_at timestamptz NOT NULL
);

-- +goose Down
DROP TABLE digests;
DROP TABLE slack_messages;
