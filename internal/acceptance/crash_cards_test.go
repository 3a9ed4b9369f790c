package acceptance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// One of two replicas is killed while it draws cards. The other draws them soon, not when the job engine takes the jobs of the dead,
// which is fifty seconds after they were begun at best.
func TestCardsOfAKilledReplicaAreDrawnByAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	replicas := []*stage.Bot{w.serve(), w.serve()}
	for _, b := range replicas {
		if err := b.WaitsForLog(ctx, "connected to slack"); err != nil {
			t.Fatal(err)
		}
	}
	const drawing = `SELECT count(DISTINCT attempted_by[array_upper(attempted_by, 1)]) FROM river_job WHERE state = 'running' AND args ->> 'work' = 'draw'`
	w.Slack.Fail("chat.postMessage", sandbox.Fault{Delay: time.Minute})
	var asked []string
	w.eventually("both replicas draw", func() (bool, error) {
		words := fmt.Sprintf("drawn by the other %d.", len(asked))
		asked = append(asked, words)
		w.asks("bo", "read-only", "1h", words)
		time.Sleep(200 * time.Millisecond)
		n := w.store(drawing)
		return n == "2", fmt.Errorf("%s do", n)
	})
	replicas[0].Kill()
	w.Slack.Heal()
	w.within(47*time.Second, "every card is drawn", func() (bool, error) {
		for _, words := range asked {
			if n := w.cards(w.Conf.Approvals, w.requestOf(words)); n != 1 {
				return false, fmt.Errorf("%q has %d cards", words, n)
			}
		}
		return true, nil
	})
}
