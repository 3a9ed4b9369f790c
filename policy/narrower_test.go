package policy

import (
	"strings"
	"testing"
)

func TestNarrower(t *testing.T) {
	t.Parallel()
	p := loaded(t, `
version: 1
profiles:
  - { name: fix, risk: high, grants: [{ schema: public, tables: "*", privileges: [select, update] }] }
  - { name: read, risk: low, max_duration: 12h, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: read-again, risk: low, grants: [{ schema: public, tables: ["*"], privileges: [select] }] }
  - { name: read-pg, risk: low, engines: [postgres], grants: [{ schema: public, tables: [orders, people], privileges: [select] }] }
  - { name: read-my, risk: low, engines: [mysql], grants: [{ schema: public, tables: [orders], privileges: [select] }] }
  - { name: hidden, risk: low, grants: [{ schema: public, tables: [people], privileges: [select], mask: { email: hide } }] }
  - { name: partly, risk: low, grants: [{ schema: public, tables: [people], privileges: [select], mask: { email: partial } }] }
  - { name: few, risk: low, grants: [{ schema: public, tables: [people], privileges: [select], columns: [id] }] }
  - name: customer
    risk: low
    parameters: [{ name: id, type: bigint, required: true }]
    grants: [{ schema: public, tables: [people], privileges: [select], rows: "id = :id" }]
  - name: customer-hidden
    risk: low
    parameters: [{ name: id, type: bigint, required: true }]
    grants: [{ schema: public, tables: [people], privileges: [select], rows: "id = :id", mask: { email: "constant:x" } }]
  - name: customer-optional
    risk: low
    parameters: [{ name: id, type: bigint }]
    grants: [{ schema: public, tables: [people], privileges: [select], rows: "id = :id" }]
  - { name: slow, risk: low, connection_limit: 2, statement_timeout: 5s, grants: [{ schema: public, tables: [people], privileges: [select] }] }
`)
	for _, test := range []struct{ profile, engine, want string }{
		{"fix", "postgres", "read read-again read-pg hidden partly few slow"},
		{"fix", "mysql", "read read-again read-my hidden partly few slow"},
		{"read", "postgres", "read-pg hidden partly few slow"},
		{"read-pg", "postgres", "hidden partly few slow"},
		{"read-pg", "mysql", ""},
		{"partly", "postgres", "hidden few"},
		{"hidden", "postgres", "few"},
		{"customer", "postgres", "customer-hidden"},
		{"customer-optional", "postgres", ""},
		{"slow", "postgres", ""},
		{"gone", "postgres", ""},
	} {
		var names []string
		for _, narrow := range p.Narrower(test.profile, test.engine) {
			names = append(names, narrow.Name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("less than %s on %s is %q, wanted %q", test.profile, test.engine, got, test.want)
		}
	}
}
