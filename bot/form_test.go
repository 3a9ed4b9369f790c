package bot

import (
	"fmt"
	"strings"
	"testing"

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
		_, err := w.slack.api.UpdateViewContext(t.Context(), w.bot.form(wish, outlook(writings["longest"].asked().Request.Decision)), "", "", opened.ID)
		if refused, ok := err.(slack.SlackErrorResponse); ok {
			t.Errorf("%s: slack refuses it: %v", name, refused.ResponseMetadata.Messages)
		}
		v, _ := w.ana.View()
		if name == "many" && !strings.Contains(v.Text, "first 100 databases") {
			t.Errorf("the form does not say that there are more:\n%s", v.Text)
		}
		if name == "nothing" && !strings.Contains(v.Text, "Nothing can be asked for yet") {
			t.Errorf("an empty form says\n%s", v.Text)
		}
		w.bot.service = w.service
		w.does(w.ana.Closes())
	}
}
