package grants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// SweepWithin bounds the sweep of one target, so that a dead one never delays the others.
const SweepWithin = 45 * time.Second

// justEnded is how long before a sweep a grant may have been revoked for its login to count as explained: the login may
// have been listed a moment before it was dropped. The next sweep sees it if it is really back.
const justEnded = time.Minute

// Swept is what the sweep of one target found.
type Swept struct {
	Target string
	// Logins is how many logins of ours the target has.
	Logins int
	// Orphans are logins that no live grant explained; they were locked out and dropped.
	Orphans []string
	// Unknown are logins that the store does not know because it was restored; they are left alone and reported.
	Unknown []string
	// Rehearsals are logins that a rehearsal left behind, or somebody who says so; they were taken away too.
	Rehearsals []string
	// Copied are logins of other targets' live grants, on a server that is a copy of theirs; they are left alone and reported.
	Copied []string
	// Missing are live grants whose login the target does not have; they were ended.
	Missing []string
	// Extended are logins whose server had missed an extension of their grant, and was told again.
	Extended []string
	// Resumed are unfinished grants whose next step was asked for again.
	Resumed int
	Err     error
}

// Sweep compares every target with the store and mends the difference. It never stops being needed: a failover, a
// restore or a clone can bring a dropped login back years later.
func (s *Service) Sweep(ctx context.Context) ([]Swept, error) {
	out := make([]Swept, len(s.cfg.Targets))
	var wg sync.WaitGroup
	for i, target := range s.cfg.Targets {
		wg.Go(func() { out[i] = s.SweepTarget(ctx, target) })
	}
	wg.Wait()
	var errs []error
	for _, swept := range out {
		if swept.Err != nil {
			errs = append(errs, fmt.Errorf("sweeping %s: %w", swept.Target, swept.Err))
		}
	}
	return out, errors.Join(errs...)
}

// SweepTarget is Sweep for one target, whatever becomes of the others.
func (s *Service) SweepTarget(ctx context.Context, target Target) Swept {
	ctx, cancel := context.WithTimeout(ctx, SweepWithin)
	defer cancel()
	out := Swept{Target: target.Name}
	started := s.cfg.Now()
	driver := s.cfg.Drivers[target.Name]
	// What the store holds unfinished must go on even when the target does not answer.
	if out.Resumed, out.Err = s.resume(ctx, target.Name); out.Err != nil {
		return out
	}
	fingerprint, err := driver.Fingerprint(ctx)
	if err != nil {
		out.Err = err
		return out
	}
	// Another cluster than the trusted one is no reason to let a login of ours live on it, and none to believe what it lacks.
	swapped := s.identify(ctx, target.Name, fingerprint)
	if ReasonOf(swapped) == FailSwapped {
		out.Err = errors.Join(swapped, s.reportSwapped(ctx, target.Name, fingerprint, swapped))
	} else if swapped != nil {
		out.Err = swapped
		return out
	}
	back, err := s.wentBack(ctx, driver)
	if err != nil {
		out.Err = errors.Join(out.Err, err)
		return out
	}
	// The target is read before the store: an intent is committed before its login exists, so that every login seen
	// here has its row by the time the store is read.
	before, err := s.cfg.Store.Unfinished(ctx, target.Name)
	if err != nil {
		out.Err = fmt.Errorf("reading unfinished grants: %w", err)
		return out
	}
	logins, err := driver.Logins(ctx)
	if err != nil {
		out.Err = err
		return out
	}
	out.Logins = len(logins)
	after, err := s.cfg.Store.Unfinished(ctx, target.Name)
	if err != nil {
		out.Err = fmt.Errorf("reading unfinished grants: %w", err)
		return out
	}
	// A grant explains its login on the cluster that it was issued on, and nowhere else: nothing could end it there.
	explaining := map[string]Grant{}
	for _, g := range after {
		explaining[g.ID] = g
	}
	elsewhere := map[string][]Login{} // by the target that the login was issued on
	var orphans []orphan
	one := map[string]bool{} // targets that are this server, under another name
	for _, login := range logins {
		if g, ok := explaining[login.Stamp.Grant]; ok && g.explains(login, fingerprint) {
			continue
		}
		// A grant revoked between the two reads explains its login too; ask the store about this one by name.
		g, known, err := s.explains(ctx, login)
		if err != nil {
			out.Err = errors.Join(out.Err, err)
			continue
		}
		if known && g.explains(login, fingerprint) && g.entitles(target.Name, started) {
			if g.Target != target.Name && g.Live() && login.CanLogin {
				elsewhere[g.Target] = append(elsewhere[g.Target], login)
			}
			continue
		}
		if known && g.explains(login, fingerprint) && g.Target != target.Name && g.State != Revoked {
			if _, asked := one[g.Target]; !asked {
				one[g.Target] = s.sameServer(ctx, target.Name, g.Target)
			}
			if one[g.Target] {
				continue // its own revocation is at it
			}
		}
		if !known && back && s.mayLive(login) {
			out.Unknown = append(out.Unknown, login.Name)
			out.Err = errors.Join(out.Err, s.reportUnknown(ctx, target.Name, login))
			continue
		}
		login.Fingerprint = fingerprint
		orphans = append(orphans, orphan{login: login, known: g})
	}
	var untaken error
	out.Orphans, untaken = s.takeOrphans(ctx, target.Name, orphans)
	out.Err = errors.Join(out.Err, untaken)
	for _, g := range before {
		if g.State != Active || g.Fingerprint != fingerprint || g.Due(s.cfg.Now()) ||
			slices.ContainsFunc(logins, func(l Login) bool { return l.Stamp.Grant == g.ID && g.explains(l, fingerprint) }) {
			continue
		}
		if err := s.missing(ctx, g); err != nil {
			out.Err = errors.Join(out.Err, err)
			continue
		}
		out.Missing = append(out.Missing, g.Login)
	}
	var late, left, twice error
	out.Extended, late = s.catchUp(ctx, driver, fingerprint, before, logins)
	out.Rehearsals, left = s.takeRehearsals(ctx, target.Name, driver, fingerprint)
	out.Copied, twice = s.copied(ctx, target.Name, fingerprint, elsewhere)
	out.Err = errors.Join(out.Err, late, left, twice)
	if out.Err == nil && len(out.Unknown) == 0 && len(logins) > 0 {
		out.Err = s.leaveMark(ctx, driver)
	}
	return out
}

// explains says whether a login is the one that the grant was issued as, on that cluster: whoever can make logins can stamp
// another with the id of a live grant. The OID is known once the login was read back.
func (g Grant) explains(login Login, fingerprint string) bool {
	return g.Fingerprint == fingerprint && g.Login == login.Name && (g.OID == 0 || login.OID == 0 || g.OID == login.OID)
}

// explains looks up the grant that a login says it belongs to.
func (s *Service) explains(ctx context.Context, login Login) (g Grant, known bool, err error) {
	g, err = s.cfg.Store.Grant(ctx, login.Stamp.Grant)
	if errors.Is(err, ErrNotFound) {
		return Grant{}, false, nil
	}
	return g, err == nil, err
}

// mayLive says whether a login whose grant the store forgot may still be somebody's: the server lets it in, and the end
// that it was issued with has not come.
func (s *Service) mayLive(login Login) bool {
	return login.CanLogin && (login.ValidUntil.IsZero() || s.cfg.Now().Before(login.ValidUntil))
}

// reportUnknown tells of a login that a restored store does not know.
func (s *Service) reportUnknown(ctx context.Context, target string, login Login) error {
	event := audit.Event{
		At: s.cfg.Now(), Kind: audit.LoginUnknown, Actor: audit.System("sweep"), Target: target, Grant: login.Stamp.Grant,
		Reason: "the store was restored from a backup, or replaced, and does not know this login, which may be in use; " +
			"it is left alone until its own end, or until an operator decides",
		Detail: map[string]string{"login": login.Name, "oid": fmt.Sprint(login.OID)},
	}
	if !login.ValidUntil.IsZero() {
		event.Detail["valid_until"] = login.ValidUntil.UTC().Format(time.RFC3339)
	}
	return s.report(ctx, target+"?"+login.Name, event)
}

// reportSwapped tells that another cluster answers.
func (s *Service) reportSwapped(ctx context.Context, target, fingerprint string, why error) error {
	return s.report(ctx, target+"#"+fingerprint, audit.Event{
		At: s.cfg.Now(), Kind: audit.TargetSwapped, Actor: audit.System("sweep"), Target: target, Reason: why.Error(),
		Detail: map[string]string{"fingerprint": fingerprint},
	})
}

// Resume takes up every unfinished revocation, whoever left it. Run it at start: a replica that was killed leaves grants
// behind that nobody is pursuing.
func (s *Service) Resume(ctx context.Context) (int, error) {
	var total int
	for _, target := range s.cfg.Targets {
		n, err := s.resume(ctx, target.Name)
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

// resume asks again for the next step of every unfinished grant: it mends whatever took a job away.
func (s *Service) resume(ctx context.Context, target string) (int, error) {
	unfinished, err := s.cfg.Store.Unfinished(ctx, target)
	if err != nil {
		return 0, fmt.Errorf("reading unfinished grants: %w", err)
	}
	var follow []jobs.Job
	now := s.cfg.Now()
	for _, g := range unfinished {
		switch {
		case g.State == Revoking || g.State == Cleanup:
			// At once and here, and as a job: a job whose worker died is rescued only after a while.
			s.pursue(g)
			follow = append(follow, jobs.Job{Kind: jobs.Revoke, Subject: g.ID, At: now.Add(safetyNet)})
		case g.State == Provisioning && now.Sub(g.Intended) > RecoverAfter:
			follow = append(follow, jobs.Job{Kind: jobs.Recover, Subject: g.ID})
		}
	}
	if len(follow) == 0 {
		return 0, nil
	}
	return len(follow), s.cfg.Store.Record(ctx, nil, follow)
}

// missing ends a live grant whose login is not on its target: whoever holds the password cannot use it, sessions that
// are left are killed by OID, and somebody should know.
func (s *Service) missing(ctx context.Context, g Grant) error {
	now, err := s.cfg.Store.ChangeGrant(ctx, g.ID, func(g Grant) (Change, error) {
		change, err := s.end(g, Ending{
			Cause: Missing, By: audit.System("sweep"),
			Note: "the login was not on the target any more; nobody of ours took it away",
		})
		if err != nil {
			return change, err
		}
		report := s.event(audit.GrantMissing, change.Grant, audit.System("sweep"), "")
		change.Events = append([]audit.Event{report}, change.Events...)
		change.Jobs = append(change.Jobs, jobs.Job{Kind: jobs.Finding})
		return change, nil
	})
	if errors.Is(err, ErrState) {
		return nil // it ended meanwhile, which explains everything
	}
	if err != nil {
		return fmt.Errorf("ending grant %s, whose login is missing: %w", g.ID, err)
	}
	s.pursue(now)
	return nil
}
