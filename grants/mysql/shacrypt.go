package mysql

import (
	"bytes"
	"crypto/sha256"
)

// cachingSHA2Verifier is $A$005$<salt><digest>: A for SHA-256, 005 for 5,000 rounds, the digest in crypt's base 64.
// MySQL's is the SHA-crypt of Ulrich Drepper (https://www.akkadia.org/drepper/SHA-crypt.txt) with a salt of 20 bytes.
func cachingSHA2Verifier(password, salt string) string {
	return "$A$005$" + salt + shaCrypt([]byte(password), []byte(salt), 5000)
}

// shaCrypt is steps 1 to 22 of the specification, for SHA-256.
func shaCrypt(key, salt []byte, rounds int) string {
	sum := func(parts ...[]byte) []byte {
		s := sha256.Sum256(bytes.Join(parts, nil))
		return s[:]
	}
	// stretch repeats a digest to a length.
	stretch := func(digest []byte, length int) []byte {
		return bytes.Repeat(digest, length/len(digest)+1)[:length]
	}
	b := sum(key, salt, key)
	parts := [][]byte{key, salt, stretch(b, len(key))}
	for n := len(key); n > 0; n >>= 1 {
		if n&1 != 0 {
			parts = append(parts, b)
		} else {
			parts = append(parts, key)
		}
	}
	a := sum(parts...)
	p := stretch(sum(bytes.Repeat(key, len(key))), len(key))
	s := stretch(sum(bytes.Repeat(salt, 16+int(a[0]))), len(salt))
	c := a
	for i := range rounds {
		var in [][]byte
		if i%2 != 0 {
			in = append(in, p)
		} else {
			in = append(in, c)
		}
		if i%3 != 0 {
			in = append(in, s)
		}
		if i%7 != 0 {
			in = append(in, p)
		}
		if i%2 != 0 {
			in = append(in, c)
		} else {
			in = append(in, p)
		}
		c = sum(in...)
	}
	return crypt64(c)
}

// crypt64 writes a digest in the order and the alphabet of step 22.
func crypt64(c []byte) string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var out []byte
	emit := func(w uint, n int) {
		for range n {
			out = append(out, alphabet[w&63])
			w >>= 6
		}
	}
	for _, o := range [10][3]int{
		{0, 10, 20}, {21, 1, 11}, {12, 22, 2}, {3, 13, 23}, {24, 4, 14}, {15, 25, 5}, {6, 16, 26}, {27, 7, 17}, {18, 28, 8}, {9, 19, 29},
	} {
		emit(uint(c[o[0]])<<16|uint(c[o[1]])<<8|uint(c[o[2]]), 4)
	}
	emit(uint(c[31])<<8|uint(c[30]), 3)
	return string(out)
}
