package grants

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// Stage is what an engine brings to a rehearsal besides its Driver. Both must have been opened with DoctorInstallation.
type Stage interface {
	Driver
	// Meet learns who answers, looks at what needs no login, and names the server in r.
	Meet(ctx context.Context, r *Rehearsal) (fingerprint string, err error)
	// Samples are values for an access role's parameters.
	Samples(ctx context.Context, accessRole string) ([]Param, error)
	// Enter logs in as a person would, through the endpoint that people are told. Where that cannot be reached from here, which
	// proves nothing, it warns and returns nil.
	Enter(ctx context.Context, o Order, r *Rehearsal) (Visit, error)
	// Failure makes a *Failure without secrets of any error of the above; nil stays nil.
	Failure(err error) error
}

// Visit is a session of a throw-away login.
type Visit interface {
	// Alive says whether the server still answers in it.
	Alive(ctx context.Context) bool
	Close()
}

// play is a rehearsal under way.
type play struct {
	Rehearsal
	stage Stage
	order Order
	login Login
}

// Rehearse is what an engine's Rehearser does: the very statements of Issue, Secure and Clean, and a session of the login's own in
// between.
func Rehearse(ctx context.Context, s Stage, accessRole string, now time.Time) Rehearsal {
	p := &play{stage: s}
	met := p.try("the administrator gets in", func() (err error) {
		p.login.Fingerprint, err = s.Meet(ctx, &p.Rehearsal)
		return err
	})
	if met && p.try("nothing is left of earlier rehearsals", func() error { return p.tidy(ctx) }) {
		p.act(ctx, accessRole, now)
	}
	return p.Rehearsal
}

// tidy takes back what earlier rehearsals left when they died.
func (p *play) tidy(ctx context.Context) error {
	left, err := p.stage.Logins(ctx)
	if err != nil {
		return err
	}
	for _, l := range left {
		l.Fingerprint = p.login.Fingerprint
		if _, err := p.stage.Secure(ctx, l); err != nil {
			return err
		}
		if _, err := p.stage.Clean(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) act(ctx context.Context, accessRole string, now time.Time) {
	id := NewID()
	p.order = Order{
		Login: LoginName("doctor", id), AccessRole: accessRole, Stamp: Stamp{Installation: DoctorInstallation, Grant: id},
		Fingerprint: p.login.Fingerprint, ValidUntil: now.Add(RehearsalLasts), NotAfter: now.Add(IssueWithin),
		ConnectionLimit: 1, Password: secret.New(rand.Text()),
	}
	var err error
	if p.order.Params, err = p.stage.Samples(ctx, accessRole); err != nil {
		p.try("the parameters of "+accessRole+" can be read", func() error { return err })
		return
	}
	p.login = Login{Name: p.order.Login, Stamp: p.order.Stamp, Fingerprint: p.login.Fingerprint}
	var visit Visit
	made := p.try("a login can be made, a member of "+accessRole, func() error {
		issued, err := p.stage.Issue(ctx, p.order)
		p.login.OID = issued.OID
		return err
	})
	if made {
		p.try("it gets in where people are told to connect", func() (err error) {
			visit, err = p.stage.Enter(ctx, p.order, &p.Rehearsal)
			return err
		})
	}
	if visit != nil {
		defer visit.Close()
	}
	p.takeBack(ctx, visit)
}

// takeBack is tried whatever happened before: the server may have done what it said it could not.
func (p *play) takeBack(ctx context.Context, visit Visit) {
	locked := p.try("it can be locked out and its sessions ended on every node", func() error {
		secured, err := p.stage.Secure(ctx, p.login)
		p.login.OID = max(p.login.OID, secured.OID)
		return err
	})
	switch {
	case visit == nil:
	case locked:
		p.try("its session is dead", func() error {
			if visit.Alive(ctx) {
				return &Failure{Reason: FailInternal, Err: fmt.Errorf("the session still answers")}
			}
			return nil
		})
	default:
		// What could not be killed is closed from this end, so that the login can go all the same.
		visit.Close()
		_, _ = p.stage.Secure(ctx, p.login)
	}
	clean := func() error {
		_, err := p.stage.Clean(ctx, p.login)
		return err
	}
	if locked && p.try("it can be dropped, and the catalogs prove it", clean) || clean() == nil {
		return
	}
	p.Warn(fmt.Sprintf("the throw-away login %s may be left on the server; it is not accepted after %s, and the next rehearsal takes it back",
		p.login.Name, p.order.ValidUntil.UTC().Format(time.RFC3339)), "")
}

// try carries out a step and says whether it worked.
func (p *play) try(what string, step func() error) bool {
	began := time.Now()
	err := step()
	p.Steps = append(p.Steps, RehearsalStep{What: what, Took: time.Since(began), Err: p.stage.Failure(err)})
	return err == nil
}
