package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// pager starts a PagerDuty with a clock that stands at noon and two people in it.
func pager(t *testing.T) (pd *PagerDuty, now time.Time, ana, bo string) {
	t.Helper()
	now = noon().at
	pd, err := NewPagerDuty(PagerDutyOptions{Now: func() time.Time { return now }})
	no(t, err)
	t.Cleanup(pd.Close)
	return pd, now, pd.AddUser("Ana", "ana@example.com"), pd.AddUser("Bo", "bo@example.com")
}

func pdGet(t *testing.T, pd *PagerDuty, path string) (int, object, http.Header) {
	t.Helper()
	return pdGetWith(t, pd, path, "Token token="+pd.Token(), "application/vnd.pagerduty+json;version=2")
}

func pdGetWith(t *testing.T, pd *PagerDuty, path, authorization, accept string) (int, object, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, pd.URL()+path, nil)
	no(t, err)
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", accept)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, nil, nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	no(t, err)
	var answer object
	_ = json.Unmarshal(raw, &answer)
	return resp.StatusCode, answer, resp.Header
}

func TestOnCalls(t *testing.T) {
	t.Parallel()
	pd, now, ana, bo := pager(t)
	pd.OnCall(
		Shift{User: ana, Schedule: "PSCHED", Level: 1, Start: now.Add(-time.Hour), End: now.Add(time.Hour)},
		Shift{User: ana, Schedule: "PSCHED", Level: 1, Start: now.Add(10 * time.Hour), End: now.Add(20 * time.Hour)},
		Shift{User: bo, Schedule: "PSCHED", Level: 2, Start: now.Add(-time.Hour), End: now.Add(time.Hour)},
		Shift{User: bo, Level: 3},
		Shift{User: bo, Schedule: "POTHER", Level: 1, Start: now.Add(-2 * time.Hour), End: now},
	)
	tomorrow := now.Add(24 * time.Hour).Format(time.RFC3339)
	for _, test := range []struct {
		path string
		want int
	}{
		{"/oncalls", 3},
		{"/oncalls?schedule_ids[]=PSCHED", 2},
		{"/oncalls?schedule_ids[]=PSCHED&schedule_ids[]=POTHER", 2},
		{"/oncalls?user_ids[]=" + ana, 1},
		{"/oncalls?until=" + tomorrow + "&schedule_ids[]=PSCHED", 3},
		{"/oncalls?until=" + tomorrow + "&schedule_ids[]=PSCHED&earliest=true", 2},
		{"/oncalls?escalation_policy_ids[]=PNONE", 0},
	} {
		if _, answer, _ := pdGet(t, pd, test.path); len(answer["oncalls"].([]any)) != test.want {
			t.Errorf("%s: %v, want %d entries", test.path, answer["oncalls"], test.want)
		}
	}
	_, answer, header := pdGet(t, pd, "/oncalls?include[]=users")
	entries := answer["oncalls"].([]any)
	first, last := entries[0].(object), entries[2].(object)
	if first["user"].(object)["email"] != "ana@example.com" || first["schedule"].(object)["id"] != "PSCHED" ||
		first["end"] != "2026-03-02T13:00:00Z" || first["escalation_level"] != 1.0 || header.Get("ratelimit-remaining") == "" {
		t.Errorf("an entry of a schedule is %v", first)
	}
	if last["schedule"] != nil || last["start"] != nil || last["end"] != nil || answer["total"] != nil || answer["more"] != false {
		t.Errorf("a permanent entry is %v in %v", last, answer)
	}
	_, answer, _ = pdGet(t, pd, "/oncalls")
	if u := answer["oncalls"].([]any)[0].(object)["user"].(object); u["email"] != nil || u["type"] != "user_reference" {
		t.Errorf("a user who was not included is %v", u)
	}
	pd.OffCall()
	if _, answer, _ := pdGet(t, pd, "/oncalls"); len(answer["oncalls"].([]any)) != 0 {
		t.Error("somebody is still on call")
	}
}

func TestPagerDutyPages(t *testing.T) {
	t.Parallel()
	pd, _, ana, _ := pager(t)
	for range 130 {
		pd.OnCall(Shift{User: ana, Schedule: "PSCHED"})
	}
	for _, test := range []struct {
		query string
		want  int
		more  bool
	}{{"", 25, true}, {"?limit=100", 100, true}, {"?limit=100&offset=100", 30, false}, {"?limit=100&offset=500", 0, false}} {
		_, answer, _ := pdGet(t, pd, "/oncalls"+test.query)
		if len(answer["oncalls"].([]any)) != test.want || answer["more"] != test.more || answer["total"] != nil {
			t.Errorf("%q: %d entries, more %v, total %v", test.query, len(answer["oncalls"].([]any)), answer["more"], answer["total"])
		}
	}
	for _, bad := range []string{"limit=101", "limit=0", "offset=-1", "limit=x", "since=yesterday", "since=2026-03-03T00:00:00Z", "include[]=everything"} {
		if status, answer, _ := pdGet(t, pd, "/oncalls?"+bad); status != http.StatusBadRequest || answer["error"].(object)["code"] != 2001.0 {
			t.Errorf("%s: %d %v", bad, status, answer)
		}
	}
	if _, answer, _ := pdGet(t, pd, "/users?query=ana@example.com"); len(answer["users"].([]any)) != 1 {
		t.Errorf("users by e-mail: %v", answer)
	}
	if _, answer, _ := pdGet(t, pd, "/users/"+ana); answer["user"].(object)["email"] != "ana@example.com" {
		t.Errorf("one user: %v", answer)
	}
	if status, _, _ := pdGet(t, pd, "/users/PNOBODY"); status != http.StatusNotFound {
		t.Errorf("nobody: %d", status)
	}
}

func TestPagerDutyRefusalsAndFaults(t *testing.T) {
	t.Parallel()
	pd, _, _, _ := pager(t)
	const accept = "application/vnd.pagerduty+json;version=2"
	for _, wrong := range []string{"", "Token token=wrong", "Bearer " + pd.Token()} {
		if status, _, _ := pdGetWith(t, pd, "/oncalls", wrong, accept); status != http.StatusUnauthorized {
			t.Errorf("authorization %q: %d", wrong, status)
		}
	}
	if status, _, _ := pdGetWith(t, pd, "/oncalls", "Token token="+pd.Token(), "application/json"); status != http.StatusNotAcceptable {
		t.Errorf("without the version: %d", status)
	}
	pd.Fail(Fault{Status: http.StatusTooManyRequests, RetryAfter: 5 * time.Second, Times: 1})
	status, answer, header := pdGet(t, pd, "/oncalls")
	if status != http.StatusTooManyRequests || header.Get("Retry-After") != "5" || header.Get("ratelimit-reset") != "5" || answer["error"].(object)["code"] != 2020.0 {
		t.Errorf("rate limited: %d %v %v", status, answer, header)
	}
	for _, code := range []int{http.StatusUnauthorized, http.StatusInternalServerError} {
		pd.Fail(Fault{Status: code, Times: 1})
		if status, answer, _ := pdGet(t, pd, "/oncalls"); status != code || !strings.Contains(answer["error"].(object)["message"].(string), "nternal") && code == 500 {
			t.Errorf("%d: %d %v", code, status, answer)
		}
	}
	pd.Fail(Fault{Error: "nonsense", Times: 1})
	if status, answer, _ := pdGet(t, pd, "/oncalls"); status != http.StatusOK || answer != nil {
		t.Errorf("nonsense: %d %v", status, answer)
	}
	pd.Fail(Fault{Drop: true, Times: 1})
	if status, _, _ := pdGet(t, pd, "/oncalls"); status != 0 {
		t.Errorf("a dropped request was answered %d", status)
	}
	pd.Fail(Fault{Delay: 30 * time.Millisecond, Times: 1})
	start := time.Now()
	if status, _, _ := pdGet(t, pd, "/oncalls"); status != http.StatusOK || time.Since(start) < 30*time.Millisecond {
		t.Errorf("a slow answer: %d after %v", status, time.Since(start))
	}
	pd.Down(true)
	if status, _, _ := pdGet(t, pd, "/oncalls"); status != 0 {
		t.Errorf("while down: %d", status)
	}
	pd.Heal()
	before := pd.Requests()
	if status, _, _ := pdGet(t, pd, "/oncalls"); status != http.StatusOK || pd.Requests() != before+1 {
		t.Errorf("after healing: %d, %d requests", status, pd.Requests()-before)
	}
}
