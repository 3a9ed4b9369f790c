package policy

import "testing"

// A pattern is for whole names: what only contains it is another database.
func TestWildcard(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"orders-prod", "orders-prod", true},
		{"orders-prod", "orders-prod-2", false},
		{"orders-*", "orders-", true},
		{"orders-*", "my-orders-prod", false},
		{"*-eu", "orders-eu", true},
		{"*-eu", "orders-eu-copy", false},
		{"orders-*-eu", "orders-1-eu", true},
		{"orders-*-eu", "orders-1-eu-copy", false},
		{"orders-*-eu", "orders-eu", false},
		{"*-prod-*-eu", "a-prod-b-eu", true},
		{"*-prod-*-eu", "a-prod-b-eu-c", false},
		{"*-prod-*", "a-test-b", false},
		{"*", "", true},
	} {
		if got := wildcard(test.pattern, test.text); got != test.want {
			t.Errorf("%q and %q: %v", test.pattern, test.text, got)
		}
	}
}
