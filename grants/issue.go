package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// issueTimeout bounds one call to a driver while a person waits; it is shorter than IssueWithin.
const issueTimeout = 20 * time.Second

// Intent is what is to be issued, as the approval left it.
type Intent struct {
	Request        string
	Holder         Holder
	Target         string
	Profile        string
	ProfileVersion string
	// ConnectionLimit of the profile; 0 takes the configured one.
	ConnectionLimit int
	// StatementTimeout of the profile; zero leaves the server's own.
	StatementTimeout time.Duration
	// Params are the values the target must enforce.
	Params   []Param
	Duration time.Duration
	// NotAfter bounds the deadline: the end of the shift the approval rests on. Zero bounds nothing.
	NotAfter time.Time
	// At is when the press was made; the duration counts from here.
	At time.Time
}

// Intend asks the target who it is and returns the grant to be committed as an intent. It creates nothing and fails
// when the target does not answer, so that nobody waits for a login that cannot come.
func (s *Service) Intend(ctx context.Context, in Intent) (Grant, error) {
	target, ok := s.targets[in.Target]
	if !ok {
		return Grant{}, fmt.Errorf("intending a grant: no target %q is configured", in.Target)
	}
	driver, err := s.driver(in.Target)
	if err != nil {
		return Grant{}, err
	}
	fingerprint, err := s.whoAnswers(ctx, in.Target, driver)
	if err != nil {
		return Grant{}, fmt.Errorf("asking %s who it is: %w", in.Target, err)
	}
	deadline := in.At.Add(in.Duration)
	if !in.NotAfter.IsZero() && deadline.After(in.NotAfter) {
		deadline = in.NotAfter
	}
	if !deadline.After(in.At) {
		return Grant{}, fmt.Errorf("intending a grant: %w: it would end before it begins", ErrState)
	}
	limit := in.ConnectionLimit
	if limit <= 0 {
		limit = s.cfg.ConnectionLimit
	}
	id := NewID()
	return Grant{
		ID: id, Request: in.Request, Holder: in.Holder, State: Provisioning,
		Target: target.Name, Engine: target.Engine, Database: target.Databases[0], Fingerprint: fingerprint,
		Profile: in.Profile, ProfileVersion: in.ProfileVersion, AccessRole: AccessRole(in.Profile),
		Login: LoginName(localPart(in.Holder), id), ConnectionLimit: limit, StatementTimeout: in.StatementTimeout.Truncate(time.Millisecond),
		Params: in.Params, Intended: in.At, Deadline: deadline, NotAfter: in.NotAfter,
	}, nil
}

// IntentJobs are the jobs to commit with an intent: its safety net.
func IntentJobs(g Grant) []jobs.Job {
	return []jobs.Job{draw(g), {Kind: jobs.Recover, Subject: g.ID, At: g.Intended.Add(RecoverAfter)}}
}

// Issue makes the login of a committed intent and returns its credential, which exists nowhere else. On any doubt the
// grant goes to revoking, and the error says why.
func (s *Service) Issue(ctx context.Context, id string) (Credential, error) {
	g, err := s.cfg.Store.Grant(ctx, id)
	if err != nil {
		return Credential{}, fmt.Errorf("issuing grant %s: %w", id, err)
	}
	if g.State != Provisioning {
		return Credential{}, fmt.Errorf("issuing grant %s: %w: it is %s", id, ErrState, g.State)
	}
	driver, err := s.driver(g.Target)
	if err != nil {
		return Credential{}, s.fail(ctx, g, err)
	}
	password := secret.New(rand.Text())
	issueCtx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	out, err := driver.Issue(issueCtx, Order{
		Login: g.Login, AccessRole: g.AccessRole, Stamp: s.login(g).Stamp, Fingerprint: g.Fingerprint,
		ValidUntil: g.Deadline.Add(s.cfg.Grace), NotAfter: g.Intended.Add(IssueWithin),
		ConnectionLimit: g.ConnectionLimit, StatementTimeout: g.StatementTimeout, Params: g.Params, Password: password,
	})
	if err != nil {
		return Credential{}, s.fail(ctx, g, err)
	}
	active, err := s.cfg.Store.ChangeGrant(ctx, id, func(g Grant) (Change, error) {
		next, err := issued(g, out.OID, s.cfg.Now())
		if err != nil {
			return Change{}, err
		}
		e := s.event(audit.GrantIssued, next, audit.System("grants"), "")
		e.Detail["oid"] = fmt.Sprint(next.OID)
		e.Detail["deadline"] = next.Deadline.UTC().Format(time.RFC3339)
		return Change{Grant: next, Events: []audit.Event{e}, Jobs: []jobs.Job{draw(next)}}, nil
	})
	if err != nil {
		// The row moved on (taken back meanwhile) or the store does not answer: the login must go either way.
		return Credential{}, s.fail(ctx, g, err)
	}
	s.wake()
	s.markSoon(g.Target, driver)
	credential := s.credential(ctx, driver, active, password)
	credential.Note = lagging(out.Lagging)
	return credential, nil
}

// Rotate gives a live login a new password; the one shown before stops working. Sessions stay. A delivery that made one before makes
// no other: the error is audit.ErrDelivered.
func (s *Service) Rotate(ctx context.Context, id string, by audit.Actor, source, delivery string) (Credential, error) {
	g, err := s.cfg.Store.Grant(ctx, id)
	if err != nil {
		return Credential{}, fmt.Errorf("rotating grant %s: %w", id, err)
	}
	if g.State != Active || g.Due(s.cfg.Now()) {
		return Credential{}, fmt.Errorf("rotating grant %s: %w: it is %s", id, ErrState, g.State)
	}
	driver, err := s.driver(g.Target)
	if err != nil {
		return Credential{}, err
	}
	// The event comes first: an act without its record must not be possible, a record without its act is harmless.
	g, err = s.cfg.Store.ChangeGrant(ctx, id, func(g Grant) (Change, error) {
		if g.State != Active {
			return Change{}, fmt.Errorf("%w: it is %s", ErrState, g.State)
		}
		return Change{Grant: g, Events: []audit.Event{audit.Once(s.event(audit.GrantRotated, g, by, source), delivery)}}, nil
	})
	if err != nil {
		return Credential{}, fmt.Errorf("rotating grant %s: %w", id, err)
	}
	password := secret.New(rand.Text())
	callCtx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	if err := driver.Rotate(callCtx, s.login(g), password); err != nil {
		return Credential{}, fmt.Errorf("rotating grant %s: %w", id, err)
	}
	credential := s.credential(ctx, driver, g, password)
	if nodes, ok := driver.(Replicated); ok {
		credential.Note = outdated(nodes.Behind(ctx))
	}
	return credential, nil
}

// Shown records that Slack accepted a view holding the credential.
func (s *Service) Shown(ctx context.Context, id string, by audit.Actor, source string) error {
	_, err := s.cfg.Store.ChangeGrant(ctx, id, func(g Grant) (Change, error) {
		g.ShownAt = s.cfg.Now()
		return Change{Grant: g, Events: []audit.Event{s.event(audit.GrantShown, g, by, source)}}, nil
	})
	if err != nil {
		return fmt.Errorf("recording that grant %s was shown: %w", id, err)
	}
	return nil
}

// Extend moves the deadline of a live grant, first in the store, then on the server, which never accepts the login for
// longer than the store says. extensions is how often it was extended before, as whoever allows this saw it: had it been
// extended since, the answer might be another, and the error is ErrState; it is audit.ErrDelivered where the delivery did so before. The grant that comes with an error tells whether the
// store has the extension nevertheless: the server then gets it with the next sweep.
func (s *Service) Extend(ctx context.Context, id string, extensions int, deadline, notAfter time.Time, by audit.Actor, source, delivery string) (Grant, error) {
	g, err := s.cfg.Store.Grant(ctx, id)
	if err != nil {
		return Grant{}, fmt.Errorf("extending grant %s: %w", id, err)
	}
	driver, err := s.driver(g.Target)
	if err != nil {
		return Grant{}, err
	}
	before := g.Deadline
	g, err = s.cfg.Store.ChangeGrant(ctx, id, func(g Grant) (Change, error) {
		if g.Due(s.cfg.Now()) {
			return Change{}, fmt.Errorf("%w: it has ended", ErrState)
		}
		if g.Extensions != extensions {
			return Change{}, fmt.Errorf("%w: it was extended in the meantime", ErrState)
		}
		next, err := extended(g, deadline, notAfter)
		if err != nil {
			return Change{}, err
		}
		e := s.event(audit.GrantExtended, next, by, source)
		e.Detail["from"] = g.Deadline.UTC().Format(time.RFC3339)
		e.Detail["to"] = next.Deadline.UTC().Format(time.RFC3339)
		return Change{Grant: next, Events: []audit.Event{audit.Once(e, delivery)}, Jobs: []jobs.Job{draw(next)}}, nil
	})
	if err != nil {
		return g, fmt.Errorf("extending grant %s: %w", id, err)
	}
	s.move(g)
	callCtx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	if err := driver.Extend(callCtx, s.login(g), g.Deadline.Add(s.cfg.Grace)); err != nil {
		// The server still ends it at the old deadline while the store says later. Say so: sessions go on, but a new
		// one is refused from the old deadline on, until the sweep has told the server again.
		return g, fmt.Errorf("extending grant %s on %s (new sessions are refused from %s on): %w",
			id, g.Target, before.UTC().Format(time.RFC3339), err)
	}
	return g, nil
}

// fail takes back a grant whose issuing failed or is in doubt, and returns the cause.
func (s *Service) fail(ctx context.Context, g Grant, cause error) error {
	// The caller's context may be what failed; taking back must not depend on it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	e := Ending{Cause: Failed, By: audit.System("grants"), Note: plain(cause)}
	if _, err := s.End(ctx, g.ID, e); err != nil && !errors.Is(err, ErrState) {
		// The Recover job committed with the intent does it later.
		s.cfg.Log.Error().Err(err).Str("grant", g.ID).Msg("taking back a failed grant; its recover job will")
	}
	return fmt.Errorf("issuing grant %s: %w", g.ID, cause)
}

// credential joins what the holder is shown. A driver that cannot be asked where the profile's tables are found costs the
// holder their plain names, not the login.
func (s *Service) credential(ctx context.Context, driver Driver, g Grant, password secret.String) Credential {
	database := g.Database
	if homing, ok := driver.(Homing); ok {
		home, err := homing.Home(ctx, s.login(g))
		if err != nil {
			s.cfg.Log.Warn().Err(err).Str("grant", g.ID).Msg("asking where a profile's tables are found")
		} else if home != "" {
			database = home
		}
	}
	return Credential{
		Grant: g.ID, Request: g.Request, Target: g.Target, Engine: g.Engine, Profile: g.Profile,
		Login: g.Login, Password: password, Database: database,
		Endpoint: s.targets[g.Target].Connect, Deadline: g.Deadline,
	}
}

// lagging says which nodes refuse a login that was just made; empty when none does.
func lagging(nodes []string) string {
	if len(nodes) == 0 {
		return ""
	}
	return "Not yet known on " + strings.Join(nodes, ", ") + ", which lags behind: there the login is refused until it has caught up."
}

// outdated says which nodes still take the password before the one that was just made; empty when none does.
func outdated(nodes []string) string {
	if len(nodes) == 0 {
		return ""
	}
	return "Not yet known on " + strings.Join(nodes, ", ") + ", which lags behind: there the password before this one works until it has caught up."
}

// localPart is what a login's name shows of its holder: the e-mail address before the @, else the name.
func localPart(h Holder) string {
	for i, r := range h.Email {
		if r == '@' && i > 0 {
			return h.Email[:i]
		}
	}
	if h.Name != "" {
		return h.Name
	}
	return h.ID
}

// plain is an error's text for the store: cut to a length a card can carry. Drivers keep secrets out of their errors.
func plain(err error) string {
	const longest = 500
	text := err.Error()
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return text
}
