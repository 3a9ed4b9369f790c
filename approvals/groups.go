package approvals

import "github.com/prodaccess/prodaccess/policy"

// Groups are those of the policy in force, so that whoever is meant by "group:dba" can be told that something waits for them.
func (s *Service) Groups() []policy.Group { return s.cfg.Policy().Groups() }
