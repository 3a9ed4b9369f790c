-- Which cluster each target is, and grants whose cluster is gone for good.

-- +goose Up

CREATE TABLE target_identities (
    target      text        NOT NULL PRIMARY KEY,
    -- system_identifier or server_uuid of the cluster that people are given logins on under this name.
    fingerprint text        NOT NULL CONSTRAINT target_identities_name_a_cluster CHECK (fingerprint <> ''),
    since       timestamptz NOT NULL
);

-- A grant that an operator wrote off was never locked out, as far as anybody knows, and must not say that it was.
ALTER TABLE grants DROP CONSTRAINT grants_secured_say_when;
ALTER TABLE grants ADD CONSTRAINT grants_secured_say_when CHECK (
    (state IN ('cleanup', 'revoked')) = (secured_at IS NOT NULL)
    OR (state = 'revoked' AND secured_at IS NULL AND receipt ? 'written_off'));

-- +goose Down
UPDATE grants SET version = version + 1, secured_at = ended_at WHERE state = 'revoked' AND secured_at IS NULL;
ALTER TABLE grants DROP CONSTRAINT grants_secured_say_when;
ALTER TABLE grants ADD CONSTRAINT grants_secured_say_when CHECK ((state IN ('cleanup', 'revoked')) = (secured_at IS NOT NULL));
DROP TABLE target_identities;
