package config

import (
	"errors"
	"strings"
	"testing"
)

// FuzzLoad reads anything: it never panics, and either gives a valid configuration or says what is wrong.
func FuzzLoad(f *testing.F) {
	f.Add(minimal, "PRODACCESS_SLACK_MODE=http")
	f.Add("slack: {mode: [1", "PRODACCESS_TARGETS_0_NAME=x")
	f.Add("digest: {schedule: \"TZ=UTC\"}\n", "PRODACCESS_DIGEST_SCHEDULE=TZ=0")
	f.Add("targets: [1, {name: a}, null]\nsweep: {schedule: '@every'}", "PRODACCESS_TARGETS_1_NODES_3_URL=u")
	f.Add("a: &a [*a]\n<<: {b: c}\n? [x]\n: y\n", "PRODACCESS_=")
	f.Add("slack.mode: http\n---\nx: 1", "PRODACCESS_SHUTDOWN_TIMEOUT=20")
	f.Fuzz(func(t *testing.T, content, variable string) {
		if strings.Contains(content, "_file") || strings.Contains(variable, "_FILE") {
			return // no reading of random files
		}
		r := newReading()
		if !r.readYAML("fuzz.yaml", []byte(content)) {
			if len(r.faults) == 0 {
				t.Error("refused without a fault")
			}
			return
		}
		cfg, err := r.finish("/nowhere", []string{variable}, func(Fault) bool { return true })
		if err == nil {
			if faults := cfg.Validate(); len(faults) > 0 {
				t.Errorf("accepted, but %v", faults)
			}
			return
		}
		faults, ok := errors.AsType[Faults](err)
		if !ok || len(faults) == 0 {
			t.Fatalf("the error is %v", err)
		}
		for _, fault := range faults {
			if fault.Problem == "cannot be decoded" {
				t.Errorf("%v", err)
			}
		}
	})
}
