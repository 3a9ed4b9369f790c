package bench

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// report gathers the rows of the table that ends a run.
var report table

type table struct {
	mu     sync.Mutex
	rows   []row
	before string
}

// row is one figure with what it is held against.
type row struct {
	what, ours, beside, goal string
	met                      bool
}

func (t *table) begin() { t.before = load() }

// add puts a row into the table; met says whether the goal was reached, and counts only where there is a goal.
func (t *table) add(what, ours, beside, goal string, met bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = slices.DeleteFunc(t.rows, func(r row) bool { return r.what == what }) // a benchmark that ran twice
	t.rows = append(t.rows, row{what, ours, beside, goal, met})
}

func (t *table) print(w io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%d cores, %s, Postgres with fsync; load average %s before and %s after.\n\n",
		runtime.NumCPU(), runtime.Version(), t.before, load())
	fmt.Fprintln(w, "| what | ours | beside it, in the same run | goal | |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for _, r := range t.rows {
		verdict := ""
		if r.goal != "" {
			verdict = map[bool]string{true: "met", false: "**missed**"}[r.met]
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", r.what, r.ours, r.beside, r.goal, verdict)
	}
	fmt.Fprintln(w)
}

// load is the machine's load average over the last minute, where the kernel says it.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

// quantile is the smallest value that at least the given share of the values do not exceed.
func quantile(share float64, values []time.Duration) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)]
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", millis(d)) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
