package grants_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/grants"
)

// A password is of letters and digits, so that it needs no escaping anywhere, and of at least 128 random bits: 26 signs of
// the 32 of Base32.
func TestPasswordsAreLongAndPlain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	plain := regexp.MustCompile(`^[A-Z2-7]{26,}$`)
	seen := map[string]bool{}
	g, first := b.issue(time.Hour)
	_, second := b.issue(time.Hour)
	third, err := b.Rotate(t.Context(), g.ID, cli, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []grants.Credential{first, second, third} {
		if p := c.Password.Reveal(); !plain.MatchString(p) || seen[p] {
			t.Error("a password is short, special, or used twice")
		}
		seen[c.Password.Reveal()] = true
	}
}

// However it is configured: the security step is tried again within half a minute, and an overdue grant is shouted about
// within a minute.
func TestNobodyCanConfigurePatience(t *testing.T) {
	t.Parallel()
	if grants.MaxSecurityPause > 30*time.Second {
		t.Errorf("the pause between two tries may be %s", grants.MaxSecurityPause)
	}
	_, err := grants.New(grants.Config{
		Store: (*absent)(nil), Installation: "x", Now: time.Now, Log: zerolog.Nop(), ConnectionLimit: 1, Grace: time.Second, Parallel: 1,
		OverdueAfter: time.Minute + time.Second,
	})
	if err == nil || !strings.Contains(err.Error(), "OverdueAfter of at most a minute") {
		t.Errorf("an alarm after more than a minute: %v", err)
	}
}
