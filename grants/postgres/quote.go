package postgres

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// longestName is NAMEDATALEN - 1; PostgreSQL cuts longer names off silently.
const longestName = 63

// checkName refuses anything but a name that we could have made ourselves: the prefix, then [a-z0-9_].
func checkName(what, name string) error {
	if !strings.HasPrefix(name, grants.Prefix) || len(name) > longestName || len(name) == len(grants.Prefix) {
		return fmt.Errorf("the %s %q is not a name of at most %d characters that begins with %s", what, name, longestName, grants.Prefix)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return fmt.Errorf("the %s %q has characters outside [a-z0-9_]", what, name)
		}
	}
	return nil
}

// checkStamp refuses a stamp that would not be read back as it was written.
func checkStamp(stamp grants.Stamp) error {
	if again, ok := grants.ParseStamp(stamp.String()); !ok || again != stamp {
		return fmt.Errorf("the stamp of installation %q and grant %q cannot be read back", stamp.Installation, stamp.Grant)
	}
	if strings.ContainsFunc(stamp.String(), func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("the stamp of installation %q and grant %q is not printable ASCII", stamp.Installation, stamp.Grant)
	}
	return nil
}

// ident quotes a name, names read from catalogs included: a schema's owner can call it anything.
func ident(name string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(name, "\x00", ""), `"`, `""`) + `"`
}

// literal quotes a text. It relies on standard_conforming_strings, which every connection of ours pins.
func literal(text string) string {
	return `'` + strings.ReplaceAll(strings.ReplaceAll(text, "\x00", ""), `'`, `''`) + `'`
}

// instant is a timestamp literal that means the same under any DateStyle and TimeZone, to the microsecond that
// PostgreSQL keeps.
func instant(t time.Time) string { return "'" + moment(t) + "'::timestamptz" }

// moment is an instant as a parameter of that type.
func moment(t time.Time) string {
	return t.UTC().Truncate(time.Microsecond).Format("2006-01-02 15:04:05.000000") + "+00"
}

func oidText(oid uint32) string { return strconv.FormatUint(uint64(oid), 10) }
