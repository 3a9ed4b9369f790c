package grants

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/audit"
)

// ErrState means that the grant is not in a state in which that can be done to it.
var ErrState = errors.New("grants: wrong state")

// Ending says why a grant is ended, by whom and from where.
type Ending struct {
	Cause  Cause
	By     audit.Actor
	Note   string
	Source string
	// Delivery is what asked for it, see audit.Once; empty for what time and prodaccess itself do.
	Delivery string
}

// The functions below are the whole state machine: pure, each one transition. Every other state is refused with ErrState.

func issued(g Grant, oid uint32, at time.Time) (Grant, error) {
	if g.State != Provisioning {
		return g, fmt.Errorf("%w: %s cannot become active", ErrState, g.State)
	}
	g.State, g.OID, g.IssuedAt = Active, oid, at
	return g, nil
}

func ending(g Grant, e Ending, at time.Time) (Grant, error) {
	if !g.Live() {
		return g, fmt.Errorf("%w: %s cannot be ended", ErrState, g.State)
	}
	g.State, g.EndingAt = Revoking, at
	g.Cause, g.EndedBy, g.Note = e.Cause, e.By, e.Note
	g.Attempts, g.LastError = 0, ""
	return g, nil
}

func secured(g Grant, s Secured, at time.Time) (Grant, error) {
	if g.State != Revoking {
		return g, fmt.Errorf("%w: %s cannot become secured", ErrState, g.State)
	}
	if g.OID == 0 {
		g.OID = s.OID
	}
	g.State, g.SecuredAt = Cleanup, at
	g.Attempts, g.LastError = 0, ""
	// What tries found that failed half way counts; this one may have found a login that was locked and had no session.
	all := foundIn(s)
	if g.Receipt != nil {
		all = found{killed: g.Receipt.Killed, lockedAt: g.Receipt.LockedAt}.and(all)
	}
	g.Receipt = &Receipt{
		Login: g.Login, OID: g.OID, Target: g.Target, Fingerprint: g.Fingerprint, Deadline: g.Deadline,
		LockedAt: all.lockedAt, Killed: all.killed, Nodes: s.Nodes, SecuredAt: at,
		NeverExisted: !s.Existed && g.OID == 0 && all.lockedAt.IsZero(), Checks: s.Checks,
	}
	return g, nil
}

func cleaned(g Grant, c Cleaned, at time.Time) (Grant, error) {
	if g.State != Cleanup {
		return g, fmt.Errorf("%w: %s cannot become revoked", ErrState, g.State)
	}
	receipt := *g.Receipt
	receipt.DroppedAt, receipt.VerifiedAt = c.DroppedAt, at
	receipt.Checks = append(append([]Check(nil), receipt.Checks...), c.Checks...)
	receipt.Leftovers = merge(receipt.Leftovers, c.Leftovers)
	// What the security step could not hold (somebody had made others members of the login) is over with the drop and
	// stays on the receipt as it was found. What the last look says must hold.
	for _, check := range c.Checks {
		if !check.OK {
			return g, fmt.Errorf("%w: the check %q does not hold", ErrState, check.What)
		}
	}
	g.State, g.EndedAt, g.Receipt = Revoked, at, &receipt
	g.Attempts, g.LastError = 0, ""
	return g, nil
}

// writtenOff ends a grant without proof.
func writtenOff(g Grant, words string, at time.Time) (Grant, error) {
	if g.State != Revoking && g.State != Cleanup {
		return g, fmt.Errorf("%w: %s cannot be written off; only what should be over can", ErrState, g.State)
	}
	receipt := Receipt{Login: g.Login, OID: g.OID, Target: g.Target, Fingerprint: g.Fingerprint, Deadline: g.Deadline, Nodes: []string{}, Checks: []Check{}}
	if g.Receipt != nil {
		receipt = *g.Receipt // what the security step proved, it proved
	}
	receipt.WrittenOff = words
	g.State, g.EndedAt, g.Receipt = Revoked, at, &receipt
	g.Attempts, g.LastError = 0, ""
	return g, nil
}

func extended(g Grant, deadline, notAfter time.Time) (Grant, error) {
	if g.State != Active {
		return g, fmt.Errorf("%w: %s cannot be extended", ErrState, g.State)
	}
	if !notAfter.IsZero() && deadline.After(notAfter) {
		deadline = notAfter
	}
	if !deadline.After(g.Deadline) {
		return g, fmt.Errorf("%w: the deadline can only move later", ErrState)
	}
	g.Deadline, g.NotAfter = deadline, notAfter
	g.Extensions++
	return g, nil
}

// merge adds what is new. An earlier try may have moved things and failed later; a later one does not find them again.
func merge(known, found []Leftover) []Leftover {
	for _, l := range found {
		if !slices.Contains(known, l) {
			known = append(slices.Clip(known), l)
		}
	}
	return known
}
