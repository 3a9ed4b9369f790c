-- How many requests of somebody wait for an answer is counted whenever they ask for more.

-- +goose Up

CREATE INDEX requests_pending ON requests (requester_id) WHERE state = 'pending';

-- +goose Down
DROP INDEX requests_pending;
