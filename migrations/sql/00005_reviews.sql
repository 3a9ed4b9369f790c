-- Approvals to the full (less than was asked for, taken back, reminded of, escalated) and broken glass with its review.
-- The previous binary knows none of it. It may go on filing, answering and issuing, but the triggers below keep it from
-- counting an answer that was taken back, and from giving more than was agreed to.

-- +goose Up

ALTER TABLE requests
    ADD COLUMN break_glass   boolean NOT NULL DEFAULT false,
    ADD COLUMN less_duration interval,
    ADD COLUMN less_profile  text,
    ADD COLUMN reminders     integer NOT NULL DEFAULT 0,
    ADD COLUMN escalated     integer NOT NULL DEFAULT 0,
    ADD COLUMN escalated_at  timestamptz,
    ADD CONSTRAINT requests_broken_glass_asks_nobody
        CHECK (NOT break_glass OR (state <> 'pending' AND outcome <> 'needs-approval')),
    ADD CONSTRAINT requests_less_is_no_longer CHECK (less_duration > interval '0' AND less_duration <= duration),
    ADD CONSTRAINT requests_less_names_a_profile CHECK (less_profile <> ''),
    ADD CONSTRAINT requests_reminders_are_counted CHECK (reminders >= 0),
    ADD CONSTRAINT requests_escalated_say_when
        CHECK (escalated >= 0 AND (escalated > 0) = (escalated_at IS NOT NULL));

-- +goose StatementBegin
CREATE FUNCTION requests_break_glass_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'request %: whether glass was broken cannot change', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_break_glass_is_frozen';
END $$;

CREATE FUNCTION requests_agreed_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.reminders < OLD.reminders OR NEW.escalated < OLD.escalated THEN
        RAISE EXCEPTION 'request %: what was sent cannot be uncounted', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_sent_is_sent';
    END IF;
    -- Once the quorum is met, wider access than people agreed to would be approved by nobody.
    IF OLD.state <> 'pending'
        AND (NEW.less_duration, NEW.less_profile) IS DISTINCT FROM (OLD.less_duration, OLD.less_profile) THEN
        RAISE EXCEPTION 'request %: what was agreed to cannot change', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_agreed_is_kept';
    END IF;
    RETURN NEW;
END $$;

-- Looks when everything of the transaction is written: the state changes before the last answer is there.
CREATE FUNCTION requests_approved_by_enough() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    needed bigint;
    given  bigint;
BEGIN
    SELECT coalesce(sum(required::integer), 0) INTO needed
    FROM jsonb_path_query(NEW.decision, '$.approvals[*].count') AS required;
    SELECT count(*) INTO given
    FROM approvals AS a WHERE a.request_id = NEW.id AND a.verdict = 'yes' AND a.withdrawn_at IS NULL;
    IF given < needed THEN
        RAISE EXCEPTION 'request %: % of % approvals stand', NEW.id, given, needed
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_approved_by_enough';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION requests_broken_glass_is_reviewed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM reviews AS v WHERE v.request_id = NEW.id) THEN
        RAISE EXCEPTION 'request %: broken glass without a review', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_broken_glass_is_reviewed';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER requests_break_glass_is_frozen BEFORE UPDATE OF break_glass ON requests
    FOR EACH ROW WHEN (NEW.break_glass IS DISTINCT FROM OLD.break_glass) EXECUTE FUNCTION requests_break_glass_is_frozen();
CREATE TRIGGER requests_agreed_is_kept BEFORE UPDATE OF reminders, escalated, less_duration, less_profile ON requests
    FOR EACH ROW WHEN ((NEW.reminders, NEW.escalated, NEW.less_duration, NEW.less_profile)
        IS DISTINCT FROM (OLD.reminders, OLD.escalated, OLD.less_duration, OLD.less_profile))
    EXECUTE FUNCTION requests_agreed_is_kept();
CREATE CONSTRAINT TRIGGER requests_approved_by_enough AFTER UPDATE ON requests DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.state = 'pending' AND NEW.state = 'approved') EXECUTE FUNCTION requests_approved_by_enough();
CREATE CONSTRAINT TRIGGER requests_broken_glass_is_reviewed AFTER INSERT ON requests DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.break_glass AND NEW.outcome = 'approved') EXECUTE FUNCTION requests_broken_glass_is_reviewed();

-- Somebody who took their answer back may answer again, so one human has one answer that stands, and any number that
-- were taken back. The previous binary only ever adds answers, and names no constraint when it does.
ALTER TABLE approvals
    ADD COLUMN withdrawn_at  timestamptz,
    ADD COLUMN less_duration interval,
    ADD COLUMN less_profile  text,
    DROP CONSTRAINT approvals_one_per_human,
    ADD CONSTRAINT approvals_have_a_place PRIMARY KEY (place),
    ADD CONSTRAINT approvals_no_is_final CHECK (withdrawn_at IS NULL OR verdict = 'yes'),
    ADD CONSTRAINT approvals_no_is_to_everything
        CHECK (verdict = 'yes' OR (less_duration IS NULL AND less_profile IS NULL)),
    ADD CONSTRAINT approvals_less_is_something CHECK (less_duration > interval '0' AND less_profile <> '');
DROP INDEX approvals_one_per_address;
CREATE UNIQUE INDEX approvals_one_per_human ON approvals (request_id, by_id) WHERE withdrawn_at IS NULL;
CREATE UNIQUE INDEX approvals_one_per_address ON approvals (request_id, lower(by_email))
    WHERE by_email <> '' AND withdrawn_at IS NULL;
CREATE INDEX approvals_of_a_request ON approvals (request_id, place);
CREATE INDEX approvals_withdrawn ON approvals (withdrawn_at) WHERE withdrawn_at IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION approvals_only_get_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.withdrawn_at IS NOT NULL OR NEW.withdrawn_at IS NULL
        OR (NEW.request_id, NEW.requester_id, NEW.place, NEW.by_id, NEW.by_name, NEW.by_email, NEW.by_zone, NEW.verdict,
            NEW.reason, NEW.at, NEW.fills, NEW.less_duration, NEW.less_profile)
        IS DISTINCT FROM (OLD.request_id, OLD.requester_id, OLD.place, OLD.by_id, OLD.by_name, OLD.by_email, OLD.by_zone,
            OLD.verdict, OLD.reason, OLD.at, OLD.fills, OLD.less_duration, OLD.less_profile) THEN
        RAISE EXCEPTION 'request %: an answer can be taken back once, and nothing else', OLD.request_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'approvals_only_get_withdrawn';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM requests AS r WHERE r.id = OLD.request_id AND r.state = 'pending') THEN
        RAISE EXCEPTION 'request %: it is too late to take an answer back', OLD.request_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'approvals_withdrawn_while_pending';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER approvals_only_get_withdrawn BEFORE UPDATE ON approvals
    FOR EACH ROW EXECUTE FUNCTION approvals_only_get_withdrawn();

CREATE TABLE reviews (
    request_id      text        NOT NULL PRIMARY KEY,
    requester_id    text        NOT NULL,
    opened_at       timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    reminders       integer     NOT NULL DEFAULT 0,
    escalated_at    timestamptz,
    closed_at       timestamptz,
    closed_by_id    text,
    closed_by_name  text,
    closed_by_email text,
    closed_by_zone  text,
    verdict         text,
    note            text        NOT NULL DEFAULT '',
    CONSTRAINT reviews_belong_to_a_request
        FOREIGN KEY (request_id, requester_id) REFERENCES requests (id, requester_id),
    CONSTRAINT reviews_are_due_later CHECK (due_at > opened_at),
    CONSTRAINT reviews_reminders_are_counted CHECK (reminders >= 0),
    CONSTRAINT reviews_verdict_is_known CHECK (verdict IN ('justified', 'not-justified', 'unused')),
    CONSTRAINT reviews_closed_say_how CHECK ((closed_at IS NOT NULL) = (verdict IS NOT NULL)),
    CONSTRAINT reviews_closed_by_is_whole
        CHECK (num_nulls(closed_by_id, closed_by_name, closed_by_email, closed_by_zone) IN (0, 4)),
    -- What nobody used closes by itself; a finding is somebody's.
    CONSTRAINT reviews_findings_are_somebodys
        CHECK ((coalesce(verdict, 'unused') <> 'unused') = (closed_by_id IS NOT NULL)),
    CONSTRAINT reviews_nobody_closes_their_own CHECK (closed_by_id <> requester_id AND closed_by_id <> ''),
    CONSTRAINT reviews_findings_say_why CHECK (closed_by_id IS NULL OR note <> '')
);
CREATE UNIQUE INDEX reviews_one_open_per_person ON reviews (requester_id) WHERE closed_at IS NULL;
CREATE INDEX reviews_open ON reviews (due_at) WHERE closed_at IS NULL;
CREATE INDEX reviews_closed ON reviews (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX reviews_opened ON reviews (opened_at);

-- +goose StatementBegin
CREATE FUNCTION reviews_only_go_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.closed_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM requests AS r WHERE r.id = NEW.request_id AND r.break_glass) THEN
            RAISE EXCEPTION 'request %: only broken glass gets a review, an open one', NEW.request_id
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reviews_are_of_broken_glass';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.closed_at IS NOT NULL OR NEW.reminders < OLD.reminders
        OR (OLD.escalated_at IS NOT NULL AND NEW.escalated_at IS DISTINCT FROM OLD.escalated_at) THEN
        RAISE EXCEPTION 'request %: its review only goes forward', OLD.request_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reviews_only_go_forward';
    END IF;
    IF (NEW.request_id, NEW.requester_id, NEW.opened_at, NEW.due_at)
        IS DISTINCT FROM (OLD.request_id, OLD.requester_id, OLD.opened_at, OLD.due_at) THEN
        RAISE EXCEPTION 'request %: what its review is of, and until when, cannot change', OLD.request_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reviews_origin_is_frozen';
    END IF;
    IF NEW.closed_at IS NOT NULL AND NEW.verdict = 'unused'
        AND EXISTS (SELECT 1 FROM grants AS g WHERE g.request_id = NEW.request_id AND g.shown_at IS NOT NULL) THEN
        RAISE EXCEPTION 'request %: access was taken, so somebody has to look', OLD.request_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reviews_unused_were_not_taken';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER reviews_only_go_forward BEFORE INSERT OR UPDATE ON reviews
    FOR EACH ROW EXECUTE FUNCTION reviews_only_go_forward();

ALTER TABLE grants
    ADD COLUMN params     jsonb   NOT NULL DEFAULT '[]' CONSTRAINT grants_params_are_a_list CHECK (jsonb_typeof(params) = 'array'),
    ADD COLUMN extensions integer NOT NULL DEFAULT 0 CONSTRAINT grants_extensions_are_counted CHECK (extensions >= 0);

-- +goose StatementBegin
CREATE FUNCTION grants_params_are_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'grant %: the values it was made with cannot change', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'grants_params_are_frozen';
END $$;

CREATE FUNCTION grants_extensions_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'grant %: an extension cannot be uncounted', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'grants_extensions_only_grow';
END $$;

CREATE FUNCTION grants_give_what_was_agreed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM requests AS r WHERE r.id = NEW.request_id
            AND (NEW.profile <> r.less_profile OR NEW.deadline - NEW.intended_at > r.less_duration)) THEN
        RAISE EXCEPTION 'grant %: less than this was agreed to', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'grants_give_what_was_agreed';
    END IF;
    RETURN NEW;
END $$;

-- Nobody approved it, so nobody can have agreed to more of it. The previous binary knows no broken glass and would ask.
CREATE FUNCTION grants_broken_glass_is_not_extended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM requests AS r WHERE r.id = NEW.request_id AND r.break_glass) THEN
        RAISE EXCEPTION 'grant %: broken glass is not extended', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'grants_broken_glass_is_not_extended';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER grants_params_are_frozen BEFORE UPDATE OF params ON grants
    FOR EACH ROW WHEN (NEW.params IS DISTINCT FROM OLD.params) EXECUTE FUNCTION grants_params_are_frozen();
CREATE TRIGGER grants_extensions_only_grow BEFORE UPDATE OF extensions ON grants
    FOR EACH ROW WHEN (NEW.extensions < OLD.extensions) EXECUTE FUNCTION grants_extensions_only_grow();
CREATE TRIGGER grants_give_what_was_agreed BEFORE INSERT ON grants
    FOR EACH ROW EXECUTE FUNCTION grants_give_what_was_agreed();
CREATE TRIGGER grants_broken_glass_is_not_extended BEFORE UPDATE OF deadline ON grants
    FOR EACH ROW WHEN (NEW.deadline > OLD.deadline) EXECUTE FUNCTION grants_broken_glass_is_not_extended();

-- +goose Down
DROP TRIGGER grants_broken_glass_is_not_extended ON grants;
DROP FUNCTION grants_broken_glass_is_not_extended();
DROP TRIGGER grants_give_what_was_agreed ON grants;
DROP FUNCTION grants_give_what_was_agreed();
DROP TRIGGER grants_extensions_only_grow ON grants;
DROP FUNCTION grants_extensions_only_grow();
DROP TRIGGER grants_params_are_frozen ON grants;
DROP FUNCTION grants_params_are_frozen();
ALTER TABLE grants DROP COLUMN extensions, DROP COLUMN params;

DROP TABLE reviews;
DROP FUNCTION reviews_only_go_forward();

DROP TRIGGER requests_broken_glass_is_reviewed ON requests;
DROP FUNCTION requests_broken_glass_is_reviewed();
DROP TRIGGER requests_approved_by_enough ON requests;
DROP FUNCTION requests_approved_by_enough();
DROP TRIGGER requests_agreed_is_kept ON requests;
DROP FUNCTION requests_agreed_is_kept();
DROP TRIGGER requests_break_glass_is_frozen ON requests;
DROP FUNCTION requests_break_glass_is_frozen();

-- The binary of before counts every answer as one that stands and as a yes to everything. So it must not find those that
-- were taken back, nor, where the quorum is open, those to less; the audit log keeps them. What was agreed to becomes what
-- was asked for.
DROP TRIGGER approvals_only_get_withdrawn ON approvals;
DROP FUNCTION approvals_only_get_withdrawn();
DELETE FROM approvals AS a WHERE a.withdrawn_at IS NOT NULL
    OR (num_nonnulls(a.less_duration, a.less_profile) > 0
        AND EXISTS (SELECT 1 FROM requests AS r WHERE r.id = a.request_id AND r.state = 'pending'));
UPDATE requests SET version = version + 1, duration = coalesce(less_duration, duration), profile = coalesce(less_profile, profile)
    WHERE state IN ('approved', 'activated') AND num_nonnulls(less_duration, less_profile) > 0;
DROP INDEX approvals_of_a_request, approvals_withdrawn, approvals_one_per_address, approvals_one_per_human;
ALTER TABLE approvals
    DROP CONSTRAINT approvals_have_a_place,
    DROP COLUMN withdrawn_at, DROP COLUMN less_duration, DROP COLUMN less_profile,
    ADD CONSTRAINT approvals_one_per_human PRIMARY KEY (request_id, by_id);
CREATE UNIQUE INDEX approvals_one_per_address ON approvals (request_id, lower(by_email)) WHERE by_email <> '';

ALTER TABLE requests
    DROP COLUMN break_glass, DROP COLUMN less_duration, DROP COLUMN less_profile,
    DROP COLUMN reminders, DROP COLUMN escalated, DROP COLUMN escalated_at;
