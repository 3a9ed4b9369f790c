-- What the policy was asked and what it answered, for asking another policy the same: the request and the facts as they
-- were then, and the decision without its steps, which are most of it.

-- +goose Up

-- A binary of before this migration files requests without one; those cannot be replayed.
ALTER TABLE requests ADD COLUMN replay jsonb CONSTRAINT requests_replay_is_an_object CHECK (jsonb_typeof(replay) = 'object');

-- +goose StatementBegin
CREATE FUNCTION requests_replay_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'request %: what the policy was asked cannot change', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'requests_replay_is_frozen';
END $$;
-- +goose StatementEnd
-- Only a statement that names the column meets this trigger, and ours never do.
CREATE TRIGGER requests_replay_is_frozen BEFORE UPDATE OF replay ON requests
    FOR EACH ROW WHEN (NEW.replay IS DISTINCT FROM OLD.replay) EXECUTE FUNCTION requests_replay_is_frozen();

-- +goose Down
DROP TRIGGER requests_replay_is_frozen ON requests;
DROP FUNCTION requests_replay_is_frozen();
ALTER TABLE requests DROP COLUMN replay;
