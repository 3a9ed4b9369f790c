package app

import "sync"

// troubles are the jobs that failed on this replica and are tried again, so that each is said once. The job engine does not
// know: to it every try after a pause is the first, and a pause may have been no failure. The zero value is ready.
type troubles struct {
	mu   sync.Mutex
	said map[int64]struct{}
}

// first says whether this is the first failure of a job that this replica sees.
func (t *troubles) first(job int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, said := t.said[job]; said {
		return false
	}
	// Jobs that ended on another replica stay here; saying some failures again is cheaper than remembering all.
	const most = 10_000
	if t.said == nil || len(t.said) >= most {
		t.said = map[int64]struct{}{}
	}
	t.said[job] = struct{}{}
	return true
}

// over forgets a job that is not tried again.
func (t *troubles) over(job int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.said, job)
}
