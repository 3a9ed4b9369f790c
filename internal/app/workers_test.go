package app

import (
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/store"
)

// A job that fails again and again is said once. The job engine gives every try after a pause as the first.
func TestAJobThatFailsIsSaidOnce(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w := &worker{app: &App{log: zerolog.New(&log), now: time.Now}}
	try := func(id int64) {
		t.Helper()
		err := w.Work(t.Context(), &river.Job[store.JobArgs]{
			JobRow: &rivertype.JobRow{ID: id, Attempt: 1}, Args: store.JobArgs{Work: jobs.Kind("of a later version"), Subject: "r1"},
		})
		if err == nil {
			t.Fatal("it did not fail")
		}
	}
	said := func(want int) {
		t.Helper()
		if n := strings.Count(log.String(), "job failed; it is tried again"); n != want {
			t.Errorf("said %d times, want %d:\n%s", n, want, log.String())
		}
	}
	for range 3 {
		try(1)
	}
	said(1)
	try(2)
	said(2)
	w.app.troubles.over(1) // it worked
	try(1)
	said(3)
}
