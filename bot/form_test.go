package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

// crowded is a service with more and longer things to ask for than Slack's form takes.
type crowded struct {
	*fakeService
	targets int
	profile policy.Profile
}

func (c crowded) Targets() []grants.Target {
	var out []grants.Target
	for i := range c.targets {
		out = append(out, grants.Target{Name: fmt.Sprintf("orders-%03d-%s", i, strings.Repeat("x", i)), Environment: strings.Repeat("production & ", 20)})
	}
	return out
}

func (c crowded) Profiles(string) []policy.Profile { return []policy.Profile{c.profile} }

func (c crowded) Me(context.Context, string) (approvals.Me, error) {
	return approvals.Me{}, errors.New("nobody knows")
}

func TestFormHoldsWhatSlackTakes(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	long := policy.Profile{Name: "support", Risk: "medium", Description: strings.Repeat("reads <everything> & more ", 100)}
	for i := range 40 {
		long.Parameters = append(long.Parameters, policy.Parameter{Name: fmt.Sprintf("p%d", i), Type: "bigint", Required: true, Description: strings.Repeat("d", 3000)})
	}
	for name, service := range map[string]crowded{
		"many":    {w.service, 180, long},
		"one":     {w.service, 1, policy.Profile{Name: "a"}},
		"nothing": {w.service, 0, policy.Profile{Name: "a"}},
		"no name": {w.service, 3, policy.Profile{Name: strings.Repeat("x", 300)}},
	} {
		w.does(w.ana.Command("/prodaccess"))
		opened := w.window(w.ana, "Request access")
		w.bot.service = service
		wish := wish{target: "orders-000-", profile: "support"}
		m, err := w.bot.menuFor(t.Context(), w.ana.ID())
		no(t, err)
		_, err = w.slack.api.UpdateViewContext(t.Context(), w.bot.form(m, wish, outlook(writings["longest"].asked().Request.Decision)), "", "", opened.ID)
		if refused, ok := err.(slack.SlackErrorResponse); ok {
			t.Errorf("%s: slack refuses it: %v", name, refused.ResponseMetadata.Messages)
		}
		v, _ := w.ana.View()
		if name == "nothing" && !strings.Contains(v.Text, "Nothing can be asked for yet") {
			t.Errorf("an empty form says\n%s", v.Text)
		}
		w.bot.service = w.service
		w.does(w.ana.Closes())
	}
}

// chosen is a service that offers a person less than there is.
type chosen struct {
	*fakeService
	me approvals.Me
}

func (c chosen) Me(context.Context, string) (approvals.Me, error) { return c.me, c.err("Me") }

func (w *world) offers(list ...approvals.Offer) {
	w.bot.service = chosen{w.service, approvals.Me{Offers: list}}
}

func allowed(target, profile string, longest time.Duration) approvals.Offer {
	return approvals.Offer{Target: target, Profile: profile, Decision: policy.Decision{Outcome: policy.NeedsApproval, MaxDuration: longest}}
}

func TestFormOffersWhatMayBeAskedFor(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.offers(allowed("orders-prod", "read-only", 45*time.Minute))
		w.does(w.ana.Command("/prodaccess"))
		w.window(w.ana, "Request access")
		if r := w.ana.Fills(map[string]string{"Database": "billing-prod"}); r.Err() == nil {
			w.Error("a database that may not be asked for is offered")
		}
		w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
		v := w.window(w.ana, "Needs one of @dba.")
		if !strings.Contains(v.Text, "30m") {
			w.Errorf("half an hour is not proposed:\n%s", v.Text)
		}
		if r := w.ana.Fills(map[string]string{"Duration": "1h"}); r.Err() == nil {
			w.Error("longer than the policy allows is offered")
		}
		w.does(w.ana.Submits(map[string]string{"Duration": "45m", "Reason": "checkout"}))
		if d := w.service.cases["r1"].Request.Duration; d != 45*time.Minute {
			w.Errorf("%v was asked for", d)
		}
	})
}

func TestFormForThoseWhoMayNotAsk(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.offers()
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "There is nothing you may ask for.")
	w.does(w.ana.OpensHome())
	if seen := w.home(w.ana, "Nothing: no rule of the policy gives you access"); strings.Contains(seen, "ask here") {
		t.Errorf("whom the policy gives nothing is told to ask: %s", seen)
	}
	w.does(w.ana.Closes())
	w.bot.service = chosen{w.service, approvals.Me{}}
	w.service.failing("Me", refusal(approvals.NotEligible, "Guests can neither ask nor approve."))
	w.does(w.ana.Command("/prodaccess"))
	w.sees(w.ana, "Guests can neither ask nor approve.")
	w.service.failing("Me", errors.New("Slack did not answer"))
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "Choose a database")
}

func TestUsedLatelyComesFirst(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command("/prodaccess billing-prod read-only 30m why"))
	w.does(w.ana.Command("/prodaccess orders-prod data-fix 30m customer_id=4 why"))
	m, err := w.bot.menuFor(t.Context(), w.ana.ID())
	no(t, err)
	if m.targets[0].Name != "orders-prod" || m.choices("orders-prod")[0].Name != "data-fix" {
		t.Errorf("the menu begins with %s and %s", m.targets[0].Name, m.choices("orders-prod")[0].Name)
	}
	w.drawing.Wait()
	w.offers(allowed("orders-prod", "read-only", time.Hour))
	m, err = w.bot.menuFor(t.Context(), w.ana.ID())
	no(t, err)
	if last := m.choices("orders-prod"); len(last) != 2 || last[1].Name != "data-fix" || !m.refused("orders-prod", "data-fix") {
		t.Errorf("what is not offered comes at %+v", last)
	}
}

func TestManyDatabasesAreFoundByTyping(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.bot.service = crowded{w.service, 150, policy.Profile{Name: "read-only"}}
		w.does(w.ana.Command("/prodaccess"))
		w.window(w.ana, "Request access")
		w.does(w.ana.Fills(map[string]string{"Database": "orders-003-xxx"}))
		w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
		w.window(w.ana, "Needs one of @dba.")
		w.does(w.ana.Submits(map[string]string{"Reason": "checkout"}))
		if got := w.service.cases["r1"].Request.Target; got != "orders-003-xxx" {
			w.Errorf("%s was asked for", got)
		}
	})
}

func TestParametersAreOfTheirTypes(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.bot.service = crowded{w.service, 1, policy.Profile{Name: "support", Parameters: []policy.Parameter{
			{Name: "customer_id", Type: "bigint", Required: true}, {Name: "since", Type: "date", Required: true}, {Name: "paid", Type: "boolean"},
		}}}
		w.does(w.ana.Command("/prodaccess"))
		w.window(w.ana, "Request access")
		w.does(w.ana.Fills(map[string]string{"Access": "support"}))
		w.window(w.ana, "customer_id")
		r := w.ana.Submits(map[string]string{"customer_id": "four", "since": "2026-03-02", "paid": "true", "Reason": "refund"})
		if !strings.HasPrefix(r.Errors["customer_id"], "customer_id of support must be a bigint") || len(r.Errors) != 1 {
			w.Errorf("the wrong parameter is answered with %v (%v)", r.Errors, r.Err())
		}
		w.does(w.ana.Submits(map[string]string{"customer_id": " 4 "}))
		if got := w.service.cases["r1"].Request.Params; got["customer_id"] != "4" || got["since"] != "2026-03-02" || got["paid"] != "true" {
			w.Errorf("the parameters are %v", got)
		}
	})
}

func TestDemandsStandAtTheirField(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command("/prodaccess"))
	w.window(w.ana, "Request access")
	w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
	w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
	w.window(w.ana, "Needs one of @dba.")
	for field, label := range map[string]string{
		policy.FieldTicket: "Ticket", policy.FieldReason: "Reason", policy.FieldDuration: "Duration", policy.FieldStart: "Start", policy.FieldProfile: "Access",
		policy.FieldTarget: "Database", policy.ParameterField("unheard_of"): "Access",
	} {
		// The words say nothing of the field.
		why := "Not so."
		w.service.decides(func(approvals.Filing) policy.Decision {
			return policy.Decision{Outcome: policy.Denied, Why: why, Field: field}
		})
		if r := w.ana.Submits(map[string]string{"Reason": "why"}); r.Errors[label] != why || len(r.Errors) != 1 || w.service.next != 0 {
			t.Errorf("what is wrong with the %s is answered with %v (%v)", field, r.Errors, r.Err())
		}
	}
}
