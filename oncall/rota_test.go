package oncall

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRota(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p, clock := roster(t, s, func(c *Config) { c.Overrides = map[string]string{"Cy@work.example": "UCY"} })
	s.set(
		on("UBO", "bo@example.com", 1, -1, 1), on("UCY", "cy@private.example", 1, -1, 1), on("UDA", "da@example.com", 2, -1, 1),
		on("UEV", "eve@example.com", 1, 1, 2), on("UBO", "bo@example.com", 1, -2, 2),
	)
	got := p.Rota(t.Context(), payments)
	if want := []string{"bo@example.com", "cy@work.example"}; !slices.Equal(got.Emails, want) || got.Nameless || got.Unknown != "" || got.AsOf.IsZero() {
		t.Errorf("on call now: %+v", got)
	}
	if got := p.Rota(t.Context(), Schedule{Name: "payments", ID: payments.ID, Levels: []int{2, 1}}); len(got.Emails) != 3 || got.Emails[2] != "da@example.com" {
		t.Errorf("on both levels: %+v", got)
	}
	if n := s.calls.Load(); n != 1 {
		t.Errorf("%d calls for what one has answered", n)
	}
	clock.forward(50 * time.Second)
	if got := p.Rota(t.Context(), payments); len(got.Emails) != 2 {
		t.Errorf("a little later: %+v", got)
	}
}

// What is not known names nobody and says why, and nothing else.
func TestUnknownRota(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p, _ := roster(t, s)
	s.fail(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	if got := p.Rota(t.Context(), payments); len(got.Emails) > 0 || !strings.Contains(got.Unknown, "PagerDuty") || strings.Contains(got.Unknown, "http") {
		t.Errorf("while PagerDuty is down: %+v", got)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	q, _ := roster(t, s)
	if got := q.Rota(impatient, payments); len(got.Emails) > 0 || got.Unknown == "" {
		t.Errorf("without time: %+v", got)
	}
	fixed := Fixed{Now: func() time.Time { return noon }, Unknown: "the list is being edited", Shifts: []Shift{{Schedule: payments.ID, Email: "ana@example.com", Start: noon, End: noon.Add(time.Hour)}}}
	if got := fixed.Rota(t.Context(), payments); len(got.Emails) > 0 || got.Unknown != fixed.Unknown {
		t.Errorf("while the list is being edited: %+v", got)
	}
	fixed.Unknown = ""
	if got := fixed.Rota(t.Context(), payments); !slices.Equal(got.Emails, []string{"ana@example.com"}) {
		t.Errorf("of the list: %+v", got)
	}
}

// Somebody whose address is not said is on call all the same.
func TestNamelessRota(t *testing.T) {
	t.Parallel()
	a := answer{entries: []entry{{user: "U1", level: 1, start: noon, end: noon.Add(time.Hour)}}}
	if got := a.rota(payments, nil, noon); !got.Nameless || len(got.Emails) > 0 {
		t.Errorf("without an address: %+v", got)
	}
	if got := a.rota(payments, map[string]string{"U1": "ana@example.com"}, noon); got.Nameless || len(got.Emails) != 1 {
		t.Errorf("with one of the configuration: %+v", got)
	}
}
