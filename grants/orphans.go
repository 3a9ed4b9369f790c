package grants

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// reportAgain is how long an orphan that cannot be taken away stays unmentioned before it is reported again.
const reportAgain = time.Hour

// orphan is a login that no live grant explains, with the grant that it says it belongs to, if the store knows that one.
type orphan struct {
	login Login
	known Grant
}

// takeOrphans locks out and drops logins that no live grant explains, and reports them: first the record, then the act.
// All are locked before the first is dropped, a few at once and in no order, so that those which a dead node holds up do
// not keep the rest from ever having their turn. It returns the names of those that are gone.
func (s *Service) takeOrphans(ctx context.Context, target string, orphans []orphan) (taken []string, err error) {
	driver, err := s.driver(target)
	if err != nil || len(orphans) == 0 {
		return nil, err
	}
	rand.Shuffle(len(orphans), func(i, j int) { orphans[i], orphans[j] = orphans[j], orphans[i] })
	locked, failed := s.aFewAtOnce(target, orphans, func(o *orphan) error {
		if err := s.reportOrphan(ctx, target, *o); err != nil {
			return fmt.Errorf("recording the orphan %s: %w", o.login.Name, err)
		}
		return s.lockOrphan(ctx, driver, target, o.login)
	})
	gone, left := s.aFewAtOnce(target, locked, func(o *orphan) error {
		return s.dropOrphan(ctx, driver, target, *o, audit.System("sweep"), "")
	})
	for _, o := range gone {
		taken = append(taken, o.login.Name)
	}
	slices.Sort(taken)
	return taken, errors.Join(failed, left)
}

// aFewAtOnce does something with orphans, and returns those with which it could be done.
func (s *Service) aFewAtOnce(target string, orphans []orphan, do func(*orphan) error) (done []orphan, err error) {
	width := s.cfg.Parallel
	if s.together[target] != nil {
		width = mostTogether // they share messages
	}
	slots := make(chan struct{}, width)
	errs := make([]error, len(orphans))
	var all sync.WaitGroup
	for i := range orphans {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(&orphans[i])
		})
	}
	all.Wait()
	for i, o := range orphans {
		if errs[i] == nil {
			done = append(done, o)
		}
	}
	return done, errors.Join(errs...)
}

func (s *Service) lockOrphan(ctx context.Context, driver Driver, target string, login Login) error {
	take := driver.Secure
	if t := s.together[target]; t != nil {
		take = t.lock.join
	}
	done, err := take(ctx, login)
	s.keep(orphanKey(target, login), foundIn(done)) // the next sweep finds no session any more, if this one fails
	if err != nil {
		return fmt.Errorf("locking out the orphan %s: %w", login.Name, err)
	}
	return nil
}

// orphanKey is what is found of an orphan is kept under; no grant has such an id.
func orphanKey(target string, login Login) string { return target + "/" + login.Name }

// dropOrphan drops a login that is locked out, and records what came of it. What it left behind is recorded although it
// could not be dropped: the next try does not find that any more.
func (s *Service) dropOrphan(ctx context.Context, driver Driver, target string, o orphan, by audit.Actor, source string) error {
	take := driver.Clean
	if t := s.together[target]; t != nil {
		take = t.hygiene.join
	}
	done, err := take(ctx, o.login)
	if err != nil {
		err = fmt.Errorf("dropping the orphan %s: %w", o.login.Name, err)
		if len(done.Leftovers) == 0 {
			return err
		}
	}
	key := orphanKey(target, o.login)
	all := s.take(key)
	event := audit.Event{
		At: s.cfg.Now(), Kind: audit.LoginTaken, Actor: by, Source: source, Target: target, Grant: o.login.Stamp.Grant,
		Request: o.known.Request, Profile: o.known.Profile, Reason: "the login is gone",
		Detail: map[string]string{
			"login": o.login.Name, "oid": fmt.Sprint(o.login.OID), "sessions_killed": fmt.Sprint(all.killed),
			"leftovers": fmt.Sprint(len(done.Leftovers)),
		},
	}
	if err != nil {
		event.Reason = "the login is locked out and could not be dropped yet"
	}
	var follow []jobs.Job
	if len(done.Leftovers) > 0 {
		event.Detail["left"] = leftWords(done.Leftovers)
		follow = []jobs.Job{{Kind: jobs.Finding}}
	}
	// The act is done, and there will be nothing to see of it: a sweep that is cut off here records it all the same.
	recordCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if unrecorded := s.cfg.Store.Record(recordCtx, []audit.Event{event}, follow); unrecorded != nil {
		s.keep(key, all)
		left := ""
		if len(done.Leftovers) > 0 {
			left = ", leaving " + leftWords(done.Leftovers)
		}
		err = errors.Join(err, fmt.Errorf("recording that the orphan %s was taken away%s: %w", o.login.Name, left, unrecorded))
	}
	return err
}

// mostLeft is how many objects that an orphan left behind are named in the event.
const mostLeft = 20

// leftWords names what a login left behind.
func leftWords(left []Leftover) string {
	var words []string
	for _, l := range left[:min(len(left), mostLeft)] {
		word := l.What + " in " + l.Database
		if l.Owner != "" {
			word += ", now owned by " + l.Owner
		}
		words = append(words, word)
	}
	if more := len(left) - mostLeft; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, "; ")
}

// reportOrphan records that a login will be taken away, unless this replica did so within reportAgain.
func (s *Service) reportOrphan(ctx context.Context, target string, o orphan) error {
	event := audit.Event{
		At: s.cfg.Now(), Kind: audit.LoginOrphaned, Actor: audit.System("sweep"), Target: target, Grant: o.login.Stamp.Grant,
		Request: o.known.Request, Profile: o.known.Profile, Detail: map[string]string{"login": o.login.Name, "oid": fmt.Sprint(o.login.OID)},
	}
	event.Reason = o.why(target)
	return s.report(ctx, target+"/"+o.login.Name, event)
}

// why is how the login came to be there, as far as the store can tell.
func (o orphan) why(target string) string {
	switch known := o.known; {
	case known.ID != "" && known.Fingerprint != o.login.Fingerprint:
		return "this login's grant was issued on another cluster, from which it was copied"
	case known.ID != "" && known.Login != o.login.Name:
		return "this login carries the stamp of a grant that was given out as another login, " + known.Login
	case o.login.Stamp.Installation == DoctorInstallation:
		return "a rehearsal left this login behind, or somebody made it look so"
	case known.State == Revoked && known.Receipt != nil && known.Receipt.WrittenOff != "":
		return "this login was written off, and its cluster is there again"
	case known.ID != "" && known.Target != target:
		return "this login's grant on " + known.Target + " is over, and a copy of that cluster has it too"
	case known.State == Revoked:
		return "this login was revoked and has come back, as it does after a failover or a restore"
	case known.ID != "":
		return "the login of a live grant was dropped, and somebody made this one in its place"
	}
	return "no grant in the store explains this login"
}

// report records a finding of the sweep, unless this replica did so within reportAgain. It counts as reported once it is
// recorded, and not before: nothing is done to a login of which the record failed.
func (s *Service) report(ctx context.Context, name string, event audit.Event) error {
	s.mu.Lock()
	last, reported := s.orphans[name]
	s.mu.Unlock()
	if reported && s.cfg.Now().Sub(last) < reportAgain {
		return nil
	}
	if err := s.cfg.Store.Record(ctx, []audit.Event{event}, []jobs.Job{{Kind: jobs.Finding}}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orphans[name] = s.cfg.Now()
	return nil
}
