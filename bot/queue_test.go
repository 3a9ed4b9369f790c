package bot

import "testing"

// A message that left its place and came back with another urgency keeps the new place when the old one comes to the front.
func TestWhoRejoinsKeepsTheNewPlace(t *testing.T) {
	t.Parallel()
	q := &queue{}
	q.join("a", record, noon)
	b := q.join("b", record, noon)
	q.leave("a")
	mine := q.join("a", waitedFor, noon)
	if first := q.first(record, noon); first != b {
		t.Errorf("first in line is %+v", first)
	}
	if q.place("a") != mine || q.first(waitedFor, noon) != mine {
		t.Errorf("who came back has the place %+v", q.place("a"))
	}
}
