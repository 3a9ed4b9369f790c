package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Link is one line of the record as it is stored: a seal with its event, a seal whose event is gone, or an event that no
// seal covers.
type Link struct {
	Seal  *Seal
	Event *Event
}

// Source reads the whole record at one instant: first every seal in the order of its number, each with its event if that
// is still there, then every event without a seal in the order of its id. An error ends the sequence.
type Source interface {
	Chain(ctx context.Context) iter.Seq2[Link, error]
}

// Fault says in which way the record is wrong, from a closed list.
type Fault string

// The faults.
const (
	// EventChanged: the event's canonical form does not give its seal's hash.
	EventChanged Fault = "event-changed"
	// EventMissing: there is a seal, but its event is gone.
	EventMissing Fault = "event-missing"
	// SealMissing: an event older than SealWithin has no seal, or one that says it is from later than anybody's clock may be.
	SealMissing Fault = "seal-missing"
	// SealGap: numbers of seals are missing.
	SealGap Fault = "seal-gap"
	// Forked: two seals have one number.
	Forked Fault = "forked"
	// LinkBroken: a seal does not follow from the one before it.
	LinkBroken Fault = "link-broken"
	// HeadMismatch: a remembered head is not on the chain.
	HeadMismatch Fault = "head-mismatch"
)

// Finding is one fault and where it is.
type Finding struct {
	Fault Fault `json:"fault"`
	// Seq and Event are the seal's number and the event's id, 0 where there is none.
	Seq   int64 `json:"seq,omitempty"`
	Event int64 `json:"event,omitempty"`
	// Words say it for a person, in one sentence.
	Words string `json:"words"`
}

// maxFindings bounds a report: a chain rewritten at its start would otherwise list every line of ten years.
const maxFindings = 1000

// Report is what [Verify] found.
type Report struct {
	// Events and Seals are how many were read; Unsealed is how many events are too young to need a seal.
	Events   int `json:"events"`
	Seals    int `json:"seals"`
	Unsealed int `json:"unsealed"`
	// Head is the end of the chain: remember it elsewhere and give it to the next verification.
	Head     Head      `json:"head"`
	Findings []Finding `json:"findings,omitempty"`
	// More is how many findings were left out of Findings.
	More int `json:"more,omitempty"`
}

// OK says whether nothing was found.
func (r Report) OK() bool { return len(r.Findings) == 0 }

func (r *Report) find(fault Fault, seq, event int64, format string, args ...any) {
	if len(r.Findings) == maxFindings {
		r.More++
		return
	}
	r.Findings = append(r.Findings, Finding{Fault: fault, Seq: seq, Event: event, Words: fmt.Sprintf(format, args...)})
}

// Verify reads the whole record and recomputes the chain, in memory that does not grow with it, except by what is found.
// Heads are ends of the chain that were remembered elsewhere, in digests for example: without one, a record whose end was
// cut off, or which was rewritten as a whole, cannot be told from an honest one. The error is the source's.
func Verify(ctx context.Context, source Source, now time.Time, heads ...Head) (Report, error) {
	v := verification{now: now, heads: map[int64][]Head{}, prev: Genesis}
	for _, head := range heads {
		if head.Seq > 0 {
			v.heads[head.Seq] = append(v.heads[head.Seq], head)
		}
	}
	for link, err := range source.Chain(ctx) {
		if err != nil {
			return v.report, fmt.Errorf("reading the audit chain: %w", err)
		}
		switch {
		case link.Seal != nil:
			v.seal(*link.Seal, link.Event)
		case link.Event != nil:
			v.unsealed(*link.Event)
		default:
			return v.report, errors.New("reading the audit chain: a link without seal and event")
		}
	}
	v.headsBeyond()
	return v.report, nil
}

// A verification is where Verify is: the number and the hash of the last seal.
type verification struct {
	report Report
	now    time.Time
	heads  map[int64][]Head
	seq    int64
	prev   string
	last   int64 // event of the last seal
}

func (v *verification) seal(s Seal, e *Event) {
	v.report.Seals++
	switch {
	case s.Seq == v.seq && v.report.Seals > 1:
		v.report.find(Forked, s.Seq, s.Event, "Seal %d is there twice: once for event %d and once for event %d.", s.Seq, v.last, s.Event)
	case s.Seq != v.seq+1:
		v.report.find(SealGap, s.Seq, s.Event, "%s missing: after seal %d comes seal %d.", missing(v.seq+1, s.Seq-1), v.seq, s.Seq)
	case s.Prev != v.prev:
		v.report.find(LinkBroken, s.Seq, s.Event, "Seal %d (event %d) does not follow from the seal before it: it names %s, which has %s.",
			s.Seq, s.Event, short(s.Prev), short(v.prev))
	}
	if e == nil {
		v.report.find(EventMissing, s.Seq, s.Event, "Event %d is gone; seal %d says that it was there.", s.Event, s.Seq)
	} else {
		v.report.Events++
		if Hash(s.Prev, *e) != s.Hash {
			v.report.find(EventChanged, s.Seq, e.ID, "Event %d (%s, %s) or its seal %d was changed after it was sealed.",
				e.ID, e.Kind, e.At.UTC().Format(time.RFC3339), s.Seq)
		}
	}
	for _, head := range v.heads[s.Seq] {
		if head.Hash != s.Hash {
			v.report.find(HeadMismatch, s.Seq, s.Event, "Seal %d is %s, but %s was remembered: the chain was rewritten up to there.",
				s.Seq, short(s.Hash), short(head.Hash))
		}
	}
	delete(v.heads, s.Seq)
	// Going on from what is stored reports each fault once, where it is.
	v.seq, v.prev, v.last = s.Seq, s.Hash, s.Event
	v.report.Head = Head{Seq: s.Seq, Hash: s.Hash}
}

func (v *verification) unsealed(e Event) {
	v.report.Events++
	if v.now.Sub(e.At).Abs() <= SealWithin {
		v.report.Unsealed++
		return
	}
	v.report.find(SealMissing, 0, e.ID, "Event %d (%s, %s) has no seal: it was inserted behind the sealer's back, its seal was removed, or no replica has run since one was killed.",
		e.ID, e.Kind, e.At.UTC().Format(time.RFC3339))
}

// headsBeyond reports the remembered heads whose seals the chain does not have.
func (v *verification) headsBeyond() {
	for seq, heads := range v.heads {
		for _, head := range heads {
			if seq > v.seq {
				v.report.find(HeadMismatch, seq, 0, "Seal %d (%s) was remembered, but the chain ends at %d: its end was cut off.", seq, short(head.Hash), v.seq)
			} else {
				v.report.find(HeadMismatch, seq, 0, "Seal %d (%s) was remembered, but is missing.", seq, short(head.Hash))
			}
		}
	}
}

func missing(from, to int64) string {
	if from == to {
		return fmt.Sprintf("Seal %d is", from)
	}
	return fmt.Sprintf("Seals %d to %d are", from, to)
}

// short is enough of a hash to compare by eye.
func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12] + "…"
	}
	return hash
}
