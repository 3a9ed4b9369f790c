package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prodaccess/prodaccess/audit"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))

func sample() audit.Event {
	return audit.Event{
		ID: 7, At: noon, Kind: audit.RequestDenied, Refused: true,
		Actor:  audit.Actor{Kind: "person", ID: "U00BO", Name: "Bo", Email: "bo@example.com"},
		Source: "slack:socket", Request: "r1", Grant: "g1", Target: "orders-prod", Profile: "read-only",
		Reason: "not \"now\" \\ <b>&\n\x01 \u2028 🦆 \xff", Policy: "abc", Rule: "two people",
		Detail: map[string]string{"quorum": "no", "duration": "30m"},
	}
}

// These texts and hashes are in records that exist. A change of either makes every old record look forged.
func TestCanonicalFormIsFrozen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		event      audit.Event
		text, hash string
	}{
		"full": {
			sample(),
			`{"id":7,"at":"2026-03-02T11:00:00.123456Z","kind":"request.denied","refused":true,` +
				`"actor":{"kind":"person","id":"U00BO","name":"Bo","email":"bo@example.com"},"source":"slack:socket",` +
				`"request":"r1","grant":"g1","target":"orders-prod","profile":"read-only",` +
				`"reason":"not \"now\" \\ <b>&\n\u0001 ` + "\u2028 🦆 \uFFFD" + `","policy":"abc","rule":"two people",` +
				`"detail":{"duration":"30m","quorum":"no"}}`,
			"149ef87c6db2dec4d1971a1d463b3dd333ac6849fc29ce3c47aa6b42e8a5aed4",
		},
		"empty": {
			audit.Event{},
			`{"id":0,"at":"0001-01-01T00:00:00.000000Z","kind":"","refused":false,"actor":{"kind":"","id":"","name":"","email":""},` +
				`"source":"","request":"","grant":"","target":"","profile":"","reason":"","policy":"","rule":"","detail":{}}`,
			"ad4b4864cbbcda4c5c40ea2421f5bcadb6840e892a39a68672be4a977969db9b",
		},
	} {
		if got := string(audit.Canonical(tc.event)); got != tc.text {
			t.Errorf("%s: canonical form\n%s\nwant\n%s", name, got, tc.text)
		}
		if got := audit.Hash(audit.Genesis, tc.event); got != tc.hash {
			t.Errorf("%s: hash %s, want %s", name, got, tc.hash)
		}
		sum := sha256.Sum256([]byte(strings.Repeat("0", 64) + "\n" + tc.text))
		if hex.EncodeToString(sum[:]) != tc.hash {
			t.Errorf("%s: the golden hash is not that of the golden text", name)
		}
	}
}

// A field that somebody adds to an event has to change its hash.
func TestEveryFieldIsSealed(t *testing.T) {
	t.Parallel()
	before := audit.Hash(audit.Genesis, sample())
	var change func(path string, v reflect.Value, event *audit.Event)
	change = func(path string, v reflect.Value, event *audit.Event) {
		was := reflect.ValueOf(v.Interface())
		switch value := v.Interface().(type) {
		case time.Time:
			v.Set(reflect.ValueOf(value.Add(time.Microsecond)))
		case map[string]string:
			v.Set(reflect.ValueOf(map[string]string{"quorum": "no", "duration": "31m"}))
		default:
			switch v.Kind() {
			case reflect.Struct:
				for i := range v.NumField() {
					change(path+"."+v.Type().Field(i).Name, v.Field(i), event)
				}
				return
			case reflect.String:
				v.SetString(v.String() + "x")
			case reflect.Int64:
				v.SetInt(v.Int() + 1)
			case reflect.Bool:
				v.SetBool(!v.Bool())
			default:
				t.Fatalf("%s: a field of kind %s: teach Canonical and this test", path, v.Kind())
			}
		}
		if audit.Hash(audit.Genesis, *event) == before {
			t.Errorf("%s can be changed without anybody noticing", path)
		}
		v.Set(was)
	}
	event := sample()
	change("Event", reflect.ValueOf(&event).Elem(), &event)
}

func FuzzCanonicalIsJSONThatKeepsApart(f *testing.F) {
	f.Add("a", "b", "k", "v")
	f.Add("", "\x00\xff\"\\", "\u2028", "}{")
	f.Fuzz(func(t *testing.T, reason, rule, key, value string) {
		e := audit.Event{At: noon, Reason: reason, Rule: rule, Detail: map[string]string{key: value}}
		text := audit.Canonical(e)
		var got struct {
			Reason, Rule string
			Detail       map[string]string
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("no JSON: %v\n%s", err, text)
		}
		if !utf8.Valid(text) {
			t.Errorf("no UTF-8: %q", text)
		}
		clean := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
		// One U+FFFD for each bad byte here, one for each run of them in ToValidUTF8: compare without.
		same := func(a, b string) bool {
			return strings.ReplaceAll(a, "\uFFFD", "") == strings.ReplaceAll(clean(b), "\uFFFD", "")
		}
		if !same(got.Reason, reason) || !same(got.Rule, rule) || len(got.Detail) != 1 {
			t.Errorf("read back %+v from %s", got, text)
		}
		for k, v := range got.Detail {
			if !same(k, key) || !same(v, value) {
				t.Errorf("read back %q: %q, wrote %q: %q", k, v, key, value)
			}
		}
	})
}

// memory is a record that tests can tamper with.
type memory struct {
	links []audit.Link
	err   error
}

func (m memory) Chain(context.Context) iter.Seq2[audit.Link, error] {
	return func(yield func(audit.Link, error) bool) {
		for _, link := range m.links {
			if !yield(link, nil) {
				return
			}
		}
		if m.err != nil {
			yield(audit.Link{}, m.err)
		}
	}
}

func record(n int) memory {
	var m memory
	var head audit.Head
	for i := range n {
		e := sample()
		e.ID = int64(i + 1)
		s := audit.Append(head, []audit.Event{e}, noon)[0]
		head = audit.Head{Seq: s.Seq, Hash: s.Hash}
		m.links = append(m.links, audit.Link{Seal: &s, Event: &e})
	}
	return m
}

func faults(r audit.Report) (out []audit.Fault) {
	for _, f := range r.Findings {
		out = append(out, f.Fault)
	}
	return out
}

func TestVerify(t *testing.T) {
	t.Parallel()
	honest := record(10)
	report, err := audit.Verify(t.Context(), honest, noon)
	if err != nil || !report.OK() || report.Head.Seq != 10 || report.Events != 10 || report.Seals != 10 {
		t.Fatalf("an honest record: %+v, %v", report, err)
	}
	head := report.Head
	middle := audit.Head{Seq: 4, Hash: honest.links[3].Seal.Hash}
	young, old := sample(), sample()
	young.ID, old.ID, old.At = 11, 12, noon.Add(-audit.SealWithin-time.Second)
	ahead := sample()
	ahead.ID, ahead.At = 13, noon.AddDate(100, 0, 0)
	for name, tc := range map[string]struct {
		tamper func(m *memory)
		heads  []audit.Head
		want   []audit.Fault
	}{
		"nothing":              {func(*memory) {}, []audit.Head{head, middle, {}}, nil},
		"a young event":        {func(m *memory) { m.links = append(m.links, audit.Link{Event: &young}) }, nil, nil},
		"an old event":         {func(m *memory) { m.links = append(m.links, audit.Link{Event: &old}) }, nil, []audit.Fault{audit.SealMissing}},
		"an event to come":     {func(m *memory) { m.links = append(m.links, audit.Link{Event: &ahead}) }, nil, []audit.Fault{audit.SealMissing}},
		"a changed event":      {func(m *memory) { m.links[4].Event.Reason = "better" }, nil, []audit.Fault{audit.EventChanged}},
		"a missing event":      {func(m *memory) { m.links[4].Event = nil }, nil, []audit.Fault{audit.EventMissing}},
		"a missing seal":       {func(m *memory) { m.links = slices.Delete(m.links, 4, 5) }, nil, []audit.Fault{audit.SealGap}},
		"missing seals":        {func(m *memory) { m.links = slices.Delete(m.links, 0, 3) }, nil, []audit.Fault{audit.SealGap}},
		"a foreign link":       {func(m *memory) { m.links[4].Seal.Prev = audit.Genesis }, nil, []audit.Fault{audit.LinkBroken, audit.EventChanged}},
		"a foreign hash":       {func(m *memory) { m.links[4].Seal.Hash = audit.Genesis }, nil, []audit.Fault{audit.EventChanged, audit.LinkBroken}},
		"a number twice":       {func(m *memory) { m.links = slices.Insert(m.links, 5, m.links[4]) }, nil, []audit.Fault{audit.Forked}},
		"cut off":              {func(m *memory) { m.links = m.links[:8] }, []audit.Head{head, middle}, []audit.Fault{audit.HeadMismatch}},
		"cut off, unwitnessed": {func(m *memory) { m.links = m.links[:8] }, []audit.Head{middle}, nil},
		"rewritten":            {func(m *memory) { *m = rewritten(10) }, []audit.Head{head}, []audit.Fault{audit.HeadMismatch}},
		"a head that never was": {
			func(m *memory) { m.links = slices.Delete(m.links, 3, 4) },
			[]audit.Head{middle},
			[]audit.Fault{audit.SealGap, audit.HeadMismatch},
		},
	} {
		m := record(10)
		tc.tamper(&m)
		report, err := audit.Verify(t.Context(), m, noon.Add(time.Second), tc.heads...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := faults(report); !slices.Equal(got, tc.want) {
			t.Errorf("%s: found %v, want %v: %+v", name, got, tc.want, report.Findings)
		}
		for _, f := range report.Findings {
			if !strings.HasSuffix(f.Words, ".") || f.Seq == 0 && f.Event == 0 {
				t.Errorf("%s: a finding without words or place: %+v", name, f)
			}
		}
	}
}

func rewritten(n int) memory {
	var m memory
	var events []audit.Event
	for i := range n {
		e := sample()
		e.ID, e.Reason = int64(i+1), "better"
		events = append(events, e)
	}
	for i, s := range audit.Append(audit.Head{}, events, noon) {
		m.links = append(m.links, audit.Link{Seal: &s, Event: &events[i]})
	}
	return m
}

func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	m := record(1500)
	for _, link := range m.links {
		link.Event.Reason = "better"
	}
	report, err := audit.Verify(t.Context(), m, noon)
	if err != nil || len(report.Findings)+report.More != 1500 || len(report.Findings) > 1000 {
		t.Errorf("%d findings and %d more, %v", len(report.Findings), report.More, err)
	}
}

func TestBrokenSourceIsNoVerdict(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection broke")
	m := record(3)
	m.err = broken
	if _, err := audit.Verify(t.Context(), m, noon); !errors.Is(err, broken) {
		t.Errorf("verify: %v", err)
	}
	if err := audit.Export(t.Context(), m, &bytes.Buffer{}); !errors.Is(err, broken) {
		t.Errorf("export: %v", err)
	}
	if _, err := audit.Verify(t.Context(), memory{links: []audit.Link{{}}}, noon); err == nil {
		t.Error("a link of nothing was accepted")
	}
}

func TestExportKeepsEveryByte(t *testing.T) {
	t.Parallel()
	m := record(2)
	m.links[1].Event = nil
	young := sample()
	m.links = append(m.links, audit.Link{Event: &young})
	var out bytes.Buffer
	if err := audit.Export(t.Context(), m, &out); err != nil {
		t.Fatal(err)
	}
	s := m.links[0].Seal
	want := `{"seq":1,"prev":"` + s.Prev + `","hash":"` + s.Hash + `","sealed_at":"2026-03-02T11:00:00.123456Z","event":` +
		string(audit.Canonical(*m.links[0].Event)) + "}\n" +
		`{"seq":2,"prev":"` + s.Hash + `","hash":"` + m.links[1].Seal.Hash + `","sealed_at":"2026-03-02T11:00:00.123456Z","event":null}` + "\n" +
		`{"event":` + string(audit.Canonical(young)) + "}\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func BenchmarkHash(b *testing.B) {
	e := sample()
	for b.Loop() {
		audit.Hash(audit.Genesis, e)
	}
}
