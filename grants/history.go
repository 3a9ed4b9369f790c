package grants

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
)

// A store that was restored from a backup has forgotten what was issued since, and would take every such login for an
// orphan, in the middle of somebody's work. A store cannot know that it was restored; a target can: prodaccess leaves the
// head of the audit chain there, a moment after each issue and with each sweep. Where the chain does not have that link,
// it is not the chain that prodaccess went on with, whatever it has grown to since. Logins that the store then does not
// know are reported and left alone until an operator decides (`prodaccess targets sweep`) or their own end has come,
// whichever is first: the server has known that end since they were issued.
//
// A link that was not left in time (the store was lost within a moment of an issue) errs towards taking access away.

// markAfter is how long after an issue the mark is left; issues in between share it.
const markAfter = time.Second

// mark is a link of the chain as text.
func mark(head audit.Head) string { return "head " + strconv.FormatInt(head.Seq, 10) + ":" + head.Hash }

func parseMark(text string) (audit.Head, bool) {
	rest, ok := strings.CutPrefix(text, "head ")
	seq, hash, found := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(seq, 10, 64)
	if _, bad := hex.DecodeString(hash); !ok || !found || err != nil || bad != nil || hash == "" || n < 1 {
		return audit.Head{}, false
	}
	return audit.Head{Seq: n, Hash: hash}, true
}

// wentBack says whether the store is older than what a target remembers of it.
func (s *Service) wentBack(ctx context.Context, driver Driver) (bool, error) {
	memory, ok := driver.(Remembering)
	if !ok {
		return false, nil
	}
	text, err := memory.Remembered(ctx)
	if err != nil {
		return false, err
	}
	head, ok := parseMark(text)
	if !ok {
		return false, nil
	}
	holds, err := s.cfg.Store.Holds(ctx, head)
	return !holds, err
}

// leaveMark makes a target remember the end of the chain.
func (s *Service) leaveMark(ctx context.Context, driver Driver) error {
	memory, ok := driver.(Remembering)
	if !ok {
		return nil
	}
	head, err := s.cfg.Store.Head(ctx)
	if err != nil || head.Seq == 0 {
		return err
	}
	text := mark(head)
	if before, err := memory.Remembered(ctx); err != nil || before == text {
		return err
	}
	return memory.Remember(ctx, text)
}

// markSoon leaves a mark a moment after an issue, unless the store went back: that is for the sweep to find.
func (s *Service) markSoon(target string, driver Driver) {
	if _, ok := driver.(Remembering); !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marking[target] || s.closing() {
		return
	}
	s.marking[target] = true
	s.running.Go(func() {
		pause := time.NewTimer(markAfter)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-s.draining:
		}
		s.mu.Lock()
		delete(s.marking, target)
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(s.stopping, 5*time.Second)
		defer cancel()
		back, err := s.wentBack(ctx, driver)
		if err == nil && !back {
			err = s.leaveMark(ctx, driver)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Debug().Err(err).Str("target", target).Msg("no mark was left after an issue; the sweep leaves one")
		}
	})
}

// Unknown lists a target's logins of ours that the store does not know, while it is older than what the target remembers.
func (s *Service) Unknown(ctx context.Context, target string) ([]Login, error) {
	driver, err := s.driver(target)
	if err != nil {
		return nil, err
	}
	back, err := s.wentBack(ctx, driver)
	if err != nil || !back {
		return nil, err
	}
	logins, err := driver.Logins(ctx)
	if err != nil {
		return nil, err
	}
	var out []Login
	for _, login := range logins {
		_, known, err := s.explains(ctx, login)
		if err != nil {
			return nil, err
		}
		if !known {
			out = append(out, login)
		}
	}
	return out, nil
}

// TakeUnknown locks out and drops the logins that an operator was shown, and lets the target remember the store as it is.
func (s *Service) TakeUnknown(ctx context.Context, target string, logins []Login, by audit.Actor, source string) error {
	driver, err := s.driver(target)
	if err != nil {
		return err
	}
	fingerprint, err := driver.Fingerprint(ctx)
	if err != nil {
		return err
	}
	for _, login := range logins {
		login.Fingerprint = fingerprint
		event := audit.Event{
			At: s.cfg.Now(), Kind: audit.LoginOrphaned, Actor: by, Source: source, Target: target, Grant: login.Stamp.Grant,
			Reason: "the store was restored and does not know this login; an operator had it taken away",
			Detail: map[string]string{"login": login.Name, "oid": fmt.Sprint(login.OID)},
		}
		if err := s.cfg.Store.Record(ctx, []audit.Event{event}, nil); err != nil {
			return fmt.Errorf("recording that %s is taken away: %w", login.Name, err)
		}
		o := orphan{login: login}
		if err := s.lockOrphan(ctx, driver, target, login); err != nil {
			return err
		}
		if err := s.dropOrphan(ctx, driver, target, o, by, source); err != nil {
			return err
		}
	}
	return s.leaveMark(ctx, driver)
}
