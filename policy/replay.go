package policy

import (
	"runtime"
	"sync"
	"time"
)

// Question is everything that a decision depends on besides the policy. It is kept with the decision, so that another
// policy can be asked the same. Kept questions carry no History: it follows from the requests before.
type Question struct {
	Request Request `json:"request"`
	Facts   Facts   `json:"facts"`
	// BreakGlass says that DecideBreakGlass was asked, and not Decide.
	BreakGlass bool `json:"break_glass,omitempty"`
}

// ask asks a policy the question. Nobody reads the steps of the answer.
func (q Question) ask(p *Policy, facts Facts) Decision {
	if q.BreakGlass {
		return p.DecideBreakGlass(q.Request, facts)
	}
	c, _ := p.decide(q.Request, facts)
	return c.Decision
}

// Past is one request as it was recorded.
type Past struct {
	ID       string
	Question Question
	// Kept is false for a request from before questions were kept: it cannot be decided again, and its Question holds who
	// asked for what and when, no more.
	Kept bool
	// Decision is what was decided; its steps are not needed.
	Decision Decision
}

// ReplayMemory is how much further back than the replay itself requests are wanted, so that budgets can be counted.
const ReplayMemory = 31 * 24 * time.Hour

// notThen is why a fact is unknown that nobody asked for at the time.
const notThen = "nobody looked it up then"

// Changed is one request that would have gone differently, or of which that cannot be said.
type Changed struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	User    string    `json:"user"`
	Target  string    `json:"target"`
	Profile string    `json:"profile"`
	// Old and New say in words what was and what would have been decided; a rule is empty when none matched.
	Old     string `json:"old"`
	OldRule string `json:"old_rule,omitempty"`
	New     string `json:"new"`
	NewRule string `json:"new_rule,omitempty"`
	// Why is the new decision's own reason.
	Why      string `json:"why"`
	Wider    bool   `json:"wider,omitempty"`
	Narrower bool   `json:"narrower,omitempty"`
	// Unsure lists facts the new policy asks for and nobody looked up then, each a sentence. The new answer is then the most
	// careful one, and neither Wider nor Narrower is set.
	Unsure []string `json:"unsure,omitempty"`
}

// Report is what a replay found.
type Report struct {
	// Policy is the hash of the new policy.
	Policy string    `json:"policy"`
	Since  time.Time `json:"since"`
	// Requests were decided again: Same went as before, Wider and Narrower would have gone differently (one that is both
	// counts in both), Unsure cannot be said.
	Requests int `json:"requests"`
	Same     int `json:"same"`
	Wider    int `json:"wider"`
	Narrower int `json:"narrower"`
	Unsure   int `json:"unsure"`
	// NotKept are requests from before questions were kept.
	NotKept int `json:"not_kept"`
	// Changes are those that are not Same, oldest first.
	Changes []Changed `json:"changes"`
}

// Replay decides recorded requests, and broken glass, again under another policy. Each is asked with the facts recorded with it, and with
// the history that the new policy would have made: its own automatic approvals since the beginning of the replay, and the
// recorded ones from before.
type Replay struct {
	policy *Policy
	then   func(hash string) *Policy
	uses   map[string]*[]Use
	old    map[string]*era
	report Report
}

// NewReplay begins a replay of requests filed since an instant. Then gives the policy that decided by its hash, or nil
// when that is not known any more; it is called from one goroutine at a time.
func NewReplay(p *Policy, then func(hash string) *Policy, since time.Time) *Replay {
	return &Replay{policy: p, then: then, uses: map[string]*[]Use{}, old: map[string]*era{}, report: Report{Policy: p.hash, Since: since, Changes: []Changed{}}}
}

// Add decides the next requests. They come in the order in which they were filed, from ReplayMemory before the replay's
// beginning on. One person's are decided in that order, different people's at once on every processor.
func (r *Replay) Add(page []Past) {
	of := map[string][]int{}
	for i, past := range page {
		who := past.Question.Request.User.ID
		of[who] = append(of[who], i)
		if r.uses[who] == nil {
			r.uses[who] = &[]Use{}
		}
		if hash := past.Decision.Policy; r.old[hash] == nil {
			r.old[hash] = r.policy.since(r.then(hash))
		}
	}
	results := make([]result, len(page))
	people := make(chan string)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for who := range people {
				for _, i := range of[who] {
					results[i] = r.one(page[i], r.old[page[i].Decision.Policy], r.uses[who])
				}
			}
		})
	}
	for who := range of {
		people <- who
	}
	close(people)
	wg.Wait()
	for _, result := range results {
		r.count(result)
	}
}

// Report is what was found so far.
func (r *Replay) Report() Report { return r.report }

// result is what came of one request.
type result struct {
	before, notKept bool
	changed         *Changed
}

func (r *Replay) count(one result) {
	switch c := one.changed; {
	case one.before:
		return
	case one.notKept:
		r.report.NotKept++
		return
	case c == nil:
		r.report.Same++
	case c.Unsure != nil:
		r.report.Unsure++
		r.report.Changes = append(r.report.Changes, *c)
	default:
		if c.Wider {
			r.report.Wider++
		}
		if c.Narrower {
			r.report.Narrower++
		}
		r.report.Changes = append(r.report.Changes, *c)
	}
	r.report.Requests++
}

// one decides one request again, and remembers an automatic approval.
func (r *Replay) one(past Past, then *era, uses *[]Use) result {
	request, decision := past.Question.Request, past.Decision
	out := result{before: request.At.Before(r.report.Since), notKept: !past.Kept}
	if !out.before && past.Kept {
		facts := then.recall(past.Question.Facts)
		facts.History = &History{Since: r.report.Since.Add(-ReplayMemory), Uses: *uses}
		decision = past.Question.ask(r.policy, facts)
		out.changed = then.compare(past, decision)
	}
	if decision.Outcome == Approved {
		old := 0
		for old < len(*uses) && (*uses)[old].At.Before(request.At.Add(-ReplayMemory)) {
			old++
		}
		*uses = append((*uses)[old:], Use{Rule: decision.Rule, At: request.start()})
	}
	return out
}
