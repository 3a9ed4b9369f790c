package grants_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// scripted is a stage on which some steps fail, and which keeps what was asked of it.
type scripted struct {
	grants.Driver // the rest is never called
	fails         map[string]bool
	left          []grants.Login
	asked         []string
	order         grants.Order
	alive, closed bool
}

func (s *scripted) do(what string) error {
	s.asked = append(s.asked, what)
	if s.fails[what] {
		return errors.New(what + " fails")
	}
	return nil
}

func (s *scripted) Meet(_ context.Context, r *grants.Rehearsal) (string, error) {
	r.Server = "Scripted 1"
	return "the cluster", s.do("meet")
}

func (s *scripted) Logins(context.Context) ([]grants.Login, error) { return s.left, s.do("list") }

func (s *scripted) Samples(context.Context, string) ([]grants.Param, error) {
	return []grants.Param{{Name: "id", Value: "1"}}, s.do("samples")
}

func (s *scripted) Issue(_ context.Context, o grants.Order) (grants.Issued, error) {
	s.order = o
	return grants.Issued{OID: 7}, s.do("issue")
}

func (s *scripted) Enter(context.Context, grants.Order, *grants.Rehearsal) (grants.Visit, error) {
	if err := s.do("enter"); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *scripted) Secure(_ context.Context, l grants.Login) (grants.Secured, error) {
	return grants.Secured{OID: l.OID}, s.do("secure " + l.Name)
}

func (s *scripted) Clean(_ context.Context, l grants.Login) (grants.Cleaned, error) {
	return grants.Cleaned{}, s.do("clean " + l.Name)
}

func (s *scripted) Alive(context.Context) bool { return s.alive }
func (s *scripted) Close()                     { s.closed = true }
func (s *scripted) Failure(err error) error    { return err }

// TestARehearsalTakesBackWhatItMade whatever fails on the way, and says which steps those were.
func TestARehearsalTakesBackWhatItMade(t *testing.T) {
	for name, c := range map[string]struct {
		fails  []string
		alive  bool
		asked  string // with LOGIN for the throw-away login
		failed string // words of the steps that failed
		warns  bool
	}{
		"all is well":                  {asked: "meet list samples issue enter secure LOGIN, clean LOGIN"},
		"nobody gets in":               {fails: []string{"meet"}, asked: "meet", failed: "the administrator gets in"},
		"what is there is not told":    {fails: []string{"list"}, asked: "meet list", failed: "nothing is left"},
		"the parameters are not told":  {fails: []string{"samples"}, asked: "meet list samples", failed: "can be read"},
		"issue says no and did it":     {fails: []string{"issue"}, asked: "meet list samples issue secure LOGIN, clean LOGIN", failed: "a login can be made"},
		"the login does not get in":    {fails: []string{"enter"}, asked: "meet list samples issue enter secure LOGIN, clean LOGIN", failed: "it gets in"},
		"the session is not dead":      {alive: true, asked: "meet list samples issue enter secure LOGIN, clean LOGIN", failed: "its session is dead"},
		"it cannot be locked out":      {fails: []string{"secure LOGIN"}, asked: "meet list samples issue enter secure LOGIN, secure LOGIN, clean LOGIN", failed: "locked out"},
		"it cannot be dropped":         {fails: []string{"clean LOGIN"}, asked: "meet list samples issue enter secure LOGIN, clean LOGIN, clean LOGIN", failed: "dropped", warns: true},
		"neither, and nobody got in":   {fails: []string{"enter", "secure LOGIN", "clean LOGIN"}, asked: "meet list samples issue enter secure LOGIN, clean LOGIN", failed: "it gets in; locked out", warns: true},
		"what a dead one left is kept": {fails: []string{"secure pa_old"}, asked: "meet list secure pa_old", failed: "nothing is left"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scripted{alive: c.alive, fails: map[string]bool{}}
			r := rehearse(t, s, c.fails)
			asked := strings.ReplaceAll(strings.Join(s.asked, " "), s.order.Login, "LOGIN")
			if s.order.Login == "" {
				asked = strings.Join(s.asked, " ")
			}
			if want := strings.ReplaceAll(c.asked, ",", ""); asked != want {
				t.Errorf("asked %q, want %q", asked, want)
			}
			var failed []string
			for _, step := range r.Steps {
				if step.Err != nil {
					failed = append(failed, step.What)
				}
			}
			wanted := strings.Split(c.failed, "; ")
			if c.failed == "" {
				wanted = nil
			}
			if !slices.EqualFunc(failed, wanted, strings.Contains) || r.OK() != (wanted == nil) {
				t.Errorf("failed: %q, want %q", failed, wanted)
			}
			if got := len(r.Warnings) > 0; got != c.warns || got && !strings.Contains(r.Warnings[0].What, s.order.Login) {
				t.Errorf("warnings: %+v", r.Warnings)
			}
			if entered := slices.Contains(s.asked, "enter") && !s.fails["enter"]; entered != s.closed {
				t.Errorf("its session was closed: %v", s.closed)
			}
		})
	}
}

// rehearse plays on s. LOGIN in what fails stands for the throw-away login, whatever it is called.
func rehearse(t *testing.T, s *scripted, fails []string) grants.Rehearsal {
	t.Helper()
	for _, what := range fails {
		s.fails[what] = true
		if what == "secure pa_old" {
			s.left = []grants.Login{{Name: "pa_old"}}
		}
	}
	now := time.Now()
	r := grants.Rehearse(t.Context(), &renamed{s}, "pa_read_only", now)
	if o := s.order; o.Login != "" {
		if o.Fingerprint != "the cluster" || o.Stamp.Installation != grants.DoctorInstallation || !o.ValidUntil.Equal(now.Add(grants.RehearsalLasts)) || o.ConnectionLimit != 1 || len(o.Params) != 1 || len(o.Password.Reveal()) < 20 {
			t.Errorf("ordered %+v", o)
		}
	}
	return r
}

// renamed makes what a script says of LOGIN hold for the login of the order.
type renamed struct{ *scripted }

func (r *renamed) Issue(ctx context.Context, o grants.Order) (grants.Issued, error) {
	for _, step := range []string{"secure ", "clean "} {
		r.fails[step+o.Login] = r.fails[step+"LOGIN"]
	}
	return r.scripted.Issue(ctx, o)
}
