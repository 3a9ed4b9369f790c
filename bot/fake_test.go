package bot

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/outbox"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/policy"
)

// canary is the password of every login the fake makes. It may be in views and nowhere else.
const canary = "canary-7f3c19d2"

// fakeService is a Service of a few lines: everybody may approve except the requester, and nothing is checked that these
// tests do not look at.
type fakeService struct {
	mu      sync.Mutex
	cases   map[string]*approvals.Case
	next    int
	shown   []string
	dropped []string
	// policy decides; by default one of @dba must agree.
	policy func(approvals.Filing) policy.Decision
	// fail is returned by the method it is named after.
	fail map[string]error
	// delivered is which request each delivery changed, and tells how often each came.
	delivered map[string]string
	times     map[string]int
	// changed is told of every change, outside the lock.
	changed func(request string)
	// issuing holds Issue back until it is closed.
	issuing chan struct{}
	groups  []policy.Group
	// shifts are the addresses of those on call, by schedule; pager says why they are not known.
	shifts map[string][]string
	pager  string
	// longer and notLonger are what is said about extensions, instead what is offered in place of what was refused.
	longer    time.Duration
	notLonger string
	instead   []approvals.Alternative
	usual     approvals.Usual
	// operations are what everybody is shown as an operator.
	operations approvals.Operations
}

func newFakeService() *fakeService {
	return &fakeService{
		cases: map[string]*approvals.Case{}, delivered: map[string]string{}, times: map[string]int{}, longer: time.Hour, fail: map[string]error{}, changed: func(string) {},
		policy: func(approvals.Filing) policy.Decision {
			return policy.Decision{
				Outcome: policy.NeedsApproval, Rule: "backend reads", Why: "ana is in group backend.", Policy: "0123456789abcdef",
				Approvals: []policy.Requirement{{From: []string{"group:dba"}, Count: 1}},
			}
		},
	}
}

func (f *fakeService) failing(method string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[method] = err
}

func (f *fakeService) err(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail[method]
}

func refusal(code approvals.Code, words string) error {
	return &approvals.Refusal{Code: code, Words: words}
}

// change runs a transition under the lock and announces it.
func (f *fakeService) change(method, id string, do func(*approvals.Case) error) (approvals.Case, error) {
	if err := f.err(method); err != nil {
		return approvals.Case{}, err
	}
	f.mu.Lock()
	c, ok := f.cases[id]
	if !ok {
		f.mu.Unlock()
		return approvals.Case{}, refusal(approvals.NotFound, "There is no request "+id+".")
	}
	err := do(c)
	if err == nil {
		c.Request.Version++
	}
	out := copyCase(c)
	f.mu.Unlock()
	if err == nil {
		f.changed(id)
	}
	return out, err
}

// once is change for what a delivery asks for: the second time it finds done what it would do.
func (f *fakeService) once(method string, p approvals.Press, do func(*approvals.Case) error) (approvals.Case, error) {
	f.mu.Lock()
	done, again := f.delivered[p.Delivery]
	f.times[p.Delivery]++
	f.mu.Unlock()
	if again {
		return f.Case(context.Background(), done)
	}
	return f.change(method, p.Request, func(c *approvals.Case) error {
		err := do(c)
		if err == nil {
			f.delivered[p.Delivery] = c.Request.ID
		}
		return err
	})
}

func copyCase(c *approvals.Case) approvals.Case {
	out := *c
	if c.Grant != nil {
		g := *c.Grant
		out.Grant = &g
	}
	return out
}

func (f *fakeService) File(_ context.Context, in approvals.Filing) (approvals.Case, error) {
	if err := f.err("File"); err != nil {
		return approvals.Case{}, err
	}
	f.mu.Lock()
	for _, c := range f.cases {
		if c.Request.Key == in.Key {
			defer f.mu.Unlock()
			return copyCase(c), nil
		}
	}
	f.next++
	d := f.policy(in)
	d.Duration = in.Duration
	now := time.Now()
	c := &approvals.Case{Request: approvals.Request{
		ID: "r" + strconv.Itoa(f.next), State: approvals.Pending, Version: 1, Key: in.Key, Target: in.Target, Engine: "postgres", Profile: in.Profile,
		Duration: in.Duration, Ticket: in.Ticket, Reason: in.Reason, Params: in.Params, StartsAt: in.StartsAt, Source: in.Source, Decision: d, FiledAt: now, LapsesAt: now.Add(time.Hour),
		Requester: approvals.Person{ID: in.By, Name: "ana", Email: "ana@example.com"},
	}}
	switch d.Outcome {
	case policy.Denied:
		c.Request.State, c.Request.EndedAt = approvals.Denied, now
	case policy.Approved:
		c.Request.State, c.Request.ApprovedAt = approvals.Approved, now
	}
	f.cases[c.Request.ID] = c
	out := copyCase(c)
	f.mu.Unlock()
	f.changed(out.Request.ID)
	return out, nil
}

func (f *fakeService) Preview(_ context.Context, in approvals.Filing) (policy.Decision, error) {
	f.mu.Lock()
	decide := f.policy
	f.mu.Unlock()
	return decide(in), f.err("Preview")
}

// decides changes the policy while the bot may be asking it.
func (f *fakeService) decides(decide func(approvals.Filing) policy.Decision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.policy = decide
}

func (f *fakeService) Approve(_ context.Context, p approvals.Press) (approvals.Case, error) {
	return f.once("Approve", p, func(c *approvals.Case) error {
		if c.Request.Requester.ID == p.By {
			return refusal(approvals.OwnRequest, "Nobody approves their own request.")
		}
		if c.Request.State != approvals.Pending {
			return refusal(approvals.AlreadyOver, "This was decided before.")
		}
		c.Request.State, c.Request.ApprovedAt = approvals.Approved, time.Now()
		c.Approvals = append(c.Approvals, approvals.Approval{By: approvals.Person{ID: p.By, Name: "bo"}, Verdict: approvals.Yes, At: time.Now(), Fills: []int{0}})
		return nil
	})
}

func (f *fakeService) MayDecide(ctx context.Context, p approvals.Press) error {
	if c, err := f.Case(ctx, p.Request); err != nil || c.Request.Requester.ID != p.By {
		return err
	}
	return refusal(approvals.OwnRequest, "Nobody decides about their own request.")
}

func (f *fakeService) Deny(_ context.Context, p approvals.Press, reason string) (approvals.Case, error) {
	return f.once("Deny", p, func(c *approvals.Case) error {
		c.Request.State, c.Request.Answer, c.Request.EndedAt = approvals.Denied, reason, time.Now()
		c.Request.EndedBy = approvals.Person{ID: p.By, Name: "bo"}
		return nil
	})
}

func (f *fakeService) Cancel(_ context.Context, p approvals.Press) (approvals.Case, error) {
	return f.once("Cancel", p, func(c *approvals.Case) error {
		c.Request.State, c.Request.EndedAt, c.Request.EndedBy = approvals.Cancelled, time.Now(), c.Request.Requester
		return nil
	})
}

func (f *fakeService) Activate(_ context.Context, p approvals.Press) (approvals.Case, error) {
	return f.change("Activate", p.Request, func(c *approvals.Case) error {
		switch {
		case c.Grant != nil && c.Grant.State == grants.Provisioning:
			return refusal(approvals.InProgress, "It is being made.")
		case c.Grant != nil && c.Grant.State == grants.Active:
			return refusal(approvals.AlreadyIssued, "You have it already.")
		case c.Request.State != approvals.Approved:
			return refusal(approvals.TooEarly, "It is not approved.")
		}
		now := time.Now()
		c.Grants++
		c.Request.State = approvals.Activated
		c.Grant = &grants.Grant{
			ID: fmt.Sprintf("g%s%d", c.Request.ID, c.Grants), Request: c.Request.ID, State: grants.Provisioning, Target: c.Request.Target, Profile: c.Request.Profile,
			Login: "pa_ana_" + c.Request.ID, Holder: grants.Holder{Name: "ana"}, Intended: now, Deadline: now.Add(c.Request.Duration),
		}
		return nil
	})
}

func (f *fakeService) request(grant string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.cases {
		if c.Grant != nil && c.Grant.ID == grant {
			return id
		}
	}
	return ""
}

func (f *fakeService) Issue(ctx context.Context, grant string) (grants.Credential, error) {
	if f.issuing != nil {
		select {
		case <-f.issuing:
		case <-ctx.Done():
			return grants.Credential{}, ctx.Err()
		}
	}
	c, err := f.change("Issue", f.request(grant), func(c *approvals.Case) error {
		c.Grant.State, c.Grant.IssuedAt, c.Grant.OID = grants.Active, time.Now(), 4711
		return nil
	})
	return credentialOf(c), err
}

func credentialOf(c approvals.Case) grants.Credential {
	if c.Grant == nil {
		return grants.Credential{}
	}
	return grants.Credential{
		Grant: c.Grant.ID, Request: c.Request.ID, Target: c.Request.Target, Engine: "postgres", Profile: c.Request.Profile, Login: c.Grant.Login,
		Password: secret.New(canary), Database: "orders", Endpoint: grants.Endpoint{Host: "orders.db.internal", Port: 5432, SSLMode: "verify-full"},
		Deadline: c.Grant.Deadline,
	}
}

func (f *fakeService) ShowAgain(_ context.Context, p approvals.Press) (grants.Credential, error) {
	f.mu.Lock()
	_, again := f.delivered[p.Delivery]
	f.mu.Unlock()
	c, err := f.once("ShowAgain", p, func(*approvals.Case) error { return nil })
	if again {
		return grants.Credential{}, refusal(approvals.InProgress, "This came twice from Slack.")
	}
	return credentialOf(c), err
}

func (f *fakeService) Shown(_ context.Context, grant string) error {
	_, err := f.change("Shown", f.request(grant), func(c *approvals.Case) error {
		c.Grant.ShownAt = time.Now()
		f.shown = append(f.shown, grant)
		return nil
	})
	return err
}

func (f *fakeService) Abandon(_ context.Context, grant, why string) error {
	_, err := f.change("Abandon", f.request(grant), func(c *approvals.Case) error {
		f.dropped = append(f.dropped, grant+": "+why)
		c.Grant.State, c.Grant.Cause, c.Request.State = grants.Revoking, grants.Failed, approvals.Approved
		return nil
	})
	return err
}

func (f *fakeService) Release(_ context.Context, p approvals.Press) (approvals.Case, error) {
	return f.once("Release", p, func(c *approvals.Case) error {
		c.Grant.State, c.Grant.Cause, c.Grant.EndingAt = grants.Revoking, grants.Released, time.Now()
		c.Grant.EndedBy = audit.Actor{Kind: "person", ID: p.By, Name: "ana"}
		return nil
	})
}

func (f *fakeService) Revoke(_ context.Context, p approvals.Press, reason string) (approvals.Case, error) {
	return f.once("Revoke", p, func(c *approvals.Case) error {
		c.Grant.State, c.Grant.Cause, c.Grant.EndingAt, c.Grant.Note = grants.Revoking, grants.Withdrawn, time.Now(), reason
		c.Grant.EndedBy = audit.Actor{Kind: "person", ID: p.By, Name: "bo"}
		return nil
	})
}

func (f *fakeService) Extend(_ context.Context, p approvals.Press, by time.Duration) (approvals.Case, error) {
	return f.once("Extend", p, func(c *approvals.Case) error {
		// A typed command has seen no end; a window has, to the microsecond, as the store keeps it.
		if !p.Until.IsZero() && !p.Until.Equal(c.Grant.Deadline.Truncate(time.Microsecond)) {
			return &approvals.Refusal{Words: "This access was extended already."}
		}
		c.Grant.Deadline = c.Grant.Deadline.Add(by)
		return nil
	})
}

func (f *fakeService) Known(context.Context, string) error { return f.err("Known") }

func (f *fakeService) Usual(context.Context, []policy.Requirement) approvals.Usual {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.usual
}

func (f *fakeService) MayRevoke(context.Context, approvals.Press) error { return f.err("MayRevoke") }

func (f *fakeService) Extendable(context.Context, approvals.Case) (most time.Duration, why string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.longer, f.notLonger, f.fail["Extendable"]
}

func (f *fakeService) Instead(context.Context, approvals.Request) ([]approvals.Alternative, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.instead, f.fail["Instead"]
}

func (f *fakeService) Case(_ context.Context, id string) (approvals.Case, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.cases[id]; ok {
		return copyCase(c), nil
	}
	return approvals.Case{}, approvals.ErrNotFound
}

func (f *fakeService) Cases(_ context.Context, q approvals.Query) ([]approvals.Case, error) {
	return f.some(q.Limit, func(c *approvals.Case) bool {
		return c.Request.Requester.ID == q.Requester && (q.Target == "" || c.Request.Target == q.Target) && (q.Profile == "" || c.Request.Profile == q.Profile) && (!q.OpenReviews || c.Review.Open()) && (!q.LiveGrants || (c.Grant != nil && c.Grant.State != grants.Revoked)) &&
			(len(q.States) == 0 || slices.Contains(q.States, c.Request.State))
	}), f.err("Cases")
}

func (f *fakeService) Answerable(ctx context.Context, by string) ([]approvals.Case, error) {
	if isUnasked(ctx) {
		if err := f.err("Answerable unasked"); err != nil {
			return nil, err
		}
	}
	if err := f.err("Answerable"); err != nil {
		return nil, err
	}
	return f.some(0, func(c *approvals.Case) bool {
		return c.Request.State == approvals.Pending && c.Request.Requester.ID != by
	}), nil
}

// some are the cases that match, newest first.
func (f *fakeService) some(limit int, match func(*approvals.Case) bool) []approvals.Case {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []approvals.Case
	for _, c := range f.cases {
		if match(c) {
			out = append(out, copyCase(c))
		}
	}
	slices.SortFunc(out, func(a, b approvals.Case) int { return b.Request.FiledAt.Compare(a.Request.FiledAt) })
	if limit > 0 {
		out = out[:min(limit, len(out))]
	}
	return out
}

func (f *fakeService) Targets() []grants.Target {
	return []grants.Target{{Name: "orders-prod", Engine: "postgres", Environment: "production"}, {Name: "billing-prod", Engine: "postgres", Environment: "production"}}
}

func (f *fakeService) Profiles(target string) []policy.Profile {
	read := policy.Profile{
		Name: "read-only", Risk: "low", Description: "Look at everything.",
		Grants: []policy.ProfileGrant{{Schema: "public", Tables: []string{"*"}, Privileges: []string{"select"}}},
	}
	fix := policy.Profile{Name: "data-fix", Risk: "high", Parameters: []policy.Parameter{{Name: "customer_id", Type: "bigint", Required: true}}}
	switch target {
	case "orders-prod":
		return []policy.Profile{read, fix}
	case "billing-prod":
		return []policy.Profile{read}
	}
	return nil
}

func (f *fakeService) Grant(_ context.Context, id string) (grants.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.cases {
		if c.Grant != nil && c.Grant.ID == id {
			return *c.Grant, nil
		}
	}
	return grants.Grant{}, grants.ErrNotFound
}

// put stores a case as it is.
func (f *fakeService) put(c approvals.Case) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cases[c.Request.ID] = &c
}

// fakeOutbox keeps messages in memory as package outbox describes.
type fakeOutbox struct {
	mu     sync.Mutex
	rows   map[string]*outbox.Message
	claims map[string]string
	next   int
	gone   map[string]string
	fail   error // of RecordPosted
}

func newFakeOutbox() *fakeOutbox {
	return &fakeOutbox{rows: map[string]*outbox.Message{}, claims: map[string]string{}, gone: map[string]string{}}
}

func (o *fakeOutbox) ClaimMessage(_ context.Context, key string, now time.Time, _ time.Duration) (outbox.Message, string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.claims[key] != "" {
		return outbox.Message{}, "", outbox.ErrBusy
	}
	m, ok := o.rows[key]
	if !ok {
		m = &outbox.Message{Key: key, FirstTriedAt: now}
		o.rows[key] = m
	} else {
		m.Tried = m.TS == ""
	}
	if m.Gone {
		return *m, "", nil
	}
	o.next++
	o.claims[key] = strconv.Itoa(o.next)
	return *m, o.claims[key], nil
}

func (o *fakeOutbox) Message(_ context.Context, key string) (outbox.Message, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m, ok := o.rows[key]; ok {
		return *m, nil
	}
	return outbox.Message{}, outbox.ErrNoMessage
}

func (o *fakeOutbox) end(key, claim string, do func(*outbox.Message)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.claims[key] != claim {
		return fmt.Errorf("claim %q of %s is not held", claim, key)
	}
	delete(o.claims, key)
	do(o.rows[key])
	return nil
}

func (o *fakeOutbox) RecordPosted(_ context.Context, key, claim, channel, ts string, version int64) error {
	o.mu.Lock()
	fail := o.fail
	o.mu.Unlock()
	if fail != nil {
		return fail
	}
	return o.end(key, claim, func(m *outbox.Message) { m.Channel, m.TS, m.Version, m.Tried = channel, ts, version, false })
}

func (o *fakeOutbox) RecordGone(_ context.Context, key, claim, why string) error {
	return o.end(key, claim, func(m *outbox.Message) { m.Gone, m.Why, o.gone[key] = true, why, why })
}

func (o *fakeOutbox) ReviveMessage(_ context.Context, key, why string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m := o.rows[key]; m != nil && m.Gone && m.Why == why {
		m.Gone, m.Why = false, ""
	}
	return nil
}

func (o *fakeOutbox) ReleaseMessage(_ context.Context, key, claim string) error {
	return o.end(key, claim, func(*outbox.Message) {})
}

type fakeNews struct{}

func (fakeNews) Digest(context.Context, time.Time) (audit.Digest, error) {
	return audit.Digest{Asked: 3, Issued: 2, Head: audit.Head{Seq: 12, Hash: "abc123"}}, nil
}

func (fakeNews) Finding(_ context.Context, id string) (string, error) {
	return "Event " + id + ": a login <!channel> nobody knows.", nil
}
