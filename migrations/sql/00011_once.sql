-- One act for each delivery: the event that records an act names the delivery that asked for it (see package audit), and there is no
-- second one. The previous binary names none, so that nothing of its is refused.

-- +goose Up

CREATE UNIQUE INDEX audit_events_once ON audit_events ((detail ->> 'delivery')) WHERE detail ->> 'delivery' IS NOT NULL;

-- +goose Down
DROP INDEX audit_events_once;
