-- The append-only record and its hash chain (see package audit).

-- +goose Up

CREATE TABLE audit_events (
    id          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    kind        text        NOT NULL,
    refused     boolean     NOT NULL,
    actor_kind  text        NOT NULL,
    actor_id    text        NOT NULL,
    actor_name  text        NOT NULL,
    actor_email text        NOT NULL,
    source      text        NOT NULL,
    request_id  text        NOT NULL,
    grant_id    text        NOT NULL,
    target      text        NOT NULL,
    profile     text        NOT NULL,
    reason      text        NOT NULL,
    policy      text        NOT NULL,
    rule        text        NOT NULL,
    detail      jsonb,
    -- Open to kinds that a newer binary adds.
    CONSTRAINT audit_events_kind_is_a_word CHECK (kind ~ '^[a-z]+\.[a-z]+$'),
    CONSTRAINT audit_events_actor_is_known CHECK (actor_kind IN ('person', 'system', 'operator') AND actor_id <> ''),
    CONSTRAINT audit_events_detail_is_an_object CHECK (jsonb_typeof(detail) = 'object')
);
CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_kind ON audit_events (kind, id);
CREATE INDEX audit_events_request ON audit_events (request_id, id) WHERE request_id <> '';
CREATE INDEX audit_events_grant ON audit_events (grant_id, id) WHERE grant_id <> '';
CREATE INDEX audit_events_actor ON audit_events (actor_id, id);
CREATE INDEX audit_events_actor_email ON audit_events (lower(actor_email), id) WHERE actor_email <> '';

-- Events that no seal covers yet. A trigger fills it, so that no insert can forget to.
CREATE TABLE audit_unsealed (
    event_id bigint NOT NULL PRIMARY KEY
);

CREATE TABLE audit_seals (
    seq      bigint      NOT NULL PRIMARY KEY,
    event_id bigint      NOT NULL CONSTRAINT audit_seals_one_per_event UNIQUE REFERENCES audit_events (id),
    prev     text        COLLATE "C" NOT NULL CONSTRAINT audit_seals_never_fork UNIQUE,
    hash     text        COLLATE "C" NOT NULL,
    at       timestamptz NOT NULL,
    CONSTRAINT audit_seals_count_from_one CHECK (seq >= 1),
    CONSTRAINT audit_seals_are_hashes CHECK (prev ~ '^[0-9a-f]{64}$' AND hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT audit_seals_start_at_nothing CHECK ((seq = 1) = (prev = repeat('0', 64)))
);

-- +goose StatementBegin
CREATE FUNCTION audit_queue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsealed (event_id) SELECT inserted.id FROM inserted;
    RETURN NULL;
END $$;

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the audit log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd

CREATE TRIGGER audit_queue AFTER INSERT ON audit_events
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION audit_queue();
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
-- Always: replication and session_replication_role = replica do not switch them off.
ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_is_append_only;
ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER audit_is_append_only;

-- +goose Down
DROP TABLE audit_seals;
DROP TABLE audit_unsealed;
DROP TABLE audit_events;
DROP FUNCTION audit_is_append_only();
DROP FUNCTION audit_queue();
