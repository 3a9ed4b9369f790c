package approvals

import (
	"context"
	"errors"

	"github.com/prodaccess/prodaccess/policy"
)

var errNotBuilt = errors.New("approvals: not built yet")

// ApproveLess records one person's yes to less than was asked for. What is given in the end is the least that any of the
// approvals said. Less that is not less (longer, another profile than Narrower offers) is a *Refusal with the field at fault.
func (s *Service) ApproveLess(ctx context.Context, press Press, less Less) (Case, error) {
	return Case{}, errNotBuilt
}

// Narrower lists the profiles an approver may give instead of what a request asks for.
func (s *Service) Narrower(c Case) []policy.Profile { return nil }

// Withdraw takes the presser's own yes back; only while the request is pending.
func (s *Service) Withdraw(ctx context.Context, press Press) (Case, error) {
	return Case{}, errNotBuilt
}
