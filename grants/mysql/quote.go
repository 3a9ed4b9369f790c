package mysql

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Two things become SQL text: names of ours, checked against a closed alphabet, and texts, written as hexadecimal so
// that no character of theirs can mean anything. Names read back from the catalogs go through ident.

// ident quotes a name.
func ident(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// escape makes a pattern of a database's name. In GRANT … ON name.* _ and % are wildcards: `app_prod` would cover
// appXprod too. A MySQL with partial_revokes takes them, and the backslash, for themselves: see everythingIn.
func escape(database string) string {
	return strings.NewReplacer(`\`, `\\`, `_`, `\_`, `%`, `\%`).Replace(database)
}

// unescape is the database that a pattern of escape's stands for.
func unescape(pattern string) string {
	return strings.NewReplacer(`\\`, `\`, `\_`, `_`, `\%`, `%`).Replace(pattern)
}

// account names a login. Logins of ours may come from anywhere the network lets them.
func account(name string) string { return literal(name) + "@'%'" }

// literal quotes a text that is of ours or of a closed alphabet. Quotes and backslashes are doubled all the same.
func literal(s string) string {
	return "'" + strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(s) + "'"
}

// text is any text as an expression, immune to quoting and character sets.
func text(s string) string {
	if s == "" {
		return "''"
	}
	return "CONVERT(X'" + hex.EncodeToString([]byte(s)) + "' USING utf8mb4)"
}

// instant is a time in UTC, to the microsecond; sessions of ours run in UTC.
func instant(t time.Time) string {
	return "TIMESTAMP'" + t.UTC().Truncate(time.Microsecond).Format("2006-01-02 15:04:05.000000") + "'"
}

var (
	plainName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	plainStamp = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)
)

// longestName is what an account's name may have.
const longestName = 32

func checkName(what, name string) error {
	switch {
	case !strings.HasPrefix(name, grants.Prefix) || len(name) == len(grants.Prefix):
		return fmt.Errorf("the %s %.40q does not begin with %s", what, name, grants.Prefix)
	case len(name) > longestName:
		return fmt.Errorf("the %s %.40q… is longer than %d characters", what, name, longestName)
	case !plainName.MatchString(name):
		return fmt.Errorf("the %s %.40q has characters other than a-z, 0-9 and _", what, name)
	}
	return nil
}

func checkStamp(s grants.Stamp) error {
	if !plainStamp.MatchString(s.Installation) || !plainStamp.MatchString(s.Grant) {
		return fmt.Errorf("%.80q is not of 1 to 64 letters, digits and _ . : -", s.Installation+"/"+s.Grant)
	}
	return nil
}

func checkLogin(login grants.Login) error {
	if err := checkName("login", login.Name); err != nil {
		return fail(grants.FailInternal, "", "%w", err)
	}
	if err := checkStamp(login.Stamp); err != nil {
		return fail(grants.FailInternal, "", "the stamp: %w", err)
	}
	return nil
}
