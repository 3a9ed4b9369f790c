package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// iterations of PBKDF2: PostgreSQL's default, and the least RFC 7677 allows. Our passwords have more than 128 random
// bits, so more iterations would cost every login time and protect nothing.
const iterations = 4096

const saltBytes = 16

// verifier is what the server keeps instead of the password (RFC 5802 section 3, RFC 7677), in the text form that
// CREATE ROLE … PASSWORD takes: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>.
func verifier(password secret.String) (secret.String, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return verifierWith(password, salt, iterations)
}

func verifierWith(password secret.String, salt []byte, iterations int) (secret.String, error) {
	text := password.Reveal()
	// SASLprep (RFC 4013) changes nothing in printable ASCII; we make no other passwords and refuse to guess.
	if text == "" {
		return secret.String{}, errors.New("the password is empty")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return secret.String{}, errors.New("the password has characters that are not printable ASCII")
	}
	salted, err := pbkdf2.Key(sha256.New, text, salt, iterations, sha256.Size)
	if err != nil {
		return secret.String{}, fmt.Errorf("deriving the verifier: %w", err)
	}
	stored := hash(mac(salted, "Client Key"))
	server := mac(salted, "Server Key")
	b64 := base64.StdEncoding.EncodeToString
	return secret.New(fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored), b64(server))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hash(key []byte) []byte {
	sum := sha256.Sum256(key)
	return sum[:]
}
