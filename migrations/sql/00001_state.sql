-- What prodaccess knows: who asked for what, who answered, and which logins exist because of it.
-- States are text with a named CHECK rather than enums, so that a later migration can widen them in one transaction
-- while the previous binary is still running.

-- +goose Up

CREATE TABLE installation (
    only_row boolean     NOT NULL DEFAULT true PRIMARY KEY CONSTRAINT installation_has_one_row CHECK (only_row),
    id       text        NOT NULL CONSTRAINT installation_id_fits_a_stamp CHECK (id ~ '^[a-z0-9]{8,32}$'),
    made_at  timestamptz NOT NULL
);
COMMENT ON TABLE installation IS 'The identity this store stamps on the logins it makes. Never changes.';
INSERT INTO installation (id, made_at) VALUES (left(replace(gen_random_uuid()::text, '-', ''), 20), now());

CREATE TABLE policies (
    hash       text        NOT NULL PRIMARY KEY,
    source     bytea       NOT NULL,
    first_used timestamptz NOT NULL,
    CONSTRAINT policies_hash_is_of_the_source CHECK (hash = encode(sha256(source), 'hex'))
);
COMMENT ON TABLE policies IS 'Every policy that ever decided, so that a decision can be read beside what decided it.';

CREATE TABLE requests (
    id              text        NOT NULL PRIMARY KEY,
    key             text        NOT NULL CONSTRAINT requests_delivery_files_once UNIQUE,
    state           text        NOT NULL,
    version         bigint      NOT NULL,
    requester_id    text        NOT NULL,
    requester_name  text        NOT NULL,
    requester_email text        NOT NULL,
    requester_zone  text        NOT NULL,
    target          text        NOT NULL,
    engine          text        NOT NULL,
    profile         text        NOT NULL,
    duration        interval    NOT NULL,
    ticket          text        NOT NULL,
    reason          text        NOT NULL,
    params          jsonb       NOT NULL,
    source          text        NOT NULL,
    outcome         text        NOT NULL,
    policy          text        REFERENCES policies (hash),
    decision        jsonb       NOT NULL,
    filed_at        timestamptz NOT NULL,
    lapses_at       timestamptz,
    approved_at     timestamptz,
    ended_at        timestamptz,
    ended_by_id     text,
    ended_by_name   text,
    ended_by_email  text,
    ended_by_zone   text,
    answer          text        NOT NULL,

    CONSTRAINT requests_id_is_plain CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
    CONSTRAINT requests_key_is_given CHECK (key <> ''),
    CONSTRAINT requests_requester_is_given CHECK (requester_id <> ''),
    CONSTRAINT requests_state_is_known
        CHECK (state IN ('pending', 'approved', 'activated', 'denied', 'cancelled', 'lapsed')),
    CONSTRAINT requests_outcome_is_known CHECK (outcome IN ('denied', 'approved', 'needs-approval')),
    CONSTRAINT requests_outcome_is_the_decision CHECK (decision ->> 'outcome' = outcome),
    CONSTRAINT requests_version_is_positive CHECK (version >= 1),
    CONSTRAINT requests_params_are_an_object CHECK (jsonb_typeof(params) = 'object'),
    CONSTRAINT requests_denied_by_policy_stay_denied CHECK (outcome <> 'denied' OR state = 'denied'),
    CONSTRAINT requests_pending_need_approval CHECK (state <> 'pending' OR outcome = 'needs-approval'),
    CONSTRAINT requests_not_denied_last_some_time CHECK (state = 'denied' OR duration > interval '0'),
    CONSTRAINT requests_open_ones_lapse CHECK (state NOT IN ('pending', 'approved') OR lapses_at IS NOT NULL),
    CONSTRAINT requests_approved_say_when
        CHECK (CASE state WHEN 'pending' THEN approved_at IS NULL
                          WHEN 'approved' THEN approved_at IS NOT NULL
                          WHEN 'activated' THEN approved_at IS NOT NULL
                          ELSE true END),
    CONSTRAINT requests_final_say_when
        CHECK ((state IN ('denied', 'cancelled', 'lapsed')) = (ended_at IS NOT NULL)),
    CONSTRAINT requests_ended_by_needs_an_end CHECK (ended_by_id IS NULL OR ended_at IS NOT NULL),
    CONSTRAINT requests_cancelled_say_by_whom CHECK (state <> 'cancelled' OR ended_by_id IS NOT NULL),
    CONSTRAINT requests_lapsed_by_nobody CHECK (state <> 'lapsed' OR ended_by_id IS NULL),
    CONSTRAINT requests_nobody_denies_their_own
        CHECK (state <> 'denied' OR ended_by_id IS NULL OR ended_by_id <> requester_id),
    CONSTRAINT requests_ended_by_is_whole
        CHECK (num_nulls(ended_by_id, ended_by_name, ended_by_email, ended_by_zone) IN (0, 4)),
    -- What approvals and grants refer to, so that they can be compared with the requester.
    CONSTRAINT requests_with_requester UNIQUE (id, requester_id)
);
CREATE INDEX requests_newest ON requests (filed_at DESC, id DESC);
CREATE INDEX requests_of_a_person ON requests (requester_id, filed_at DESC, id DESC);
-- Activated is no open state: nearly every request ends in it.
CREATE INDEX requests_open ON requests (filed_at DESC, id DESC) WHERE state IN ('pending', 'approved');
CREATE INDEX requests_when ON requests USING brin (approved_at, ended_at);

-- +goose StatementBegin
CREATE FUNCTION requests_only_go_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'request %: version % cannot follow %', OLD.id, NEW.version, OLD.version
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_version_counts';
    END IF;
    IF (NEW.id, NEW.key, NEW.requester_id, NEW.requester_email, NEW.filed_at, NEW.outcome, NEW.source)
        IS DISTINCT FROM (OLD.id, OLD.key, OLD.requester_id, OLD.requester_email, OLD.filed_at, OLD.outcome, OLD.source) THEN
        RAISE EXCEPTION 'request %: who asked, when and through what cannot change', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_origin_is_frozen';
    END IF;
    IF NEW.state <> OLD.state AND NOT (CASE OLD.state
            WHEN 'pending' THEN NEW.state IN ('approved', 'denied', 'cancelled', 'lapsed')
            WHEN 'approved' THEN NEW.state IN ('activated', 'denied', 'cancelled', 'lapsed')
            WHEN 'activated' THEN NEW.state IN ('approved', 'lapsed', 'cancelled')
            ELSE false END) THEN
        RAISE EXCEPTION 'request %: % cannot follow %', OLD.id, NEW.state, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_states_follow';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER requests_only_go_forward BEFORE UPDATE ON requests
    FOR EACH ROW EXECUTE FUNCTION requests_only_go_forward();

CREATE TABLE approvals (
    request_id   text        NOT NULL,
    requester_id text        NOT NULL,
    -- The order in which they came, which two clocks could get wrong.
    place        bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    by_id        text        NOT NULL,
    by_name      text        NOT NULL,
    by_email     text        NOT NULL,
    by_zone      text        NOT NULL,
    verdict      text        NOT NULL,
    reason       text        NOT NULL,
    at           timestamptz NOT NULL,
    fills        integer[]   NOT NULL,
    CONSTRAINT approvals_one_per_human PRIMARY KEY (request_id, by_id),
    CONSTRAINT approvals_belong_to_a_request
        FOREIGN KEY (request_id, requester_id) REFERENCES requests (id, requester_id),
    CONSTRAINT approvals_are_not_ones_own CHECK (by_id <> requester_id AND by_id <> ''),
    CONSTRAINT approvals_verdict_is_known CHECK (verdict IN ('yes', 'no'))
);
CREATE UNIQUE INDEX approvals_one_per_address ON approvals (request_id, lower(by_email)) WHERE by_email <> '';
CREATE INDEX approvals_when ON approvals USING brin (at);

CREATE TABLE grants (
    id               text        NOT NULL PRIMARY KEY,
    request_id       text        NOT NULL,
    -- Which try of its request it is, in order; the last one is what a card shows.
    place            bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    state            text        NOT NULL,
    version          bigint      NOT NULL,
    holder_id        text        NOT NULL,
    holder_name      text        NOT NULL,
    holder_email     text        NOT NULL,
    target           text        NOT NULL,
    engine           text        NOT NULL,
    database         text        NOT NULL,
    fingerprint      text        NOT NULL,
    profile          text        NOT NULL,
    profile_version  text        NOT NULL,
    access_role      text        NOT NULL,
    login            text        NOT NULL CONSTRAINT grants_login_is_never_used_again UNIQUE,
    login_oid        bigint,
    connection_limit integer     NOT NULL,
    statement_timeout_ms bigint  NOT NULL DEFAULT 0,
    intended_at      timestamptz NOT NULL,
    deadline         timestamptz NOT NULL,
    not_after        timestamptz,
    issued_at        timestamptz,
    shown_at         timestamptz,
    ending_at        timestamptz,
    secured_at       timestamptz,
    ended_at         timestamptz,
    cause            text,
    ended_by_kind    text,
    ended_by_id      text,
    ended_by_name    text,
    ended_by_email   text,
    note             text        NOT NULL,
    attempts         integer     NOT NULL,
    last_error       text        NOT NULL,
    alarmed_at       timestamptz,
    receipt          jsonb,

    CONSTRAINT grants_id_fits_a_login CHECK (id ~ '^[a-z0-9]{1,27}$'),
    CONSTRAINT grants_go_to_the_requester
        FOREIGN KEY (request_id, holder_id) REFERENCES requests (id, requester_id),
    CONSTRAINT grants_state_is_known CHECK (state IN ('provisioning', 'active', 'revoking', 'cleanup', 'revoked')),
    CONSTRAINT grants_version_is_positive CHECK (version >= 1),
    CONSTRAINT grants_login_is_plain CHECK (login ~ '^pa_[a-z0-9_]{1,60}$'),
    CONSTRAINT grants_oid_is_an_oid CHECK (login_oid BETWEEN 1 AND 4294967295),
    CONSTRAINT grants_deadline_comes_after_intent CHECK (deadline > intended_at),
    CONSTRAINT grants_deadline_within_the_shift CHECK (deadline <= not_after),
    CONSTRAINT grants_provisioning_know_no_login
        CHECK (state <> 'provisioning' OR (issued_at IS NULL AND login_oid IS NULL AND shown_at IS NULL)),
    CONSTRAINT grants_active_were_issued
        CHECK (state <> 'active' OR (issued_at IS NOT NULL AND (engine <> 'postgres' OR login_oid IS NOT NULL))),
    CONSTRAINT grants_ending_say_when CHECK ((state IN ('revoking', 'cleanup', 'revoked')) = (ending_at IS NOT NULL)),
    CONSTRAINT grants_ending_say_why CHECK ((ending_at IS NOT NULL) = (cause IS NOT NULL)),
    CONSTRAINT grants_cause_is_known CHECK (cause IN ('expired', 'released', 'revoked', 'failed', 'missing')),
    CONSTRAINT grants_secured_say_when CHECK ((state IN ('cleanup', 'revoked')) = (secured_at IS NOT NULL)),
    CONSTRAINT grants_revoked_say_when CHECK ((state = 'revoked') = (ended_at IS NOT NULL)),
    CONSTRAINT grants_revoked_have_a_receipt CHECK (state <> 'revoked' OR receipt IS NOT NULL),
    CONSTRAINT grants_live_have_no_receipt CHECK (state NOT IN ('provisioning', 'active') OR receipt IS NULL),
    CONSTRAINT grants_ended_by_is_whole
        CHECK (num_nulls(ended_by_kind, ended_by_id, ended_by_name, ended_by_email) IN (0, 4)),
    CONSTRAINT grants_statement_timeout_is_a_time CHECK (statement_timeout_ms >= 0),
    CONSTRAINT grants_attempts_are_counted CHECK (attempts >= 0)
);
CREATE UNIQUE INDEX grants_one_live_per_request ON grants (request_id) WHERE state IN ('provisioning', 'active');
CREATE INDEX grants_of_a_request ON grants (request_id, place DESC);
CREATE INDEX grants_deadlines ON grants (deadline) WHERE state IN ('provisioning', 'active');
CREATE INDEX grants_unfinished ON grants (target, place) WHERE state <> 'revoked';
CREATE INDEX grants_unsecured ON grants (LEAST(deadline, ending_at))
    WHERE state IN ('provisioning', 'active', 'revoking');
CREATE INDEX grants_when ON grants USING brin (issued_at, ending_at);

-- +goose StatementBegin
CREATE FUNCTION grants_only_go_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'grant %: version % cannot follow %', OLD.id, NEW.version, OLD.version
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'grants_version_counts';
    END IF;
    IF (NEW.id, NEW.request_id, NEW.holder_id, NEW.holder_email, NEW.target, NEW.engine, NEW.database, NEW.fingerprint,
            NEW.profile, NEW.profile_version, NEW.access_role, NEW.login, NEW.intended_at)
        IS DISTINCT FROM (OLD.id, OLD.request_id, OLD.holder_id, OLD.holder_email, OLD.target, OLD.engine, OLD.database,
            OLD.fingerprint, OLD.profile, OLD.profile_version, OLD.access_role, OLD.login, OLD.intended_at)
        OR (OLD.login_oid IS NOT NULL AND NEW.login_oid IS DISTINCT FROM OLD.login_oid) THEN
        RAISE EXCEPTION 'grant %: what it was issued against cannot change', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'grants_origin_is_frozen';
    END IF;
    IF NEW.state <> OLD.state AND NOT (CASE OLD.state
            WHEN 'provisioning' THEN NEW.state IN ('active', 'revoking')
            WHEN 'active' THEN NEW.state = 'revoking'
            WHEN 'revoking' THEN NEW.state IN ('cleanup', 'revoked')
            WHEN 'cleanup' THEN NEW.state = 'revoked'
            ELSE false END) THEN
        RAISE EXCEPTION 'grant %: % cannot follow %', OLD.id, NEW.state, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'grants_states_follow';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER grants_only_go_forward BEFORE UPDATE ON grants
    FOR EACH ROW EXECUTE FUNCTION grants_only_go_forward();

-- +goose Down
DROP TABLE grants;
DROP FUNCTION grants_only_go_forward();
DROP TABLE approvals;
DROP TABLE requests;
DROP FUNCTION requests_only_go_forward();
DROP TABLE policies;
DROP TABLE installation;
