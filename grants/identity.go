package grants

import (
	"context"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/audit"
)

// A target is the cluster that answered under its name when it was first used, until an operator says otherwise: a press
// made while another one answers would hand out a login on a database that nobody chose.

// believedFor is how long an identity that was read is not read again.
const believedFor = 5 * time.Second

// answeredFor is how long a target's answer about itself serves the next press. The transaction that makes the login asks
// again, on the server, so that this only spares a message.
const answeredFor = time.Second

// identity is what the store said last, and when the target last said the same.
type identity struct {
	fingerprint string
	readAt      time.Time
	answeredAt  time.Time
}

// whoAnswers asks a target for its fingerprint, unless it gave the trusted one a moment ago.
func (s *Service) whoAnswers(ctx context.Context, target string, driver Driver) (string, error) {
	now := s.cfg.Now()
	s.mu.Lock()
	known := s.identities[target]
	s.mu.Unlock()
	if age := now.Sub(known.answeredAt); known.fingerprint != "" && age >= 0 && age < answeredFor {
		return known.fingerprint, nil
	}
	fingerprint, err := driver.Fingerprint(ctx)
	if err != nil {
		return "", err
	}
	if err := s.identify(ctx, target, fingerprint); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known = s.identities[target]
	known.answeredAt = now
	s.identities[target] = known
	return fingerprint, nil
}

// identify refuses (FailSwapped) a cluster that is not the one the target is trusted to be. The first one ever seen is.
func (s *Service) identify(ctx context.Context, target, fingerprint string) error {
	now := s.cfg.Now()
	s.mu.Lock()
	known := s.identities[target]
	s.mu.Unlock()
	if known.fingerprint == fingerprint && now.Sub(known.readAt) < believedFor {
		return nil
	}
	trusted, err := s.cfg.Store.TargetIdentity(ctx, target)
	if err == nil && trusted == "" {
		trusted, err = s.cfg.Store.TrustTarget(ctx, target, "", fingerprint, s.trusting(target, "", fingerprint, audit.System("grants"), ""))
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.identities[target] = identity{fingerprint: trusted, readAt: now}
	s.mu.Unlock()
	if trusted == fingerprint {
		return nil
	}
	return &Failure{
		Reason: FailSwapped, Mend: "if that is as it should be: prodaccess targets trust " + target,
		Err: fmt.Errorf("another cluster answers as %s: %s instead of %s", target, fingerprint, trusted),
	}
}

func (s *Service) trusting(target, before, fingerprint string, by audit.Actor, source string) audit.Event {
	event := audit.Event{
		At: s.cfg.Now(), Kind: audit.TargetTrusted, Actor: by, Source: source, Target: target,
		Detail: map[string]string{"fingerprint": fingerprint},
	}
	if before != "" {
		event.Detail["before"] = before
	}
	return event
}

// Identity says which cluster a target is trusted to be ("" for none yet) and which one answers now.
func (s *Service) Identity(ctx context.Context, target string) (trusted, answers string, err error) {
	driver, err := s.driver(target)
	if err != nil {
		return "", "", err
	}
	if trusted, err = s.cfg.Store.TargetIdentity(ctx, target); err != nil {
		return "", "", err
	}
	answers, err = driver.Fingerprint(ctx)
	return trusted, answers, err
}

// Trust makes the cluster with that fingerprint the target, if it was trusted to be before until now.
func (s *Service) Trust(ctx context.Context, target, before, fingerprint string, by audit.Actor, source string) error {
	now, err := s.cfg.Store.TrustTarget(ctx, target, before, fingerprint, s.trusting(target, before, fingerprint, by, source))
	if err != nil {
		return err
	}
	if now != fingerprint {
		return fmt.Errorf("%w: meanwhile %s was made to be %s", ErrState, target, now)
	}
	return nil
}
