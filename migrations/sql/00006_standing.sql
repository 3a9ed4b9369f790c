-- Logins that reach data on targets and that no grant explains, as the last survey of each target found them.

-- +goose Up

CREATE TABLE standing_logins (
    target     text        NOT NULL,
    login      text        NOT NULL,
    power      text        NOT NULL,
    why        text[]      NOT NULL,
    -- The first survey that found it since it was last gone, and the last one.
    since      timestamptz NOT NULL,
    surveyed   timestamptz NOT NULL,
    -- When power or why last changed.
    changed    timestamptz NOT NULL,
    -- The last survey that found a session of it.
    connected  timestamptz,
    -- The first survey that did not find it any more.
    gone       timestamptz,
    CONSTRAINT standing_logins_are_known_once PRIMARY KEY (target, login),
    CONSTRAINT standing_logins_power_is_known CHECK (power IN ('superuser', 'administrator', 'owner', 'writer', 'reader')),
    CONSTRAINT standing_logins_change_while_there CHECK (changed >= since AND surveyed >= since),
    CONSTRAINT standing_logins_go_after_they_came CHECK (gone IS NULL OR gone > surveyed)
);

-- +goose Down
DROP TABLE standing_logins;
