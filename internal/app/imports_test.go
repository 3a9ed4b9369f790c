package app

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/prodaccess/prodaccess/"

// arrows says which packages of this module each package may import. DESIGN: imports only point this way.
var arrows = map[string][]string{
	"internal/secret": {}, "internal/jobs": {}, "internal/outbox": {},
	"audit":               {},
	"policy":              {},
	"oncall":              {"internal/secret"},
	"grants":              {"audit", "internal/jobs", "internal/secret"},
	"grants/rowlimit":     {"grants"},
	"grants/postgres":     {"grants", "grants/rowlimit", "internal/secret"},
	"grants/mysql":        {"grants", "grants/rowlimit", "internal/secret"},
	"grants/grantstest":   {"grants", "internal/secret"},
	"approvals":           {"policy", "grants", "audit", "internal/jobs"},
	"store":               {"approvals", "grants", "audit", "policy", "migrations", "internal/jobs", "internal/outbox", "internal/secret"},
	"migrations":          {"internal/secret"},
	"bot":                 {"approvals", "grants", "policy", "audit", "internal/jobs", "internal/outbox", "internal/secret"},
	"sandbox":             {},
	"internal/config":     {"internal/secret", "policy"},
	"internal/localpg":    {},
	"internal/localmysql": {},
	"internal/stage":      {"internal/localpg", "sandbox"},
	"internal/demo":       {"internal/stage", "sandbox"},
	"internal/crowd":      {"internal/stage", "sandbox"},
}

// outside says which packages may import a dependency that the others must not see.
var outside = map[string][]string{
	"github.com/spf13/viper":            {"internal/config"},
	"github.com/slack-go/slack":         {"bot", "sandbox"},
	"github.com/jackc/pgx/v5":           {"store", "grants/postgres", "migrations", "internal/localpg", "internal/app", "internal/stage", "internal/demo", "internal/crowd"},
	"github.com/go-sql-driver/mysql":    {"grants/mysql", "internal/localmysql"},
	"github.com/riverqueue/river":       {"store", "migrations", "internal/app"},
	"github.com/goccy/go-yaml":          {"policy"},
	"github.com/PagerDuty/go-pagerduty": {"oncall"},
	"github.com/rs/zerolog":             {"store", "grants", "bot", "internal/app", "cmd/prodaccess"},
	"github.com/spf13/cobra":            {"cmd/prodaccess"},
}

// standardOnly may import nothing outside the standard library, but for the named exceptions.
var standardOnly = map[string][]string{
	"policy": {"github.com/goccy/go-yaml"}, "audit": nil, "internal/secret": nil, "internal/jobs": nil, "internal/outbox": nil,
	"oncall": {"github.com/PagerDuty/go-pagerduty", "golang.org/x/sync"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsOnlyPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, restricted := arrows[name]
		for _, imported := range p.Imports {
			if inner, ours := strings.CutPrefix(imported, module); ours {
				if restricted && !slices.Contains(allowed, inner) {
					t.Errorf("%s must not import %s", name, inner)
				}
				continue
			}
			for dependency, users := range outside {
				if under(imported, dependency) && !slices.Contains(users, name) {
					t.Errorf("%s must not import %s; only %v may", name, imported, users)
				}
			}
			if exceptions, only := standardOnly[name]; only && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
				ok := false
				for _, exception := range exceptions {
					ok = ok || under(imported, exception)
				}
				if !ok {
					t.Errorf("%s must not import %s: it keeps to the standard library", name, imported)
				}
			}
		}
	}
}

// packages lists every package of the module with the imports of its code, tests left out.
func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	cmd.Dir = "../.."
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []listed
	for decoder := json.NewDecoder(out); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(all) < len(arrows) {
		t.Fatalf("go list found %d packages, fewer than the table names", len(all))
	}
	return all
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }
