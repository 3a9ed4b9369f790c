package acceptance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// TestOneCustomersData plays the example policy's support profile: the customer is part of the request, is shown to whoever
// approves it, and is all that the database shows, with what identifies people hidden.
func TestOneCustomersData(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	example, err := os.ReadFile("../../policy.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const group = "{ slack_usergroup: S0SUPPORT }"
	if !strings.Contains(string(example), group) {
		t.Fatalf("the example policy has no %s any more", group)
	}
	text := strings.ReplaceAll(string(example), group, "{ slack_usergroup: S0SUPPORT, emails: [bo@example.com, cy@example.com] }")
	if err := os.WriteFile(filepath.Join(w.Dir(), "policy.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.ExecTarget(t.Context(), `INSERT INTO customers VALUES (42, 'Ada Ek', 'ada@example.com', '4000 0000 0000 0036');
		INSERT INTO orders VALUES (142, 42, 'stool', 700, 'lost')`); err != nil {
		t.Fatal(err)
	}
	for range 2 { // running it again does nothing
		if out, err := w.Run(t.Context(), "targets", "apply", "--yes", "--as-file", filepath.Join(w.Dir(), "dba-url")); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := w.Run(t.Context(), "targets", "check", "--as-file", filepath.Join(w.Dir(), "dba-url")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	w.serve()

	for _, wrong := range []string{"", "customer_id=forty-two", "customer_id=9223372036854775808", "order_id=42", "customer_id=42;DROP"} {
		w.says(w.Person("bo").Command("/prodaccess orders-prod support 30m "+wrong+" the parcel never came"), "ustomer_id")
	}
	if n := w.store(`SELECT count(*) FROM grants`); n != "0" {
		t.Errorf("%s grants", n)
	}
	for who, asks := range map[string]string{"bo": "customer_id=42 the parcel never came", "cy": "customer_id=2 the chair is broken"} {
		w.ok(w.Person(who).Command("/prodaccess orders-prod support 30m " + asks))
		words := asks[strings.Index(asks, "the "):]
		if card := w.sees("dora", words); !strings.Contains(card.Text, "customer_id") {
			t.Errorf("the approver does not see the customer: %s", card.Text)
		}
		w.clicks("dora", "Approve")
		w.clicks(who, "Get credentials")
	}
	for who, want := range map[string][2]string{
		"bo": {"142 stool", "42 Ada Ek a***@example.com ***"},
		"cy": {"102 chair, 103 desk", "2 Jon Berg j***@example.com ***"},
	} {
		session := w.connect(w.credential(who))
		if got := askOn(t, session, `SELECT string_agg(id || ' ' || item, ', ' ORDER BY id) FROM orders`); got != want[0] {
			t.Errorf("%s sees orders %s", who, got)
		}
		if got := askOn(t, session, `SELECT string_agg(concat_ws(' ', id, name, email, card_number), ', ') FROM customers`); got != want[1] {
			t.Errorf("%s sees customers %s", who, got)
		}
		_, err := session.Exec(t.Context(), `SELECT * FROM public.customers`)
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "42501" {
			t.Errorf("the table itself was not refused: %v", err)
		}
	}
	w.clicks("bo", "Release")
	w.eventually("no trace of bo's login is left", func() (bool, error) { return w.trace() == "1", nil })
	w.eventually("nor of its customer", func() (bool, error) {
		return w.target(`SELECT string_agg(value, ',') FROM pa_internal.bound_values`) == "2", nil
	})
	w.eventually("the receipt says so", func() (bool, error) {
		return w.store(`SELECT count(*) FROM grants WHERE receipt::text LIKE '%no value of a parameter is kept%'`) == "1", nil
	})
}
