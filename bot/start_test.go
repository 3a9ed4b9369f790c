package bot

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
	"pgregory.net/rapid"
)

// later is a decision as policies make it: access may start a week ahead.
func later(approvals.Filing) policy.Decision {
	return policy.Decision{
		Outcome: policy.NeedsApproval, Rule: "backend reads", Why: "Needs 1 approval.", MaxDuration: 2 * time.Hour, StartWithin: 7 * 24 * time.Hour,
		Approvals: []policy.Requirement{{From: []string{"group:dba"}, Count: 1}},
	}
}

func TestFormAsksWhen(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.decides(later)
		w.does(w.ana.Command("/prodaccess"))
		w.window(w.ana, "Start: ‹Now›")
		w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
		w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
		w.window(w.ana, "Needs one of @dba")
		w.does(w.ana.Fills(map[string]string{"Start": "Later…"}))
		proposed := proposedStart(time.Now())
		v := w.window(w.ana, "Starts at: ‹")
		if !strings.Contains(v.Text, proposed.UTC().Format("2006-01-02 15:04")) && !strings.Contains(v.Text, proposed.Add(time.Hour).UTC().Format("2006-01-02 15:04")) {
			w.Errorf("the next hour is not proposed:\n%s", v.Text)
		}
		when := time.Now().Add(49 * time.Hour).Truncate(time.Minute)
		w.does(w.ana.Fills(map[string]string{"Starts at": fmt.Sprint(when.Unix())}))
		w.window(w.ana, "🗓️ Starts "+when.UTC().Format("2 Jan 15:04 UTC"))
		for _, wrong := range []struct{ field, words string }{{policy.FieldStart, "At most 2d ahead."}, {labelStart, "That time is past."}} {
			w.service.decides(func(approvals.Filing) policy.Decision {
				return policy.Decision{Outcome: policy.Denied, Why: wrong.words, Field: wrong.field}
			})
			if wrong.field == labelStart {
				w.service.decides(later)
				w.service.failing("File", &approvals.Refusal{Code: approvals.BadInput, Field: labelStart, Words: wrong.words})
			}
			if r := w.ana.Submits(map[string]string{"Reason": "release"}); r.Errors["Starts at"] != wrong.words || len(r.Errors) != 1 {
				w.Errorf("%q stands at %v (%v)", wrong.words, r.Errors, r.Err())
			}
		}
		w.service.failing("File", nil)
		w.does(w.ana.Submits(map[string]string{"Reason": "release"}))
		if got := w.service.cases["r1"].Request.StartsAt; !got.Equal(when) {
			w.Errorf("it starts %s, chosen was %s", got, when)
		}
		w.sees(w.bo, "*Start*")
	})
}

// Where the policy gives access at once only, the form does not ask when.
func TestFormDoesNotAskWhenInVain(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	never, week := allowed("orders-prod", "read-only", time.Hour), allowed("orders-prod", "data-fix", time.Hour)
	week.Decision.StartWithin = 7 * 24 * time.Hour
	w.offers(never, week)
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "Start: ‹Now›")
	w.does(w.ana.Fills(map[string]string{"Access": "data-fix", "Start": "Later…"}))
	w.window(w.ana, "Starts at")
	w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
	for ctx := soon(t); ; time.Sleep(5 * time.Millisecond) {
		no(t, ctx.Err())
		if v, open := w.ana.View(); open && !strings.Contains(v.Text, "Start") {
			break
		}
	}
	w.does(w.ana.Submits(map[string]string{"Reason": "why"}))
	if got := w.service.cases["r1"].Request.StartsAt; !got.IsZero() {
		t.Errorf("it starts %s", got)
	}
}

func TestLineSaysWhen(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes})
	w.service.decides(later)
	zone, err := time.LoadLocation("America/New_York")
	no(t, err)
	nina := w.ws.AddPerson(sandbox.Person{Name: "nina", Email: "nina@example.com", TZ: zone.String()})
	tomorrow := time.Now().In(zone).AddDate(0, 0, 1).Format(time.DateOnly)
	w.does(nina.Command("/prodaccess orders-prod read-only 30m start=" + tomorrow + "T14:30 INC-1 release"))
	want, err := time.ParseInLocation("2006-01-02T15:04", tomorrow+"T14:30", zone)
	no(t, err)
	r := w.wishes()[0]
	if !r.StartsAt.Equal(want) || len(r.Params) > 0 || r.Ticket != "INC-1" || r.Reason != "release" {
		t.Errorf("asked for was %+v, to start %s", r, want)
	}
	w.sees(nina, "starts "+want.UTC().Format("2 Jan 15:04 UTC"))
	w.drawing.Wait()
	for line, said := range map[string]string{
		"orders-prod read-only 30m start=noon why":                       `"noon" is not a time to start at; write start=14:30`,
		"orders-prod read-only 30m start=2026-03-08T02:30 why":           "there is no 2026-03-08T02:30 in America/New_York",
		"break-glass orders-prod read-only start=14:30 all is lost":      "Broken glass never starts later.",
		"explain orders-prod read-only start=" + tomorrow + "T14:30 30m": "For a start " + want.UTC().Format("2 Jan 15:04 UTC"),
	} {
		w.does(nina.Command("/prodaccess " + line))
		if text := strings.ToLower(w.sees(nina, said[1:]).Text); !strings.Contains(text, strings.ToLower(said)) {
			t.Errorf("%s: %s", line, text)
		}
	}
	// An access with a parameter of that name keeps it.
	w.bot.service = crowded{w.service, 1, policy.Profile{Name: "support", Parameters: []policy.Parameter{{Name: "start", Type: "text"}}}}
	w.does(nina.Command("/prodaccess orders-000- support 30m start=14:30 why"))
	w.drawing.Wait()
	if r := w.wishes()[1]; !r.StartsAt.IsZero() || r.Params["start"] != "14:30" {
		t.Errorf("the parameter was taken: %+v", r)
	}
}

func TestReadStart(t *testing.T) {
	t.Parallel()
	paris, err := time.LoadLocation("Europe/Paris")
	no(t, err)
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339, text)
		no(t, err)
		return out
	}
	for _, tc := range []struct{ now, text, want, wrong string }{
		{"2026-11-22T12:00:00Z", "14:30", "2026-11-22T13:30:00Z", ""},
		{"2026-11-22T13:30:05Z", "14:30", "2026-11-22T13:30:00Z", ""}, // what has just been is now
		{"2026-11-22T13:32:00Z", "14:30", "2026-11-23T13:30:00Z", ""},
		{"2026-11-22T23:00:30Z", "23:59", "2026-11-22T22:59:00Z", ""},
		{"2026-10-24T23:45:00Z", "02:30", "2026-10-25T00:30:00Z", ""}, // the first of two
		{"2026-10-25T00:45:00Z", "02:30", "2026-10-25T01:30:00Z", ""}, // the second
		{"2026-10-25T01:45:00Z", "02:30", "2026-10-26T01:30:00Z", ""},
		{"2026-10-24T12:00:00Z", "2026-10-25T02:30", "2026-10-25T00:30:00Z", ""},
		{"2026-10-25T00:45:00Z", "2026-10-25T02:30", "2026-10-25T01:30:00Z", ""},
		{"2026-10-26T00:45:00Z", "2026-10-25T02:30", "2026-10-25T00:30:00Z", ""}, // past, and refused as such later
		{"2026-11-22T12:00:00Z", "2026-11-24T9:30", "2026-11-24T08:30:00Z", ""},
		{"2026-11-22T23:30:00Z", "00:15", "2026-11-23T23:15:00Z", ""}, // in Paris it is half past midnight already
		{"2026-11-22T22:30:00Z", "00:15", "2026-11-22T23:15:00Z", ""},
		{"2026-12-31T22:59:00Z", "00:15", "2026-12-31T23:15:00Z", ""},
		{"2026-03-28T12:00:00Z", "02:30", "2026-03-30T00:30:00Z", ""}, // on the 29th that hour is left out
		{"2026-11-22T12:00:00Z", "2026-11-24T08:00", "2026-11-24T07:00:00Z", ""},
		{"2026-11-22T12:00:00Z", "2026-11-24T08:00:30", "2026-11-24T07:00:30Z", ""},
		{"2026-11-22T12:00:00Z", "2026-11-24T08:00Z", "2026-11-24T08:00:00Z", ""},
		{"2026-11-22T12:00:00Z", "2026-11-24T08:00-05:00", "2026-11-24T13:00:00Z", ""},
		{"2026-11-22T12:00:00Z", "2026-03-29T02:30", "", "the clocks are put forward"},
		{"2026-11-22T12:00:00Z", "25:00", "", `"25:00" is not a time to start at`},
		{"2026-11-22T12:00:00Z", "tomorrow", "", "start=2026-11-23T14:30 for a day"},
		{"2026-11-22T12:00:00Z", "2026-13-01T00:00", "", "is not a time"},
		{"2026-11-22T12:00:00Z", "", "", "is not a time"},
	} {
		got, err := readStart(tc.text, at(tc.now), paris)
		switch {
		case tc.wrong != "":
			if err == nil || !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("%q: %v", tc.text, err)
			}
		case err != nil || !got.Equal(at(tc.want)):
			t.Errorf("%q at %s is %s (%v), not %s", tc.text, tc.now, got.UTC(), err, tc.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // whatever is written, a clock's next time is within two days and not past
		now := at("2026-01-01T00:00:00Z").Add(time.Duration(rapid.Int64Range(0, 366*24*3600).Draw(t, "now")) * time.Second)
		text := fmt.Sprintf("%02d:%02d", rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute"))
		if got, err := readStart(text, now, paris); err != nil || now.Sub(got) >= approvals.StartSlack || got.Sub(now) > 50*time.Hour || got.Format("15:04") != text {
			t.Fatalf("%s at %s is %s: %v", text, now, got, err)
		}
		_, _ = readStart(rapid.String().Draw(t, "anything"), now, paris)
	})
}

// Where Slack does not say who somebody is, or names a zone that nobody knows, no zone is guessed.
func TestStartNeedsAZone(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes})
	w.service.decides(later)
	odd := w.ws.AddPerson(sandbox.Person{Name: "odd", Email: "odd@example.com", TZ: "Mars/Olympus"})
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	for _, start := range []string{"14:30", tomorrow + "T14:30"} {
		w.does(odd.Command("/prodaccess orders-prod read-only 30m start=" + start + " release"))
		w.sees(odd, "our time zone is not known now; write it with a zone, "+tomorrow+"T14:30+01:00.")
	}
	if n := len(w.wishes()); n != 0 {
		t.Fatalf("%d requests were filed", n)
	}
	w.does(odd.Command("/prodaccess orders-prod read-only 30m start=" + tomorrow + "T14:30+01:00 release"))
	if r := w.wishes()[0]; r.StartsAt.UTC().Format("2006-01-02T15:04") != tomorrow+"T13:30" {
		t.Errorf("it starts %s", r.StartsAt)
	}
	if _, err := readStart("14:30", noon, nil); err == nil || !strings.Contains(err.Error(), "time zone is not known") {
		t.Errorf("read as %v", err)
	}
}

// A press before the start is answered with the instant in the reader's own zone.
func TestTooEarlyIsSaidInTheReadersZone(t *testing.T) {
	t.Parallel()
	b := &Bot{}
	starts := noon.Add(3 * time.Hour)
	text, _ := b.words(&approvals.Refusal{Code: approvals.TooEarly, When: starts, Words: "This access starts " + approvals.Instant(starts) + "."})
	if text != "This access starts "+at(starts)+"." || !strings.Contains(text, "<!date^") {
		t.Errorf("said is %q", text)
	}
}

// The requester hears quietly of the approval, and loudly when there is something to take.
func TestReadyIsSaidAtTheStart(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes})
	w.service.decides(later)
	w.does(w.ana.Command("/prodaccess orders-prod read-only 30m start=" + time.Now().UTC().Add(26*time.Hour).Format("2006-01-02T15:04") + "Z release"))
	w.button(w.bo, "Approve")
	w.does(w.bo.Clicks("Approve"))
	w.sees(w.ana, "You are told here when it can be taken.")
	w.drawing.Wait()
	if seen := w.ana.Sees(); strings.Contains(seen, "[Get credentials]") || strings.Contains(seen, "can be taken now") || strings.Contains(seen, "@ana ✅") {
		t.Errorf("there is nothing to take yet:\n%s", seen)
	}
	_, err := w.service.change("", "r1", func(c *approvals.Case) error {
		c.Request.StartsAt, c.Request.StartedAt = time.Now().Add(-time.Second), time.Now()
		c.Request.ApprovedAt = time.Now().Add(-time.Hour)
		return nil
	})
	no(t, err)
	w.sees(w.ana, "can be taken now. Press *Get credentials* above")
	w.button(w.ana, "Get credentials")
	w.draws("r1")
	if n := strings.Count(w.ana.Sees(), "can be taken now"); n != 1 {
		t.Errorf("it is said %d times", n)
	}
}

func TestUsualStandsBesideWhoIsAsked(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.service.usual = approvals.Usual{Answered: 3, Median: 4 * time.Minute}
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "Request access")
	w.does(w.ana.Fills(map[string]string{"Database": "orders-prod", "Access": "read-only"}))
	w.window(w.ana, "*Needs one of @dba*, usually answered in 4 min")
	w.does(w.ana.Submits(map[string]string{"Reason": "why"}))
	w.sees(w.bo, "Needs one of @dba, usually answered in 4 min. ")
	w.sees(w.ana, "Needs one of @dba, usually answered in 4 min. ")
	w.drawing.Wait()
	w.service.mu.Lock()
	w.service.usual = approvals.Usual{Answered: 1, Lapsed: 3}
	w.service.mu.Unlock()
	w.does(w.ana.Command("/prodaccess orders-prod read-only 30m again"))
	w.sees(w.bo, "Needs one of @dba, often not answered. ")
	w.drawing.Wait()
}

// TestForms draws the form as it can be, and Slack takes it.
func TestForms(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	for kind, written := range writings {
		name := func(text string) string { return plain(line(text), longestValue) }
		profile := policy.Profile{Name: name(written.profile), Risk: "high", Description: written.why, Parameters: []policy.Parameter{
			{Name: "customer_id", Type: "bigint", Required: true, Description: written.why}, {Name: "since", Type: "date"}, {Name: "paid", Type: "boolean"}, {Name: "note", Type: "text"},
		}}
		target := name(written.target)
		m := menu{
			targets: []grants.Target{{Name: target, Environment: written.why}, {Name: "billing-prod"}}, profiles: map[string][]policy.Profile{target: {profile}, "billing-prod": {profile}},
			offers: map[[2]string]policy.Decision{{target, profile.Name}: {MaxDuration: 2 * time.Hour, StartWithin: 7 * 24 * time.Hour}},
		}
		filled := wish{
			target: target, profile: profile.Name, length: otherLength, exact: strings.Repeat("1h", 30), start: startLater, startsAt: noon.Add(26 * time.Hour).Unix(),
			ticket: written.ticket, reason: written.reason, note: formNote{Restored: true, Cleared: 1},
			params: map[string]string{"customer_id": strings.Repeat("9", 300), "since": "2026-03-01", "paid": "true", "note": written.note},
		}
		again := filled
		again.note = formNote{Cleared: 2}
		preview := outlookOf(written.asked().Request.Decision, "usually answered in 4 min")
		for shape, wish := range map[string]wish{"form": {note: formNote{Cleared: 3}}, "form-chosen": {target: target, profile: profile.Name, note: formNote{Cleared: 4}}, "form-filled": filled, "form-cleared": again} {
			view := w.bot.form(m, wish, preview)
			w.does(w.ana.Command("/prodaccess"))
			opened := w.window(w.ana, "Request access")
			if _, err := w.slack.api.UpdateViewContext(t.Context(), view, "", "", opened.ID); err != nil {
				refused, _ := err.(slack.SlackErrorResponse)
				t.Fatalf("slack refuses %s/%s: %v %v", kind, shape, err, refused.ResponseMetadata.Messages)
			}
			v, _ := w.ana.View()
			if shape != "form-cleared" {
				golden(t, filepath.Join(kind, "view-"+shape), v.Text+"\n")
			} else if read := read(slack.View{PrivateMetadata: view.PrivateMetadata, State: &slack.ViewState{Values: stateOf(view)}}); read.target != again.target || read.startsAt != again.startsAt || read.params["paid"] != "true" || read.exact == "" || read.reason == "" {
				t.Errorf("%s: what was cleared and filled in again reads %+v", kind, read)
			}
			harmless(t, message{blocks: view.Blocks.BlockSet})
			w.does(w.ana.Closes())
		}
	}
}

// stateOf is what a form holds that nobody touched.
func stateOf(view slack.ModalViewRequest) map[string]map[string]slack.BlockAction {
	out := map[string]map[string]slack.BlockAction{}
	for _, b := range view.Blocks.BlockSet {
		input, ok := b.(*slack.InputBlock)
		if !ok {
			continue
		}
		switch e := input.Element.(type) {
		case *slack.PlainTextInputBlockElement:
			out[input.BlockID] = map[string]slack.BlockAction{e.ActionID: {Value: e.InitialValue}}
		case *slack.SelectBlockElement:
			action := slack.BlockAction{}
			if e.InitialOption != nil {
				action.SelectedOption = *e.InitialOption
			}
			out[input.BlockID] = map[string]slack.BlockAction{e.ActionID: action}
		case *slack.DateTimePickerBlockElement:
			out[input.BlockID] = map[string]slack.BlockAction{e.ActionID: {SelectedDateTime: e.InitialDateTime}}
		}
	}
	return out
}
