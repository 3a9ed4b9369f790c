package grants

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// Config is what a Service needs. Every field without "optional" is required.
type Config struct {
	Store Store
	// Targets people can be given logins on, with the driver of each.
	Targets []Target
	Drivers map[string]Driver
	// Installation identifies the store in stamps.
	Installation string
	Now          func() time.Time
	Log          zerolog.Logger
	// ConnectionLimit is how many sessions a login may have when its profile says nothing.
	ConnectionLimit int
	// Grace is how long after the deadline the server itself still accepts the password, so that a clock a little ahead
	// does not cut access short. The reaper does not wait for it.
	Grace time.Duration
	// OverdueAfter is how long past its end an unsecured grant may be before the alarm; at most a minute.
	OverdueAfter time.Duration
	// Parallel is how many revocations may run on one target at once from this replica.
	Parallel int
}

// Service issues, extends and ends grants. It does not authorise: package approvals does, and nothing else calls it for
// a person.
type Service struct {
	cfg     Config
	targets map[string]Target

	// woken tells the reaper that a deadline may have come closer.
	woken chan struct{}

	// pursuits are revocations under way in this replica, and since when, by grant id; lanes orders them per target.
	mu       sync.Mutex
	pursuits map[string]time.Time
	lanes    map[string]*lane
	// together are the targets whose driver takes many logins back in one message.
	together map[string]*together
	// extended are the deadlines that this replica moved and that are to come.
	extended map[string]time.Time
	// orphans remembers when this replica last reported an orphaned login or another finding of the sweep, by target and name.
	orphans map[string]time.Time
	// rehearsed remembers when this replica first saw each login of a rehearsal that is still there, by target and name.
	rehearsed map[string]map[string]time.Time
	// identities are the clusters that targets are trusted to be, marking the targets that are about to be told of an issue.
	identities map[string]identity
	marking    map[string]bool
	// finds are what was done and is not written down yet, by grant id.
	finds    map[string]found
	running  sync.WaitGroup
	draining chan struct{} // closed when no new try may begin
	drain    sync.Once
	stopping context.Context // ends when tries under way are cut off
	stop     context.CancelFunc
}

// New refuses a configuration with a hole in it.
func New(cfg Config) (*Service, error) {
	var missing []string
	if cfg.Store == nil {
		missing = append(missing, "Store")
	}
	if cfg.Now == nil {
		missing = append(missing, "Now")
	}
	if cfg.Installation == "" {
		missing = append(missing, "Installation")
	}
	if cfg.ConnectionLimit <= 0 {
		missing = append(missing, "ConnectionLimit")
	}
	if cfg.Grace <= 0 {
		missing = append(missing, "Grace")
	}
	if cfg.Parallel <= 0 {
		missing = append(missing, "Parallel")
	}
	if cfg.OverdueAfter <= 0 || cfg.OverdueAfter > time.Minute {
		missing = append(missing, "OverdueAfter of at most a minute")
	}
	s := &Service{
		cfg: cfg, targets: map[string]Target{}, woken: make(chan struct{}, 1),
		pursuits: map[string]time.Time{}, lanes: map[string]*lane{}, together: map[string]*together{}, orphans: map[string]time.Time{},
		extended:   map[string]time.Time{},
		rehearsed:  map[string]map[string]time.Time{},
		identities: map[string]identity{}, finds: map[string]found{}, marking: map[string]bool{}, draining: make(chan struct{}),
	}
	for _, t := range cfg.Targets {
		s.targets[t.Name] = t
		s.lanes[t.Name] = newLane(max(cfg.Parallel, 1))
		if cfg.Drivers[t.Name] == nil {
			missing = append(missing, "Drivers["+t.Name+"]")
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("making the grant service: missing %s", strings.Join(missing, ", "))
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	for _, t := range cfg.Targets {
		if many, ok := cfg.Drivers[t.Name].(Many); ok {
			s.lanes[t.Name] = newLane(unbounded)
			s.together[t.Name] = newTogether(many, s.stopping)
		}
	}
	return s, nil
}

// Close begins no further try of a revocation, waits for those under way until ctx ends, then cuts them off. Whoever
// starts next goes on with them.
func (s *Service) Close(ctx context.Context) error {
	s.drain.Do(func() { close(s.draining) })
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		for _, t := range s.together {
			t.close()
		}
		close(done)
	}()
	select {
	case <-done:
		s.stop()
		return nil
	case <-ctx.Done():
		s.stop()
		<-done
		return ctx.Err()
	}
}

// driver returns the target's driver, or a failure that says that the target left the configuration.
func (s *Service) driver(target string) (Driver, error) {
	if d := s.cfg.Drivers[target]; d != nil {
		return d, nil
	}
	return nil, &Failure{
		Reason: FailUnreachable, Err: fmt.Errorf("target %q is not configured", target),
		Mend: "put the target back into the configuration until its last grant is revoked",
	}
}

// login says which login a grant means, in a driver's terms.
func (s *Service) login(g Grant) Login {
	return Login{
		Name: g.Login, OID: g.OID, Fingerprint: g.Fingerprint,
		Stamp: Stamp{Installation: s.cfg.Installation, Grant: g.ID},
	}
}

// event starts an audit event about a grant.
func (s *Service) event(kind audit.Kind, g Grant, by audit.Actor, source string) audit.Event {
	return audit.Event{
		At: s.cfg.Now(), Kind: kind, Actor: by, Source: source,
		Request: g.Request, Grant: g.ID, Target: g.Target, Profile: g.Profile,
		Detail: map[string]string{"login": g.Login},
	}
}

// wake makes the reaper look at the store at once.
func (s *Service) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// draw is the job that follows from every change.
func draw(g Grant) jobs.Job { return jobs.Job{Kind: jobs.Draw, Subject: g.Request} }

// Grant returns one grant.
func (s *Service) Grant(ctx context.Context, id string) (Grant, error) {
	return s.cfg.Store.Grant(ctx, id)
}

// NewID makes an identifier of 50 random bits in lower-case Base32: short enough for a login's name and for a person to
// read out, and the store refuses the second of two equal ones.
func NewID() string { return strings.ToLower(rand.Text()[:10]) }
