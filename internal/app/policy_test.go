package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/policy"
)

// Looks are letters; one in capitals is where the file is to be tried.
func TestWatcherWaitsUntilTheFileIsSteady(t *testing.T) {
	for looks, tried := range map[string]string{
		"aaaa":   "",    // nothing changed
		"aabbbb": "b",   // once, when it is seen twice
		"abcdd":  "d",   // half-written ones never
		"ababab": "",    // nor one that never rests
		"abbaab": "ba",  // taken back
		"abb-bb": "b",   // gone for a moment, as with an editor that renames
		"a--aa":  "-a",  // gone for longer is a fault
		"bbcbbb": "b",   // a glimpse of another changes nothing
		"bbccbb": "bcb", // the same again is news after another
	} {
		w, got := watcher{settled: "a"}, ""
		for _, hash := range strings.Split(looks, "") {
			if w.changed(hash) {
				got += hash
				w.done(hash)
			}
		}
		if got != tried {
			t.Errorf("%s: tried %q, want %q", looks, got, tried)
		}
	}
	// What could not be recorded is tried at every look.
	w, tries := watcher{settled: "a"}, 0
	for range 4 {
		if w.changed("b") {
			tries++
		}
	}
	if tries != 3 {
		t.Errorf("tried %d times", tries)
	}
}

func TestFirstFault(t *testing.T) {
	_, _, err := policy.Load([]byte("version: 1\nrulse: []\ngruops: {}\n"), "/etc/prodaccess/policy.yaml")
	reason, n := firstFault(err)
	if n != 2 || !strings.HasPrefix(reason, "policy.yaml:2:1: ") || strings.Contains(reason, "\n") {
		t.Errorf("%d: %q", n, reason)
	}
	if reason, n := firstFault(errors.New("no such file")); n != 1 || reason != "no such file" {
		t.Errorf("%d: %q", n, reason)
	}
}

// A ConfigMap is a chain of symbolic links whose middle is swapped.
func TestLookFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	for version, text := range map[string]string{"..1": "one", "..2": "two"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, version, "policy.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &policyFile{path: filepath.Join(dir, "policy.yaml")}
	if gone := f.look(); gone.err == nil || gone.hash != f.look().hash {
		t.Errorf("a file that is not there: %+v", gone)
	}
	for i, version := range []string{"..1", "..2"} {
		next := filepath.Join(dir, "..next")
		if err := errors.Join(os.Symlink(version, next), os.Rename(next, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := os.Symlink("..data/policy.yaml", f.path); err != nil {
				t.Fatal(err)
			}
		}
		if seen := f.look(); seen.err != nil || string(seen.source) != []string{"one", "two"}[i] {
			t.Errorf("%s: %+v", version, seen)
		}
	}
}
