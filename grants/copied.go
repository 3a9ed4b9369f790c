package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/audit"
)

// A physical copy of a cluster has its fingerprint, and whatever logins were live when it was made, with their passwords. Where
// it is a target of its own, its sweep finds them. They cannot be told from those of one cluster under two names for certain:
// a standby that was promoted while the old primary still answers looks the same, and to take the login away there could cut
// somebody off in the middle of a failover. So the sweep leaves such a login alone while its grant is live, and tells an
// operator, unless both names lead to one running server. Once the grant is over elsewhere, it takes it away.

// Instanced is implemented by drivers that can tell a running server from its copies.
type Instanced interface {
	// Instance is the same for every connection to one running server, and another for a copy, a standby, and after a restart.
	Instance(ctx context.Context) (string, error)
}

// askWithin bounds the question to another target's server.
const askWithin = 5 * time.Second

// Apart says whether two drivers that answer with one fingerprint reach two servers. known is false where nobody can say. The
// first is asked again after the second, so that a restart or a failover in between is not taken for two.
func Apart(ctx context.Context, one, other Driver) (apart, known bool) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	a, first := one.(Instanced)
	b, second := other.(Instanced)
	if !first || !second {
		return false, false
	}
	var seen []string
	for _, driver := range []Instanced{a, b, a} {
		instance, err := driver.Instance(ctx)
		if err != nil {
			return false, false
		}
		seen = append(seen, instance)
	}
	return seen[0] != seen[1], seen[0] == seen[2]
}

// sameServer says whether two targets are known to be one running server.
func (s *Service) sameServer(ctx context.Context, one, other string) bool {
	a, b := s.cfg.Drivers[one], s.cfg.Drivers[other]
	if a == nil || b == nil {
		return false
	}
	apart, known := Apart(ctx, a, b)
	return known && !apart
}

// entitles says whether a grant lets its login be on a target that was looked at then: its own until it is revoked, and any
// other of the same fingerprint until it ends. A moment more, for a login that was listed just before.
func (g Grant) entitles(target string, at time.Time) bool {
	switch {
	case g.State == Revoked:
		return g.EndedAt.After(at.Add(-justEnded))
	case g.Target != target && !g.Live():
		return g.EndingAt.After(at.Add(-justEnded))
	}
	return true
}

// copied tells of logins of other targets' live grants on a server of its own, and names them.
func (s *Service) copied(ctx context.Context, target, fingerprint string, found map[string][]Login) (copied []string, err error) {
	for origin, logins := range found {
		other := s.cfg.Drivers[origin]
		if other == nil {
			continue // whose address nobody knows
		}
		if apart, known := Apart(ctx, s.cfg.Drivers[target], other); !apart || !known {
			continue
		}
		for _, login := range logins {
			copied = append(copied, login.Name)
			err = errors.Join(err, s.reportCopied(ctx, target, origin, fingerprint, login))
		}
	}
	slices.Sort(copied)
	return copied, err
}

func (s *Service) reportCopied(ctx context.Context, target, origin, fingerprint string, login Login) error {
	return s.report(ctx, target+"="+login.Name, audit.Event{
		At: s.cfg.Now(), Kind: audit.LoginCopied, Actor: audit.System("sweep"), Target: target, Grant: login.Stamp.Grant,
		Reason: fmt.Sprintf("the login of a live grant on %s is on another server with the same fingerprint as well", origin),
		Detail: map[string]string{"login": login.Name, "oid": fmt.Sprint(login.OID), "origin": origin, "fingerprint": fingerprint},
	})
}
