-- A review is closed over access that is over, all of it: a try that failed counts until its login is known to be gone.

-- +goose Up

-- Whoever closes a review holds the row of its request, and so does whoever makes a grant of it; a grant that is secured
-- never comes back. So what this sees holds when it commits.
-- +goose StatementBegin
CREATE FUNCTION reviews_close_over_what_is_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM grants AS g WHERE g.request_id = NEW.request_id AND g.state NOT IN ('cleanup', 'revoked')) THEN
        RAISE EXCEPTION 'request %: a login of it may still be there', NEW.request_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reviews_close_over_what_is_over';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER reviews_close_over_what_is_over BEFORE UPDATE ON reviews
    FOR EACH ROW WHEN (NEW.closed_by_id IS NOT NULL AND OLD.closed_at IS NULL) EXECUTE FUNCTION reviews_close_over_what_is_over();

-- +goose Down
DROP TRIGGER reviews_close_over_what_is_over ON reviews;
DROP FUNCTION reviews_close_over_what_is_over();
