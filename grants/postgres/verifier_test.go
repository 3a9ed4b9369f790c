package postgres

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// RFC 7677 section 3 gives password, salt, iterations and the proof and signature of one exchange. The keys of a
// verifier must lead to exactly these.
func TestVerifierOfRFC7677(t *testing.T) {
	t.Parallel()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifierWith(secret.New("pencil"), salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	head, keys, ok := strings.Cut(strings.TrimPrefix(v.Reveal(), "SCRAM-SHA-256$4096:"), "$")
	if !ok || head != "W22ZaJ0SNY7soEsUEjb6gQ==" {
		t.Fatalf("verifier: %s", v.Reveal())
	}
	storedText, serverText, _ := strings.Cut(keys, ":")
	stored, err1 := base64.StdEncoding.DecodeString(storedText)
	server, err2 := base64.StdEncoding.DecodeString(serverText)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	auth := "n=user,r=rOprNGfwEbeRWgbNEkqO," +
		"r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," + "c=biws,r=" + nonce
	if got := base64.StdEncoding.EncodeToString(mac(server, auth)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("server signature %s", got)
	}
	// The proof is ClientKey XOR HMAC(StoredKey, auth); StoredKey is the hash of ClientKey.
	proof, err := base64.StdEncoding.DecodeString("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	if err != nil {
		t.Fatal(err)
	}
	client := mac(stored, auth)
	for i := range client {
		client[i] ^= proof[i]
	}
	if got := hash(client); string(got) != string(stored) {
		t.Error("the stored key does not verify the RFC's proof")
	}
}

func TestVerifierRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "pässword", "a\nb", "a\x00b", "\u00a0"} {
		if _, err := verifier(secret.New(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	a, _ := verifier(secret.New("same"))
	b, _ := verifier(secret.New("same"))
	if a.Reveal() == b.Reveal() {
		t.Error("two verifiers of one password are equal: the salt is not random")
	}
}

// The server itself accepts the verifier of a password with every printable character.
func TestVerifierLogsIn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		var all strings.Builder
		for r := ' '; r <= '~'; r++ {
			all.WriteRune(r)
		}
		d := c.open(t, nil)
		o := d.newOrder(t, readOnly)
		o.Password = secret.New(all.String())
		if _, err := d.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		cfg, err := pgx.ParseConfig(c.srv.URL("app"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.User, cfg.Password = o.Login, o.Password.Reveal()
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close(t.Context())
		takeBack(t, d, o)
	})
}
