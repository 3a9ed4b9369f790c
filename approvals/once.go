package approvals

import (
	"context"
	"errors"
	"fmt"

	"github.com/prodaccess/prodaccess/audit"
)

// Slack sends a command or a press again when it is not sure that it arrived, perhaps to another replica, perhaps after the state that
// it spoke of has changed. What is the same each time is the delivery's name. It stands in the event of the act, of which the store
// keeps one for each delivery: two replicas at the same instant are told apart by the schema, and what comes later is answered like the first.

// undone is nil while nothing was done for a delivery, and audit.ErrDelivered afterwards.
func (s *Service) undone(ctx context.Context, delivery string) error {
	if delivery == "" {
		return nil
	}
	switch _, err := s.cfg.Store.Delivered(ctx, delivery); {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("reading whether a delivery came before: %w", err)
	}
	return audit.ErrDelivered
}

// once answers a delivery that was carried out before like the first time: with the request that it changed, as it is now.
func (s *Service) once(ctx context.Context, delivery string, c Case, err error) (Case, error) {
	if !errors.Is(err, audit.ErrDelivered) {
		return c, err
	}
	e, err := s.cfg.Store.Delivered(ctx, delivery)
	if err != nil {
		return c, fmt.Errorf("reading what a delivery did: %w", err)
	}
	return s.Case(ctx, e.Request)
}

// underWay answers a delivery that was carried out before where doing so again would show somebody a password.
func underWay(err error) error {
	if errors.Is(err, audit.ErrDelivered) {
		return refuse(InProgress, "This came twice from Slack. What you pressed is done, or being done.")
	}
	return err
}
