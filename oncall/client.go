package oncall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"
)

const (
	// pageSize is the most PagerDuty gives at once.
	pageSize = 100
	// mostPages bounds a source that never stops saying "more": 10,000 entries for one schedule are no schedule.
	mostPages = 100
	// longestPage bounds the memory one page may take.
	longestPage = 8 << 20
)

// client asks PagerDuty for one schedule's entries.
type client struct {
	api     *pagerduty.Client
	timeout time.Duration
	// ahead is how far past now shifts are asked for, so that the answer holds for as long as it is kept.
	ahead time.Duration
}

// fetch asks for everybody on call now and shortly. It does not use the parameter earliest: that keeps one entry for each
// policy, level and person, which can be another schedule's.
func (c *client) fetch(ctx context.Context, schedule string, now time.Time) answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	options := pagerduty.ListOnCallOptions{
		Limit: pageSize, ScheduleIDs: []string{schedule}, Includes: []string{"users"},
		Since: now.UTC().Format(time.RFC3339), Until: now.Add(c.ahead).UTC().Format(time.RFC3339),
	}
	out := answer{asOf: now}
	for range mostPages {
		page, err := c.api.ListOnCallsWithContext(ctx, options)
		if err != nil {
			return answer{unknown: c.why(ctx, err)}
		}
		if page.OnCalls == nil || page.More && len(page.OnCalls) == 0 {
			return answer{unknown: nonsense}
		}
		for _, one := range page.OnCalls {
			e, counts, ok := convert(one, schedule)
			if !ok {
				return answer{unknown: nonsense}
			}
			if counts {
				out.entries = append(out.entries, e)
			}
		}
		if !page.More {
			return out
		}
		options.Offset += pageSize
	}
	return answer{unknown: "PagerDuty's answer has no end"}
}

const nonsense = "PagerDuty's answer could not be understood"

// convert reads one entry. One of another schedule, of none, or without beginning or end does not count.
func convert(from pagerduty.OnCall, schedule string) (e entry, counts, ok bool) {
	if from.Schedule.ID != schedule || from.Start == "" || from.End == "" {
		return entry{}, false, true
	}
	start, err := time.Parse(time.RFC3339, from.Start)
	if err != nil {
		return entry{}, false, false
	}
	end, err := time.Parse(time.RFC3339, from.End)
	if err != nil || from.User.ID == "" || from.EscalationLevel == 0 {
		return entry{}, false, false
	}
	return entry{user: from.User.ID, email: lower(from.User.Email), level: int(from.EscalationLevel), start: start, end: end}, true, true
}

// why turns a failure into a clause. It is made of what kind of failure it was and never of its text, which may carry
// whatever a proxy or a library put there.
func (c *client) why(ctx context.Context, err error) string {
	var refused pagerduty.APIError
	switch {
	case ctx.Err() != nil:
		return fmt.Sprintf("PagerDuty did not answer within %s", seconds(c.timeout))
	case !errors.As(err, &refused):
		// go-pagerduty flattens a transport's failure to text without its type; JSON errors keep theirs.
		if errors.Unwrap(err) == nil && strings.HasPrefix(err.Error(), "error calling the API endpoint") {
			return "PagerDuty could not be reached"
		}
		return nonsense
	case refused.StatusCode == http.StatusTooManyRequests:
		return "PagerDuty asks us to slow down"
	case refused.StatusCode == http.StatusUnauthorized, refused.StatusCode == http.StatusForbidden:
		return "PagerDuty does not accept our token"
	case refused.StatusCode == http.StatusNotFound:
		return "PagerDuty does not know the schedule"
	case refused.StatusCode >= 500:
		return fmt.Sprintf("PagerDuty has a fault of its own (%d)", refused.StatusCode)
	}
	return fmt.Sprintf("PagerDuty refused the question (%d)", refused.StatusCode)
}

func seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%d ms", d/time.Millisecond)
}

// bounded keeps one answer from filling the memory.
type bounded struct{ client *http.Client }

func (b bounded) Do(request *http.Request) (*http.Response, error) {
	response, err := b.client.Do(request)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, longestPage), response.Body}
	return response, nil
}
