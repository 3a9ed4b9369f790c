package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/localpg"
)

// spent is the processor time that each part used, which says where a rate ends whatever else the machine does.
type spent struct{ target, store, self time.Duration }

func (l *library) spent(b *testing.B) spent {
	b.Helper()
	return spent{target: l.place.processor(b), store: processor(b, l.Store), self: own()}
}

func (s spent) since(before spent, many int) spent {
	n := time.Duration(many)
	return spent{(s.target - before.target) / n, (s.store - before.store) / n, (s.self - before.self) / n}
}

func (s spent) String() string {
	return fmt.Sprintf("target %s, store %s, prodaccess %s", ms(s.target), ms(s.store), ms(s.self))
}

// own is the processor time of this process.
func own() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processor is the processor time of a server: its postmaster, the children that are gone, and those that are there.
// proc_pid_stat(5) counts in hundredths of a second, so that only many of a thing can be measured by it.
func processor(b *testing.B, s *localpg.Server) time.Duration {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(s.DataDir(), "postmaster.pid"))
	fatal(b, err)
	postmaster, _, _ := strings.Cut(string(text), "\n")
	pids := []string{postmaster}
	children, err := os.ReadFile("/proc/" + postmaster + "/task/" + postmaster + "/children")
	fatal(b, err)
	pids = append(pids, strings.Fields(string(children))...)
	var ticks int64
	for i, pid := range pids {
		ticks += ticksOf(b, pid, i == 0)
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// ticksOf is what a process has used, and, where it is asked for, what its ended children had.
func ticksOf(b *testing.B, pid string, children bool) (ticks int64) {
	b.Helper()
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0 // it has just ended, and its parent counts it from now on
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	last := 13 // utime and stime
	if children {
		last = 15
	}
	for _, field := range strings.Fields(rest)[11:last] {
		n, err := strconv.ParseInt(field, 10, 64)
		fatal(b, err)
		ticks += n
	}
	return ticks
}
