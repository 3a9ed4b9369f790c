package localpg

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// Verifier is what CREATE ROLE … PASSWORD takes instead of the password, for the logins that tests connect as all the time.
//
// A client has to repeat the verifier's iterations for every connection. At the usual 4,096 that takes it 15 ms of a
// processor under the race detector, and tests make many connections. This one has a single iteration: the
// exchange is the same, and every version of the server and pgx accept it. It protects nothing from somebody who can read
// pg_authid; logins that prodaccess issues get a verifier of its own making.
func Verifier(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	salted, err := pbkdf2.Key(sha256.New, password, salt, 1, sha256.Size)
	if err != nil {
		panic(err) // only for lengths that nobody asks for
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$1:%s$%s:%s", b64(salt), b64(stored[:]), b64(mac("Server Key")))
}
