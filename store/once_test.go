package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// Many changes at the same instant, some of one grant and some of others, in one replica and in two: what one delivery asks for is
// written once, and whoever came too late hears why.
func TestADeliveryHasOneEffect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := *b
	other.Store = b.open(20)
	grant := []grants.Grant{b.active(noon.Add(time.Hour)), b.active(noon.Add(time.Hour)), b.active(noon.Add(time.Hour))}
	if _, err := b.Delivered(t.Context(), "command:1"); !errors.Is(err, approvals.ErrNotFound) {
		t.Fatalf("before anything was done: %v", err)
	}
	var done, late atomic.Int32
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			g := grant[i%3]
			st := []*bundle{b, &other}[i%2]
			_, err := st.ChangeGrant(t.Context(), g.ID, func(g grants.Grant) (grants.Change, error) {
				g.Extensions++
				g.Deadline = g.Deadline.Add(time.Minute)
				e := audit.Event{At: noon, Kind: audit.GrantExtended, Actor: audit.Actor{Kind: "person", ID: ana.ID}, Request: g.Request, Grant: g.ID}
				return grants.Change{Grant: g, Events: []audit.Event{audit.Once(e, fmt.Sprintf("command:%d", i%2+1))}}, nil
			})
			switch {
			case err == nil:
				done.Add(1)
			case errors.Is(err, audit.ErrDelivered):
				late.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if done.Load() != 2 || late.Load() != 22 {
		t.Errorf("of two deliveries %d were carried out, and %d were too late", done.Load(), late.Load())
	}
	extended := 0
	for _, g := range grant {
		now, err := b.Grant(t.Context(), g.ID)
		if err != nil {
			t.Fatal(err)
		}
		extended += now.Extensions
	}
	if extended != 2 {
		t.Errorf("two deliveries extended %d times", extended)
	}
	for _, delivery := range []string{"command:1", "command:2"} {
		if e, err := b.Delivered(t.Context(), delivery); err != nil || e.Kind != audit.GrantExtended || e.Detail["delivery"] != delivery {
			t.Errorf("%s did %+v: %v", delivery, e, err)
		}
	}
	// Refused attempts, and what nobody delivered, are on record however often.
	refused := audit.Event{At: noon, Kind: audit.GrantExtended, Actor: audit.Actor{Kind: "person", ID: ana.ID}, Refused: true}
	for _, e := range []audit.Event{audit.Once(refused, "command:3"), audit.Once(refused, "command:3")} {
		if err := b.Record(t.Context(), []audit.Event{e}, nil); err != nil {
			t.Error(err)
		}
	}
}
