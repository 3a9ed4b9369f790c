package postgres

import (
	"fmt"
	"slices"
	"strings"
)

// columnType is what a mask needs to know of a column. A domain counts as what it is made of, so that a masked value
// cannot break its constraints.
type columnType struct {
	// sql is the type as a cast takes it, with its length.
	sql string
	// base is the name of a type of pg_catalog, empty for any other.
	base string
	// category as in pg_type: S for strings, A for arrays, E for enums.
	category string
	// length is the most characters of a varchar(n) or char(n); 0 when there is no limit.
	length int
	// exact says that a numeric has a fixed precision.
	exact bool
}

// shown is what stands where a value is hidden.
const shown = "'***'"

// shortestHash is the fewest hexadecimal digits that are still called a hash: 64 bits.
const shortestHash = 16

// maskable are the types that each mask is for, when it is not for all.
var maskable = map[string][]string{
	"hash": {"int4", "int8", "numeric", "uuid", "bytea", "json", "jsonb"},
	"year": {"date", "timestamp", "timestamptz"},
}

// masked is the expression that shows a column through a mask, of the column's own type. key is the expression of the hash
// key. NULL stays NULL, except where hide and constants show the same for every row.
func masked(how, column string, t columnType, key string) (string, error) {
	cast := func(expression string) string { return "(" + expression + ")::" + t.sql }
	ifAny := func(expression string) string {
		return cast("CASE WHEN " + column + " IS NOT NULL THEN " + expression + " END") // outside, or the length is lost
	}
	text := t.category == "S"
	switch {
	case how == "null":
		return "NULL::" + t.sql, nil
	case how == "hide" && text:
		return cast(shown), nil
	case how == "hide":
		return "NULL::" + t.sql, nil
	case strings.HasPrefix(how, "constant:"):
		constant := strings.TrimPrefix(how, "constant:")
		if !text && t.base == "" && t.category != "E" {
			return "", fmt.Errorf("a constant does not fit the type %s", t.sql)
		}
		if t.length > 0 && len([]rune(constant)) > t.length {
			return "", fmt.Errorf("the constant is longer than a %s", t.sql)
		}
		return literal(constant) + "::" + t.sql, nil
	case how == "partial" && text:
		return ifAny(partial(column + "::text")), nil
	case how == "partial" && t.base == "uuid":
		return ifAny("'00000000-0000-0000-0000-00000000' || right(" + column + "::text, 4)"), nil
	case how == "hash" && text && (t.length == 0 || t.length >= shortestHash):
		return ifAny(digits(column+"::text", key, 64, t.length)), nil
	case how == "hash" && slices.Contains(maskable["hash"], t.base) && !t.exact:
		return ifAny(hashed(column, t.base, key)), nil
	case how == "year" && t.base == "timestamptz":
		// The session's time zone would let its holder find out on which side of New Year a value lies.
		return cast("date_trunc('year', " + column + ", 'UTC')"), nil
	case how == "year" && slices.Contains(maskable["year"], t.base):
		return cast("date_trunc('year', " + column + "::timestamp)"), nil
	}
	return "", fmt.Errorf("the mask %s does not fit the type %s", how, t.sql)
}

// partial keeps the first letter and the domain of what looks like an e-mail address, the last four characters of what is
// long, the first of what is short, and nothing of less than four.
func partial(text string) string {
	return "CASE WHEN " + text + " ~ '^[^@[:space:]]+@[^@[:space:]]+$' THEN left(" + text + ", 1) || " + shown +
		" || substr(" + text + ", strpos(" + text + ", '@'))" +
		" WHEN length(" + text + ") >= 10 THEN " + shown + " || right(" + text + ", 4)" +
		" WHEN length(" + text + ") >= 4 THEN left(" + text + ", 1) || " + shown + " ELSE " + shown + " END"
}

// digest is a keyed hash of a text: SHA-256 twice with the key before it, as HMAC does, so that knowing the hash of one
// text says nothing about another, and nobody without the key can try a list of likely values.
func digest(text, key string) string {
	return "sha256(" + key + " || sha256(" + key + " || convert_to(" + text + ", 'UTF8')))"
}

func digits(text, key string, most, length int) string {
	if length == 0 || length > most {
		length = most
	}
	return fmt.Sprintf("left(encode(%s, 'hex'), %d)", digest(text, key), length)
}

// hashed is a keyed hash in the guise of a type that is no text.
func hashed(column, base, key string) string {
	text := column + "::text"
	if base == "bytea" {
		text = "encode(" + column + ", 'hex')"
	}
	number := func(bits int) string {
		return fmt.Sprintf("('x' || left(encode(%s, 'hex'), %d))::bit(%d)", digest(text, key), bits/4, bits)
	}
	switch base {
	case "int4":
		return "(" + number(32) + "::int4 & 2147483647)"
	case "int8":
		return "(" + number(64) + "::int8 & 9223372036854775807)"
	case "numeric":
		return "(" + number(64) + "::int8 & 9223372036854775807)::numeric"
	case "uuid":
		return "left(encode(" + digest(text, key) + ", 'hex'), 32)::uuid"
	case "bytea":
		return digest(text, key)
	}
	return "to_json" + strings.TrimPrefix(base, "json") + "(encode(" + digest(text, key) + ", 'hex'))" // json and jsonb
}
