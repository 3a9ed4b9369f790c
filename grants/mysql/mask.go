package mysql

import (
	"fmt"
	"slices"
	"strings"
)

// column is what the catalogs say of one.
type column struct {
	name string
	// kind is DATA_TYPE, in lower case.
	kind string
	// length is the most characters of a text, 0 where that is not said.
	length int
}

var (
	textKinds   = []string{"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}
	numberKinds = []string{"tinyint", "smallint", "mediumint", "int", "bigint"}
)

// shown is what stands where a value is hidden.
const shown = "'***'"

// A text that does not come from the column must be of a character set of its own: a bare literal is of the session's that
// made the view, and comparing it with a literal of a session of another collation fails.

// internalKey is the key of hash masks; nobody but the views' owner may read it.
const internalKey = "(SELECT k.secret FROM prodaccess.hash_key k WHERE k.one = 1)"

// masked is the expression that shows a column through a mask. NULL stays NULL, except where hide and constants show the
// same for every row. Neither server has security barriers, nor needs one here: whoever asks sees the expression's value
// and not the column's.
func masked(how string, c column) (string, error) {
	is := ident(c.name)
	isText := slices.Contains(textKinds, c.kind)
	switch {
	case how == "null", how == "hide" && !isText:
		// NULLIF gives the column's own type, which NULL alone has not.
		return "NULLIF(" + is + ", " + is + ")", nil
	case how == "hide":
		return text("***"), nil
	case strings.HasPrefix(how, "constant:") && isText:
		return text(strings.TrimPrefix(how, "constant:")), nil
	case strings.HasPrefix(how, "constant:") && c.kind == "date":
		return "CAST(" + text(strings.TrimPrefix(how, "constant:")) + " AS DATE)", nil
	case strings.HasPrefix(how, "constant:") && slices.Contains(numberKinds, c.kind):
		return "CAST(" + text(strings.TrimPrefix(how, "constant:")) + " AS SIGNED)", nil
	case how == "partial" && isText:
		return partial(is), nil
	case how == "hash" && isText:
		return "CONVERT(" + hashed(is) + " USING utf8mb4)", nil
	case how == "hash" && slices.Contains(numberKinds, c.kind):
		return "CAST(CONV(LEFT(" + hashed(is) + ", 15), 16, 10) AS SIGNED)", nil
	case how == "year" && (c.kind == "date" || c.kind == "datetime"):
		return yearOf(is, c.kind), nil
	case how == "year" && c.kind == "timestamp":
		// The session's time zone would let its holder find out on which side of New Year a value lies.
		return yearOf("('1970-01-01 00:00:00' + INTERVAL UNIX_TIMESTAMP("+is+") SECOND)", "datetime"), nil
	}
	return "", fmt.Errorf("the mask %s does not fit the type %s", how, c.kind)
}

func yearOf(is, kind string) string {
	return "CAST(MAKEDATE(YEAR(" + is + "), 1) AS " + strings.ToUpper(kind) + ")"
}

// partial keeps the first letter and the domain of what looks like an e-mail address, the last four characters of what is
// long, the first of what is short, and nothing of less than four.
func partial(is string) string {
	return "CASE WHEN " + is + " REGEXP '^[^@[:space:]]+@[^@[:space:]]+$' THEN CONCAT(LEFT(" + is + ", 1), " + shown + ", SUBSTRING(" + is + ", LOCATE('@', " + is + ")))" +
		" WHEN CHAR_LENGTH(" + is + ") >= 10 THEN CONCAT(" + shown + ", RIGHT(" + is + ", 4))" +
		" WHEN CHAR_LENGTH(" + is + ") >= 4 THEN CONCAT(LEFT(" + is + ", 1), " + shown + ")" +
		" WHEN " + is + " IS NOT NULL THEN " + shown + " END"
}

// hashed is a keyed hash: SHA-256 twice with the key before it, as HMAC does, so that knowing the hash of one text says
// nothing about another, and nobody without the key can try a list of likely values.
func hashed(is string) string {
	return "SHA2(CONCAT(" + internalKey + ", UNHEX(SHA2(CONCAT(" + internalKey + ", CONVERT(CAST(" + is + " AS CHAR) USING utf8mb4)), 256))), 256)"
}
