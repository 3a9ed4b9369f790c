package mysql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/secret"
)

func TestNativeVerifierIsWhatPASSWORDGives(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{ // SELECT PASSWORD(…) of MariaDB 10.11
		"123":    "*23AE809DDACAF96AF0FD78ED04B6A265E05AA257",
		"secret": "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7",
	} {
		got, err := nativePassword.verifier(secret.New(password))
		if err != nil || got.Reveal() != want {
			t.Errorf("%s, %v, want %s", got.Reveal(), err, want)
		}
	}
}

// The vectors are MariaDB's own: mysql-test/suite/plugins/r/auth_ed25519.result.
func TestEd25519VerifierIsWhatTheServerGives(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{
		"foo":    "vubFBzIrapbfHct1/J72dnUryz5VS7lA6XHH8sIx4TI",
		"secret": "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY",
	} {
		got, err := ed25519.verifier(secret.New(password))
		if err != nil || got.Reveal() != want {
			t.Errorf("%s: %s, %v, want %s", password, got.Reveal(), err, want)
		}
	}
}

// The vectors are those of the specification; `openssl passwd -5` and crypt(3) give the same.
func TestSHACrypt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		password, salt, want string
		rounds               int
	}{
		{"Hello world!", "saltstring", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", 5000},
		{"Hello world!", "saltstringsaltst", "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA", 10000},
		{
			"a very much longer text to encrypt.  This one even stretches over morethan one line.", "anotherlongsalts",
			"Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1", 1400,
		},
	} {
		if got := shaCrypt([]byte(c.password), []byte(c.salt), c.rounds); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestCachingSHA2Verifier(t *testing.T) {
	t.Parallel()
	v, err := cachingSHA2.verifier(secret.New("secret"))
	if err != nil {
		t.Fatal(err)
	}
	text := v.Reveal()
	if len(text) != len("$A$005$")+20+43 || !strings.HasPrefix(text, "$A$005$") {
		t.Errorf("%q is not of the server's form", text)
	}
	if clause := cachingSHA2.identified(v); clause != fmt.Sprintf(" IDENTIFIED WITH caching_sha2_password AS 0x%X", text) {
		t.Error(clause)
	}
}

func TestVerifiersAreRefusedWhereAServerCouldReadThemOtherwise(t *testing.T) {
	t.Parallel()
	for _, p := range []plugin{nativePassword, ed25519, cachingSHA2, "unix_socket"} {
		for _, password := range []string{"", "pässword", "a\nb", strings.Repeat("x", 256)} {
			if _, err := p.verifier(secret.New(password)); err == nil {
				t.Errorf("%s: %.10q passes", p, password)
			}
		}
	}
	if _, err := plugin("unix_socket").verifier(secret.New("secret")); err == nil {
		t.Error("an unknown plugin has a verifier")
	}
}
