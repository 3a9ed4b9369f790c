package mysql

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"filippo.io/edwards25519"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// plugin is how a login proves that it knows its password.
type plugin string

const (
	// nativePassword is SHA1(SHA1(password)), which every client there is can speak. It has no salt, which costs nothing
	// where passwords have 128 random bits.
	nativePassword plugin = "mysql_native_password"
	// ed25519 is MariaDB's: what the server keeps is a public key. Used where the server has the plugin loaded, which
	// it has not unless somebody asked for it, because not every client speaks it.
	ed25519 plugin = "ed25519"
	// cachingSHA2 is MySQL's only one since 9.0.
	cachingSHA2 plugin = "caching_sha2_password"
)

// verifier is what the server keeps instead of the password, in the form the plugin wants it.
func (p plugin) verifier(password secret.String) (secret.String, error) {
	text := password.Reveal()
	switch {
	case text == "":
		return secret.String{}, errors.New("the password is empty")
	case len(text) > 255:
		return secret.String{}, errors.New("the password is longer than 255 characters")
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return secret.String{}, errors.New("the password has characters that are not printable ASCII")
	}
	switch p {
	case nativePassword:
		first := sha1.Sum([]byte(text))
		second := sha1.Sum(first[:])
		return secret.New("*" + strings.ToUpper(hex.EncodeToString(second[:]))), nil
	case ed25519:
		return publicKey(text)
	case cachingSHA2:
		return secret.New(cachingSHA2Verifier(text, salt())), nil
	}
	return secret.String{}, errors.New("no verifier is known for this kind of password")
}

// publicKey is that of RFC 8032, but for the private key being a text of any length, not 32 bytes: MariaDB's reference
// is plugin/auth_ed25519/ref10/keypair.c. Encoded as the server does, without padding.
func publicKey(password string) (secret.String, error) {
	seed := sha512.Sum512([]byte(password))
	scalar, err := edwards25519.NewScalar().SetBytesWithClamping(seed[:32])
	if err != nil {
		return secret.String{}, errors.New("deriving the public key failed")
	}
	point := edwards25519.NewIdentityPoint().ScalarBaseMult(scalar)
	return secret.New(base64.RawStdEncoding.EncodeToString(point.Bytes())), nil
}

// saltBytes is what caching_sha2_password keeps (CRYPT_SALT_LENGTH).
const saltBytes = 20

// salt is random and printable, without the characters that mean something to the server: NUL and $.
func salt() string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	raw := make([]byte, saltBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	for i := range raw {
		raw[i] = alphabet[raw[i]&63]
	}
	return string(raw)
}

// identified is the clause of CREATE USER and ALTER USER. MySQL takes the verifier as hexadecimal since 8.0.17, so that
// no byte of it can be misread.
func (p plugin) identified(verifier secret.String) string {
	if p == cachingSHA2 {
		return " IDENTIFIED WITH caching_sha2_password AS 0x" + strings.ToUpper(hex.EncodeToString([]byte(verifier.Reveal())))
	}
	return " IDENTIFIED VIA " + string(p) + " USING " + literal(verifier.Reveal())
}
