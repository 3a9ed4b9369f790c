package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "hunter2-canary"

func TestNothingPrintsASecret(t *testing.T) {
	type holder struct {
		Open   String
		hidden String
		deep   *struct{ s String }
	}
	h := holder{Open: New(canary), hidden: New(canary), deep: &struct{ s String }{New(canary)}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		fmt.Fprintf(&out, verb+verb+verb, h, &h, h.Open)
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"s": h.Open, "h": h}); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("line", "s", h.Open, "h", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("line", "s", h.Open, "h", h)
	fmt.Fprint(&out, errors.Join(fmt.Errorf("wrapped %v", h.Open)))
	if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("a secret was printed:\n%s", out.String())
	}
	if !strings.Contains(out.String(), Redacted) {
		t.Error("nothing stands for the secret")
	}
}

func TestReveal(t *testing.T) {
	if New(canary).Reveal() != canary || !New("").Empty() || (String{}).Reveal() != "" || New(canary).Empty() {
		t.Error("a secret does not keep its text")
	}
}
