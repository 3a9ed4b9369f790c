package approvals

import (
	"testing"
	"time"
)

// In these tests everything gives more than masked, and all but aggregates more than that; other is like neither.
var above = map[string][]string{
	"masked": {"read-only"}, "aggregates": {"read-only", "masked"}, "other": {"read-only"},
}

func lessYes(name string, fills int, d time.Duration, profile string) Approve {
	return Approve{By: person(name), Fills: []int{fills}, TakeWithin: time.Hour, Less: &Less{d, profile}, Above: above[profile]}
}

func threeNeeded() Case {
	c := pending(one("dba"), one("security"), one("managers"))
	c.Request.Profile, c.Request.Duration = "read-only", 30*time.Minute
	return c
}

func TestTheLeastThatAnybodySaidIsGiven(t *testing.T) {
	c := threeNeeded()
	given := func(d time.Duration, profile string) {
		t.Helper()
		if c.Request.Length() != d || c.Request.Access() != profile {
			t.Errorf("given are %s of %s, want %s of %s", c.Request.Length(), c.Request.Access(), d, profile)
		}
	}
	given(30*time.Minute, "read-only")
	c = must(t, c, lessYes("dora", 0, 20*time.Minute, "masked"), began)
	given(20*time.Minute, "masked")
	c = must(t, c, lessYes("sam", 1, 10*time.Minute, ""), began)
	given(10*time.Minute, "masked")
	narrower := must(t, c, lessYes("max", 2, 25*time.Minute, "aggregates"), began)
	if r := narrower.Request; r.State != Approved || r.Length() != 10*time.Minute || r.Access() != "aggregates" || r.Profile != "read-only" {
		t.Errorf("%s: %s of %s instead of %s", r.State, r.Length(), r.Access(), r.Profile)
	}
	// Everything asked for is a yes to less as well: the least counts.
	if r := must(t, c, yes("max", 2), began).Request; r.State != Approved || r.Length() != 10*time.Minute || r.Access() != "masked" {
		t.Errorf("%s: %s of %s", r.State, r.Length(), r.Access())
	}
	// Taking back the yes that was for less leaves what the others said.
	c = must(t, c, Withdraw{By: person("sam")}, began)
	given(20*time.Minute, "masked")
	c = must(t, c, Withdraw{By: person("dora")}, began)
	given(30*time.Minute, "read-only")
	if c.Request.Less != nil {
		t.Error("nobody said less any more")
	}
}

func TestLessIsLess(t *testing.T) {
	c := must(t, threeNeeded(), lessYes("dora", 0, 0, "masked"), began)
	for _, x := range []struct {
		name     string
		d        time.Duration
		profile  string
		field    string
		refusing Case
	}{
		{"nothing less", 0, "", "Duration", c},
		{"as much as asked", 30 * time.Minute, "read-only", "Duration", c},
		{"longer", 31 * time.Minute, "masked", "Duration", c},
		{"hardly anything", time.Millisecond, "", "Duration", c},
		{"negative", -time.Minute, "", "Duration", c},
		{"wider", 0, "data-fix", "Access", threeNeeded()},
		{"neither narrower nor wider than what was agreed", 0, "other", "Access", c},
	} {
		a := lessYes("sam", 1, x.d, x.profile)
		wantRefusal(t, x.refusing, a, began, BadInput)
		if _, err := Next(x.refusing, a, began); err.(*Refusal).Field != x.field {
			t.Errorf("%s: the field at fault is %q", x.name, err.(*Refusal).Field)
		}
	}
	same := must(t, c, lessYes("sam", 1, 0, "masked"), began)
	if same.Request.Access() != "masked" {
		t.Error("agreeing to what is agreed to")
	}
	whole := must(t, c, lessYes("sam", 1, 30*time.Minute, "masked"), began)
	if less := whole.Approvals[1].Less; less.Duration != 0 {
		t.Errorf("all of the time is kept as less: %s", less.Duration)
	}
}
