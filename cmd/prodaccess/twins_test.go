package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/localpg"
)

// Targets that answer with one identifier are told of, by what they are to each other.
func TestTheDoctorTellsOfTargetsWithOneIdentifier(t *testing.T) {
	srv, err := localpg.Start(t.Context(), localpg.Options{Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	p := setupOn(t, srv)
	copied, err := srv.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(copied.Stop)
	config := readFile(t, p.config) + "\n"
	own, its := fmt.Sprintf("127.0.0.1:%d/", srv.Port()), fmt.Sprintf("127.0.0.1:%d/", copied.Port())
	target := config[strings.Index(config, "  - { name: orders-prod"):]
	if !strings.Contains(target, own) {
		t.Fatalf("no %s in %s", own, target)
	}
	config += strings.Replace(target, "orders-prod", "orders-again", 1)
	config += strings.Replace(strings.Replace(target, "orders-prod", "orders-copy", 1), own, its, 1)
	write(t, p.config, config)
	doctor := func(targets ...string) string {
		return prodaccess(t, append([]string{"doctor", "--no-rehearsal", "--config", p.config}, targets...)...).out
	}
	all := doctor()
	for _, says := range []string{
		"orders-prod and orders-again are one server under two names", "orders-prod and orders-copy are two servers with one identifier",
		"orders-again and orders-copy are two servers with one identifier", "docs/operating.md, A physical copy",
	} {
		if !strings.Contains(all, says) {
			t.Errorf("nothing is said of %q:\n%s", says, all)
		}
	}
	if one := doctor("orders-prod"); strings.Contains(one, "under two names") || strings.Contains(one, "one identifier") {
		t.Errorf("told of what nobody asked for:\n%s", one)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil || !strings.Contains(string(page), "### A physical copy\n") {
		t.Errorf("docs/operating.md does not say what to do with a copy: %v", err)
	}
}
