package sandbox

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// pdError is a refusal in PagerDuty's words.
type pdError struct {
	status int
	code   int
	said   string
	errors []string
}

func invalid(format string, values ...any) *pdError {
	return &pdError{http.StatusBadRequest, 2001, "Invalid Input Provided", []string{fmt.Sprintf(format, values...)}}
}

func (pd *PagerDuty) serve(do func(*http.Request, url.Values) (object, *pdError)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault, down := pd.count()
		if down {
			hangUp(w)
			return
		}
		if fault != nil && pd.suffer(w, r, fault) {
			return
		}
		var answer object
		var problem *pdError
		switch {
		case !authorised(r, pd.opts.Token):
			problem = &pdError{http.StatusUnauthorized, 2006, "Unauthorized", []string{"Your account is not authorized to access this resource."}}
		case r.Header.Get("Accept") != "application/vnd.pagerduty+json;version=2":
			problem = &pdError{http.StatusNotAcceptable, 2001, "Not Acceptable", []string{"Accept must be application/vnd.pagerduty+json;version=2"}}
		default:
			pd.mu.Lock()
			answer, problem = do(r, r.URL.Query())
			pd.mu.Unlock()
		}
		w.Header().Set("ratelimit-limit", "960")
		w.Header().Set("ratelimit-remaining", "959")
		w.Header().Set("ratelimit-reset", "60")
		if problem != nil {
			problem.write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (e *pdError) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(object{"error": object{"message": e.said, "code": e.code, "errors": e.errors}})
}

// count notes a request and takes the fault that is next.
func (pd *PagerDuty) count() (fault *Fault, down bool) {
	pd.mu.Lock()
	defer pd.mu.Unlock()
	pd.requests++
	return nextFault(&pd.faults), pd.down
}

// nextFault takes the fault that is next.
func nextFault(faults *[]*Fault) *Fault {
	for i, f := range *faults {
		if f.Probability > 0 && rand.Float64() >= f.Probability {
			continue
		}
		taken := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				*faults = append((*faults)[:i:i], (*faults)[i+1:]...)
			}
		}
		return &taken
	}
	return nil
}

func (pd *PagerDuty) suffer(w http.ResponseWriter, r *http.Request, f *Fault) (over bool) {
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			return true
		case <-pd.ctx.Done():
			return true
		}
	}
	switch {
	case f.Drop:
		hangUp(w)
	case f.Error != "":
		w.WriteHeader(max(f.Status, http.StatusOK))
		_, _ = w.Write([]byte("<html>this is not what you asked for"))
	case f.Status == http.StatusTooManyRequests:
		seconds := strconv.Itoa(max(1, int(f.RetryAfter/time.Second)))
		w.Header().Set("Retry-After", seconds)
		w.Header().Set("ratelimit-limit", "960")
		w.Header().Set("ratelimit-remaining", "0")
		w.Header().Set("ratelimit-reset", seconds)
		(&pdError{f.Status, 2020, "Rate Limit Exceeded", nil}).write(w)
	case f.Status == http.StatusUnauthorized:
		(&pdError{f.Status, 2006, "Unauthorized", nil}).write(w)
	case f.Status != 0:
		(&pdError{f.Status, 2000, "Internal Server Error", nil}).write(w)
	default:
		return false
	}
	return true
}

// oncalls lists the shifts that overlap the asked time, which is this moment unless since and until say otherwise.
func (pd *PagerDuty) oncalls(_ *http.Request, q url.Values) (object, *pdError) {
	since, until, problem := pd.period(q)
	if problem != nil {
		return nil, problem
	}
	for _, name := range q["include[]"] {
		if !slices.Contains([]string{"users", "schedules", "escalation_policies"}, name) {
			return nil, invalid("include[] must not hold %q", name)
		}
	}
	matching := []Shift{}
	for _, s := range pd.shifts {
		policy := s.Policy
		if policy == "" {
			policy = "PPOLICY"
		}
		if named(q["schedule_ids[]"], s.Schedule) && named(q["user_ids[]"], s.User) && named(q["escalation_policy_ids[]"], policy) &&
			(s.Start.IsZero() || !s.Start.After(until)) && (s.End.IsZero() || s.End.After(since)) {
			matching = append(matching, s)
		}
	}
	if q.Get("earliest") == "true" {
		matching = earliest(matching)
	}
	entries := []any{}
	for _, s := range matching {
		entries = append(entries, s.wire(pd.user(s.User), slices.Contains(q["include[]"], "users")))
	}
	return pdPage(q, "oncalls", entries)
}

func named(wanted []string, id string) bool { return len(wanted) == 0 || slices.Contains(wanted, id) }

func (pd *PagerDuty) period(q url.Values) (since, until time.Time, problem *pdError) {
	since, until = pd.opts.Now(), pd.opts.Now()
	for name, into := range map[string]*time.Time{"since": &since, "until": &until} {
		if !q.Has(name) {
			continue
		}
		at, err := time.Parse(time.RFC3339, q.Get(name))
		if err != nil {
			return since, until, invalid("%s must be a date in ISO 8601", name)
		}
		*into = at
	}
	if until.Before(since) {
		return since, until, invalid("until must not be before since")
	}
	return since, until, nil
}

// earliest keeps the first shift of every policy, level and user.
func earliest(shifts []Shift) []Shift {
	type key struct {
		policy, user string
		level        int
	}
	best := map[key]int{}
	for i, s := range shifts {
		k := key{s.Policy, s.User, max(1, s.Level)}
		if j, there := best[k]; !there || s.Start.Before(shifts[j].Start) {
			best[k] = i
		}
	}
	kept := []Shift{}
	for i, s := range shifts {
		if best[key{s.Policy, s.User, max(1, s.Level)}] == i {
			kept = append(kept, s)
		}
	}
	return kept
}

func (pd *PagerDuty) listUsers(_ *http.Request, q url.Values) (object, *pdError) {
	found := []any{}
	for _, u := range pd.users {
		if wanted := q.Get("query"); wanted == "" || wanted == u.email || wanted == u.name {
			found = append(found, u.wire(true))
		}
	}
	return pdPage(q, "users", found)
}

func (pd *PagerDuty) oneUser(r *http.Request, _ url.Values) (object, *pdError) {
	u := pd.user(r.PathValue("id"))
	if u.id == "" {
		return nil, &pdError{http.StatusNotFound, 2100, "Not Found", nil}
	}
	return object{"user": u.wire(true)}, nil
}

// pdPage cuts one page out of a list: 25 entries unless limit says otherwise, 100 at most. total is null unless asked
// for.
func pdPage(q url.Values, name string, all []any) (object, *pdError) {
	limit, offset := 25, 0
	for key, into := range map[string]*int{"limit": &limit, "offset": &offset} {
		if !q.Has(key) {
			continue
		}
		n, err := strconv.Atoi(q.Get(key))
		if err != nil || n < 0 || (key == "limit" && (n < 1 || n > 100)) {
			return nil, invalid("%s is out of range", key)
		}
		*into = n
	}
	from := min(offset, len(all))
	to := min(from+limit, len(all))
	var total any
	if q.Get("total") == "true" {
		total = len(all)
	}
	return object{name: all[from:to], "limit": limit, "offset": offset, "more": to < len(all), "total": total}, nil
}
