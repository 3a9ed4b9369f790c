package audit

import (
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Canonical is the one text of an event that its seal covers. It is a JSON object and is frozen: what it gives for an
// event of today must be the same in ten years, so it is written here by hand and depends on no library.
//
//   - The members are, in this order: id, at, kind, refused, actor {kind, id, name, email}, source, request, grant,
//     target, profile, reason, policy, rule, detail. All are always there; what is empty is "" or {}.
//   - at is in UTC with exactly six digits after the second: "2026-03-02T03:00:00.000000Z".
//   - detail's members are sorted by the bytes of their names.
//   - There is no white space. In strings, " and \ are escaped by a backslash; the control characters below U+0020 are
//     \b \t \n \f \r or \u00xx in lower case; everything else is itself, in UTF-8. Bytes that are no UTF-8 are U+FFFD.
//
// An event with members that this version does not know would need a new form under a new name.
func Canonical(e Event) []byte {
	b := make([]byte, 0, 512)
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, e.ID, 10)
	b = append(b, `,"at":"`...)
	b = e.At.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, '"')
	b = member(b, "kind", string(e.Kind))
	b = append(b, `,"refused":`...)
	b = strconv.AppendBool(b, e.Refused)
	b = append(b, `,"actor":{"kind":`...)
	b = quote(b, e.Actor.Kind)
	b = member(b, "id", e.Actor.ID)
	b = member(b, "name", e.Actor.Name)
	b = member(b, "email", e.Actor.Email)
	b = append(b, '}')
	b = member(b, "source", e.Source)
	b = member(b, "request", e.Request)
	b = member(b, "grant", e.Grant)
	b = member(b, "target", e.Target)
	b = member(b, "profile", e.Profile)
	b = member(b, "reason", e.Reason)
	b = member(b, "policy", e.Policy)
	b = member(b, "rule", e.Rule)
	b = append(b, `,"detail":{`...)
	for i, key := range slices.Sorted(maps.Keys(e.Detail)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(b, key)
		b = append(b, ':')
		b = quote(b, e.Detail[key])
	}
	return append(b, "}}"...)
}

// Cut brings an instant to what the store keeps: UTC, microseconds.
func Cut(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

func member(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return quote(b, value)
}

func quote(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s { // ranging turns bytes that are no UTF-8 into U+FFFD
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\b':
			b = append(b, '\\', 'b')
		case r == '\t':
			b = append(b, '\\', 't')
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\f':
			b = append(b, '\\', 'f')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
