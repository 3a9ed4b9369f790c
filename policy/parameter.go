package policy

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// longestParameter bounds a value; it is shown to approvers, who must be able to read it.
const longestParameter = 200

var (
	uuidForm    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	numericForm = regexp.MustCompile(`^[+-]?[0-9]{1,40}(\.[0-9]{1,40})?$`)
	// instantForm is narrower than RFC 3339 in Go: databases keep microseconds, and no place is further than 14 hours off.
	instantForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$`)
)

// accepts says whether a value is of the parameter's type, in the one form that reads the same to people and databases.
func (p Parameter) accepts(value string) bool {
	if value == "" || len(value) > longestParameter || !utf8.ValidString(value) || strings.ContainsFunc(value, control) {
		return false
	}
	switch p.Type {
	case "bigint":
		_, err := strconv.ParseInt(value, 10, 64)
		return err == nil
	case "integer":
		_, err := strconv.ParseInt(value, 10, 32)
		return err == nil
	case "numeric":
		return numericForm.MatchString(value)
	case "uuid":
		return uuidForm.MatchString(value)
	case "date":
		day, err := time.Parse(time.DateOnly, value)
		return err == nil && day.Year() >= 1 // databases have no year 0
	case "timestamptz":
		at, err := time.Parse(time.RFC3339, value)
		return err == nil && at.Year() >= 1 && instantForm.MatchString(value)
	case "boolean":
		return value == "true" || value == "false"
	}
	return p.Type == "text"
}

func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }
