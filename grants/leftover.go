package grants

import (
	"context"
	"time"
)

// rehearsalOver is how long a replica sees the login of a rehearsal before it takes it away. A rehearsal takes seconds, the
// server refuses the login's password after RehearsalLasts, and nothing but this ends a session that was opened before.
const rehearsalOver = RehearsalLasts + time.Minute

// takeRehearsals takes away the logins of rehearsals that have been there for too long: what a rehearsal left behind when it
// died, and what somebody made who wants no sweep to look at it. By its own clock, since whoever made a login chose its end.
func (s *Service) takeRehearsals(ctx context.Context, target string, driver Driver, fingerprint string) (taken []string, err error) {
	rehearsing, ok := driver.(Rehearsing)
	if !ok {
		return nil, nil
	}
	logins, err := rehearsing.Rehearsals(ctx)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	var over []orphan
	s.mu.Lock()
	seen := map[string]time.Time{}
	for _, login := range logins {
		first, before := s.rehearsed[target][login.Name]
		if !before {
			first = now
		}
		seen[login.Name] = first
		if now.Sub(first) >= rehearsalOver {
			login.Fingerprint = fingerprint
			over = append(over, orphan{login: login})
		}
	}
	s.rehearsed[target] = seen
	s.mu.Unlock()
	return s.takeOrphans(ctx, target, over)
}
