package policy

import (
	"strings"
	"testing"
)

func profileFile(text string) string {
	return "version: 1\nprofiles: [{ name: p, risk: low, " + text + " }]\nrules: [{ name: all, who: [anyone], profiles: [p], approve: automatically }]\n"
}

func TestProfileKeys(t *testing.T) {
	t.Parallel()
	p, warnings, err := Load([]byte(profileFile(`member_of: [pg_monitor], lock_timeout: 5s, idle_in_transaction_timeout: 1m,
		grants: [{ schema: s, sequences: [a, "b_*"], functions: "f(integer)", privileges: [usage, execute] }]`)), "p.yaml")
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	profile, _ := p.Profile("p")
	if profile.MemberOf[0] != "pg_monitor" || profile.LockTimeout.Seconds() != 5 || profile.IdleInTransactionTimeout.Minutes() != 1 ||
		len(profile.Grants[0].Sequences) != 2 || profile.Grants[0].Functions[0] != "f(integer)" {
		t.Errorf("%+v", profile)
	}
	for text, want := range map[string]string{
		`member_of: [pg_write_all_data], grants: [{ schema: s, tables: a, privileges: select }]`:         `member_of takes pg_monitor`,
		`member_of: [pg_execute_server_program], grants: [{ schema: s, tables: a, privileges: select }]`: `member_of takes pg_monitor`,
		`member_of: [pg_monitr], grants: [{ schema: s, tables: a, privileges: select }]`:                 `did you mean "pg_monitor"?`,
		`grants: [{ schema: s, privileges: select }]`:                                                    `a grant needs tables`,
		`lock_timeout: 5, grants: [{ schema: s, tables: a, privileges: select }]`:                        `without a unit`,
	} {
		if _, _, err := Load([]byte(profileFile(text)), "p.yaml"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: nothing says %q: %v", text, want, err)
		}
	}
	if _, warnings, err := Load([]byte(profileFile(`member_of: [pg_read_all_data]`)), "p.yaml"); err != nil || len(warnings) != 1 {
		t.Errorf("pg_read_all_data: %v, %v", warnings, err)
	}
}

// TestProfilesGetWider changes one key of a profile at a time.
func TestProfilesGetWider(t *testing.T) {
	t.Parallel()
	load := func(text string) *Policy {
		p, _, err := Load([]byte(profileFile(text)), "p.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const all = `{ schema: s, tables: "*", privileges: [select] }`
	for _, c := range []struct{ narrow, wide, gains string }{
		{`grants: [` + all + `]`, `member_of: [pg_monitor], grants: [` + all + `]`, "membership in pg_monitor"},
		{`lock_timeout: 5s, grants: [` + all + `]`, `lock_timeout: 6s, grants: [` + all + `]`, "waits for locks"},
		{`idle_in_transaction_timeout: 5s, grants: [` + all + `]`, `grants: [` + all + `]`, "idle transactions"},
		{`grants: [{ schema: s, sequences: a, privileges: usage }]`, `grants: [{ schema: s, sequences: [a, b], privileges: usage }]`, "usage on the sequence s.b"},
		{`grants: [{ schema: s, functions: a, privileges: execute }]`, `grants: [{ schema: s, functions: "*", privileges: execute }]`, "execute on the function s.*"},
		// Taking a limit away widens, though "*" was there before.
		{`grants: [` + all + `, { schema: s, tables: c, privileges: [select], mask: { x: hide } }]`, `grants: [` + all + `]`, "s.c without its rows or mask"},
		{`grants: [` + all + `, { schema: s, tables: c, privileges: [select], rows: "a = 1" }]`, `grants: [` + all + `]`, "s.c without its rows or mask"},
		{`grants: [{ schema: s, tables: "c*", privileges: [select] }, { schema: s, tables: cd, privileges: [select], rows: "a = 1" }]`, `grants: [{ schema: s, tables: "c*", privileges: [select] }]`, "s.cd without"},
	} {
		narrow, wide := load(c.narrow), load(c.wide)
		ahead := diffProfiles(narrow, wide)
		if len(ahead) != 1 || !ahead[0].Wider || ahead[0].Narrower || !strings.Contains(ahead[0].What, c.gains) {
			t.Errorf("%s → %s: %+v", c.narrow, c.wide, ahead)
		}
		if back := diffProfiles(wide, narrow); len(back) != 1 || back[0].Wider || !back[0].Narrower {
			t.Errorf("%s → %s: %+v", c.wide, c.narrow, back)
		}
	}
}

func TestParameterRanges(t *testing.T) {
	t.Parallel()
	for kind, values := range map[string]struct{ good, bad string }{
		"bigint":      {"0 -1 9223372036854775807 -9223372036854775808", "9223372036854775808 1.5 1e3 0x10 1_000 ١"},
		"integer":     {"2147483647 -2147483648", "2147483648"},
		"numeric":     {"1 -1.5 +0.001", "NaN Infinity 1e5 .5 1."},
		"uuid":        {"6f1f0a38-6ec0-4b49-93e0-6e8d2b1c9f00", "6f1f0a386ec04b4993e06e8d2b1c9f00 {6f1f0a38-6ec0-4b49-93e0-6e8d2b1c9f00}"},
		"date":        {"2026-02-28 2024-02-29 0001-01-01 9999-12-31", "2026-02-29 0000-01-01 26-01-01 infinity today 10000-01-01"},
		"timestamptz": {"2026-02-28T12:00:00Z 2026-02-28T12:00:00.123456+14:00", "2026-02-28T12:00:00 2026-02-28T12:00:00,5Z 2026-02-28T12:00:00.1234567Z 2026-02-28T12:00:00+15:00 0000-01-01T00:00:00Z now"},
		"boolean":     {"true false", "TRUE t 1 yes"},
	} {
		p := Parameter{Name: "x", Type: kind}
		for _, value := range strings.Fields(values.good) {
			if !p.accepts(value) {
				t.Errorf("%s does not take %s", kind, value)
			}
		}
		for _, value := range strings.Fields(values.bad) {
			if p.accepts(value) {
				t.Errorf("%s takes %s", kind, value)
			}
		}
	}
}
