package approvals

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// step is one act that happened.
type step struct {
	before, after Case
	act           Act
	now           time.Time
}

// invariants are those of doc.go, by the names they have there. Each says what is wrong with a step, if anything is.
var invariants = map[string]func(step) string{
	"arrows":      onlyTheArrows,
	"own":         nobodyForThemselves,
	"one human":   oneHumanOneAnswer,
	"quorum":      approvedByEnough,
	"order":       nobodyAheadOfTheirTurn,
	"least":       theLeastIsGiven,
	"final":       saidIsSaid,
	"time":        nothingAfterItsTime,
	"reminders":   remindedOnceEach,
	"escalation":  escalatedAfterSilence,
	"review":      reviewedBySomebodyElse,
	"always ends": somethingAlwaysComes,
}

func onlyTheArrows(s step) string {
	from, to := s.before.Request.State, s.after.Request.State
	arrows := map[State][]State{
		Pending: {Approved, Denied, Cancelled, Lapsed}, Approved: {Activated, Cancelled, Lapsed}, Activated: {Approved},
	}
	if from != to && !slices.Contains(arrows[from], to) {
		return fmt.Sprintf("%s became %s", from, to)
	}
	if _, reopens := s.act.(Reopen); from == Activated && to == Approved && (!reopens || s.before.Grant.Cause != grants.Failed || !s.before.Grant.ShownAt.IsZero()) {
		return "taken access was given back though somebody may have seen a password"
	}
	return ""
}

func nobodyForThemselves(s step) string {
	for _, a := range s.after.Approvals {
		if a.By.Same(s.after.Request.Requester) {
			return "the requester answered"
		}
	}
	if r := s.after.Review; r != nil && r.ClosedBy.ID != "" && r.ClosedBy.Same(s.after.Request.Requester) {
		return "the requester closed the review"
	}
	return ""
}

func oneHumanOneAnswer(s step) string {
	answered := map[string]bool{}
	for _, a := range s.after.Approvals {
		if a.WithdrawnAt.IsZero() && answered[a.By.Email] {
			return a.By.Email + " has two answers"
		}
		answered[a.By.Email] = answered[a.By.Email] || a.WithdrawnAt.IsZero()
	}
	return ""
}

func approvedByEnough(s step) string {
	if s.before.Request.State != Pending {
		return ""
	}
	lacking := total(everyAssignment(s.after.Request.Decision.Approvals, s.after.Approvals))
	switch {
	case s.after.Request.State == Approved && lacking > 0:
		return fmt.Sprintf("approved with %d lacking", lacking)
	case s.after.Request.State == Pending && lacking == 0:
		return "still pending though nobody is lacking"
	}
	if _, yes := s.act.(Approve); yes && lacking >= total(everyAssignment(s.before.Request.Decision.Approvals, s.before.Approvals)) {
		return "a yes that helps nothing was taken"
	}
	return ""
}

func nobodyAheadOfTheirTurn(s step) string {
	a, yes := s.act.(Approve)
	if !yes || !s.after.Request.Decision.InOrder {
		return ""
	}
	given := s.after.Approvals[len(s.after.Approvals)-1]
	ahead := everyAssignment(s.before.Request.Decision.Approvals, s.before.Approvals)
	for _, i := range given.Fills {
		if !slices.Contains(a.Fills, i) {
			return fmt.Sprintf("counted for %d, to which nobody entitled them", i)
		}
		if total(ahead[:i]) > 0 {
			return fmt.Sprintf("counted for stage %d though %v were lacking", i, ahead)
		}
	}
	return ""
}

func theLeastIsGiven(s step) string {
	r := s.after.Request
	if r.Length() > r.Duration || r.Profile != "" && r.Access() != r.Profile && !slices.Contains(narrower[r.Access()], r.Profile) {
		return fmt.Sprintf("%s of %s is given, %s of %s was asked for", r.Length(), r.Access(), r.Duration, r.Profile)
	}
	shortest, named := r.Duration, false
	for _, a := range s.after.Approvals {
		if a.WithdrawnAt.IsZero() && a.Less != nil {
			if a.Less.Duration > 0 {
				shortest = min(shortest, a.Less.Duration)
			}
			if profile := a.Less.Profile; profile != "" {
				named = true
				if r.Access() != profile && !slices.Contains(narrower[r.Access()], profile) {
					return fmt.Sprintf("%s is given, which is not within %s", r.Access(), profile)
				}
			}
		}
	}
	if r.Length() != shortest || named != (r.Access() != r.Profile) {
		return fmt.Sprintf("%s of %s is given, and the least anybody said is %s", r.Length(), r.Access(), shortest)
	}
	if s.before.Request.State != Pending && !reflect.DeepEqual(s.before.Request.Less, r.Less) {
		return "what was agreed to has changed"
	}
	return ""
}

func saidIsSaid(s step) string {
	if slices.Contains([]State{Denied, Cancelled, Lapsed}, s.before.Request.State) && s.after.Request.State != s.before.Request.State {
		return "left " + string(s.before.Request.State)
	}
	if len(s.after.Approvals) < len(s.before.Approvals) {
		return "an answer is gone"
	}
	for i, was := range s.before.Approvals {
		is := s.after.Approvals[i]
		if w, taken := s.act.(Withdraw); taken && was.WithdrawnAt.IsZero() && is.WithdrawnAt.Equal(s.now) {
			if !w.By.Same(was.By) || was.Verdict != Yes || s.before.Request.State != Pending {
				return "somebody else's yes, a no, or one that had counted was taken back"
			}
			is.WithdrawnAt = time.Time{}
		}
		if !reflect.DeepEqual(was, is) {
			return "an answer has changed"
		}
	}
	if n := len(s.after.Approvals); n > 0 && s.after.Approvals[n-1].Verdict == No && s.after.Request.State != Denied {
		return "a no did not end it"
	}
	return ""
}

func nothingAfterItsTime(s step) string {
	late := !s.now.Before(s.before.Request.LapsesAt)
	from, to := s.before.Request.State, s.after.Request.State
	if late && from != to && to != Lapsed && to != Cancelled && from != Activated {
		return fmt.Sprintf("%s became %s after it lapsed", from, to)
	}
	if late && (len(s.after.Approvals) != len(s.before.Approvals)) {
		return "answered after it lapsed"
	}
	if to == Lapsed && from != to && !late {
		return "lapsed early"
	}
	before, after := s.before.Request, s.after.Request
	if from != to && to == Activated && s.now.Before(after.StartsAt) {
		return "taken before its start"
	}
	if to == Approved && from == Pending && after.LapsesAt.Sub(after.StartsAt) <= 0 {
		return "approved, and over before it can be taken"
	}
	if !before.StartsAt.Equal(after.StartsAt) || !before.StartedAt.Equal(after.StartedAt) && (!before.StartedAt.IsZero() || s.now.Before(after.StartsAt) || from != Approved) {
		return "its start has moved, or came early or twice"
	}
	return ""
}

func remindedOnceEach(s step) string {
	before, after := s.before.Request, s.after.Request
	if _, reminds := s.act.(Remind); !reminds {
		if before.Reminders != after.Reminders {
			return "counted without a reminder"
		}
		return ""
	}
	if before.State != Pending || after.Reminders <= before.Reminders {
		return fmt.Sprintf("reminded while %s, number %d after %d", before.State, after.Reminders, before.Reminders)
	}
	if at, _ := reminderAt(after.FiledAt, after.Decision.Waits.Remind, after.Reminders); at.After(s.now) {
		return "reminded early"
	}
	return ""
}

func escalatedAfterSilence(s step) string {
	before, after := s.before.Request, s.after.Request
	if _, escalates := s.act.(Escalate); !escalates {
		if before.Escalated != after.Escalated {
			return "counted without an escalation"
		}
		return ""
	}
	if before.State != Pending || after.Escalated != before.Escalated+1 || !after.EscalatedAt.Equal(s.now) {
		return fmt.Sprintf("while %s from %d to %d", before.State, before.Escalated, after.Escalated)
	}
	for _, a := range s.before.Approvals {
		wait := after.Decision.Escalations[before.Escalated].After
		if s.now.Sub(a.At) < wait || s.now.Sub(a.WithdrawnAt) < wait {
			return "somebody answered a moment ago"
		}
	}
	for i, requirement := range s.after.Request.needed() {
		if !slices.Contains(requirement.From, "group:managers") || requirement.Count != after.Decision.Approvals[i].Count {
			return "those it was escalated to may not fill everything, or fewer are needed"
		}
	}
	return ""
}

func reviewedBySomebodyElse(s step) string {
	was, is := s.before.Review, s.after.Review
	if (was == nil) != (is == nil) {
		return "a review came or went"
	}
	if is == nil {
		return ""
	}
	if is.Reminders < was.Reminders || !was.EscalatedAt.IsZero() && !is.EscalatedAt.Equal(was.EscalatedAt) || !is.DueAt.Equal(was.DueAt) {
		return "the review went backwards"
	}
	if !was.Open() {
		if !reflect.DeepEqual(was, is) {
			return "a closed review has changed"
		}
		return ""
	}
	if is.Open() {
		if state := s.after.Request.State; state == Cancelled || state == Lapsed {
			return "nobody took it, nobody can, and somebody has to look"
		}
		return ""
	}
	g := s.after.Grant
	if is.Verdict == Unused {
		if is.ClosedBy.ID != "" || s.after.Request.State != Cancelled && s.after.Request.State != Lapsed || g != nil && !g.ShownAt.IsZero() {
			return "closed as unused though it was, or could be, used"
		}
		return ""
	}
	a, closes := s.act.(CloseReview)
	if !closes || !a.Reviewer || is.Note == "" || s.after.Request.State != Activated || g == nil || g.Live() ||
		g.State == grants.Revoking && g.SecuredAt.IsZero() || s.after.Unsecured > 0 {
		return "closed by whoever may not, without a word, or while the access lives"
	}
	return ""
}

func somethingAlwaysComes(s step) string {
	var open bool
	switch s.after.Request.State {
	case Pending, Approved:
		open = true
	}
	upcoming := s.after.Upcoming(s.now)
	if (open || s.after.Review.Open()) && len(upcoming) == 0 {
		return "nothing will ever end this"
	}
	if !open && !s.after.Review.Open() && len(upcoming) > 0 {
		return "something is to come after the end"
	}
	if !slices.IsSortedFunc(upcoming, func(a, b Upcoming) int { return a.At.Compare(b.At) }) {
		return "what comes is not in order"
	}
	return ""
}
