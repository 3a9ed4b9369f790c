package sandbox

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// checker collects what is wrong with a JSON value, in Slack's words with the JSON pointer of the place.
type checker struct {
	faults  []string
	surface string // "message", "modal" or "home"
}

// rule checks one value at a place.
type rule func(c *checker, at string, v any)

func (c *checker) fault(at, format string, values ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, values...)+" [json-pointer:"+at+"]")
}

// str takes a string of between least and most characters.
func str(least, most int) rule {
	return func(c *checker, at string, v any) {
		s, ok := v.(string)
		switch n := utf8.RuneCountInString(s); {
		case !ok:
			c.fault(at, "must be a string")
		case n < least:
			c.fault(at, "must be more than %d characters", least-1)
		case n > most:
			c.fault(at, "must be less than %d characters", most+1)
		}
	}
}

// oneOf takes one of the given strings.
func oneOf(allowed ...string) rule {
	return func(c *checker, at string, v any) {
		if s, ok := v.(string); !ok || !slices.Contains(allowed, s) {
			c.fault(at, "must be a valid enum value")
		}
	}
}

func boolean(c *checker, at string, v any) {
	if _, ok := v.(bool); !ok {
		c.fault(at, "must be a boolean")
	}
}

// integer takes a whole number within bounds.
func integer(least, most float64) rule {
	return func(c *checker, at string, v any) {
		n, ok := v.(float64)
		switch {
		case !ok || n != float64(int64(n)):
			c.fault(at, "must be an integer")
		case n < least:
			c.fault(at, "must be greater than or equal to %v", least)
		case n > most:
			c.fault(at, "must be less than or equal to %v", most)
		}
	}
}

// list takes an array of between least and most items that all pass each.
func list(least, most int, each rule) rule {
	return func(c *checker, at string, v any) {
		items, ok := v.([]any)
		switch {
		case !ok:
			c.fault(at, "must be an array")
			return
		case len(items) < least:
			c.fault(at, "no less than %d items allowed", least)
		case len(items) > most:
			c.fault(at, "no more than %d items allowed", most)
		}
		for i, item := range items {
			each(c, fmt.Sprintf("%s/%d", at, i), item)
		}
	}
}

// anything takes what is checked elsewhere.
func anything(*checker, string, any) {}

func link(c *checker, at string, v any) {
	str(1, 3000)(c, at, v)
	if s, ok := v.(string); ok {
		if u, err := url.Parse(s); err != nil || u.Scheme == "" || (u.Host == "" && u.Opaque == "") {
			c.fault(at, "must be a valid URL")
		}
	}
}

// layout takes a string that time.Parse reads with the given layout.
func layout(format, what string) rule {
	return func(c *checker, at string, v any) {
		s, _ := v.(string)
		if _, err := time.Parse(format, s); err != nil {
			c.fault(at, "must be %s", what)
		}
	}
}

// shape is an object with known fields and no others.
type shape struct {
	required []string
	fields   map[string]rule
	also     func(c *checker, at string, o object) // what concerns several fields
}

func (s shape) check(c *checker, at string, v any) {
	o, ok := v.(object)
	if !ok {
		c.fault(at, "must provide an object")
		return
	}
	for _, name := range s.required {
		if _, there := o[name]; !there {
			c.fault(at, "missing required field: %s", name)
		}
	}
	names := make([]string, 0, len(o))
	for name := range o {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		check, known := s.fields[name]
		if !known {
			c.fault(at, "invalid additional property: %s", name)
			continue
		}
		check(c, at+"/"+escape(name), o[name])
	}
	if s.also != nil {
		s.also(c, at, o)
	}
}

// escape writes a name as a JSON pointer's token (RFC 6901).
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// byType checks an object with the shape its type names.
func byType(shapes map[string]shape, allowed func(surface string) []string) rule {
	return func(c *checker, at string, v any) {
		o, ok := v.(object)
		if !ok {
			c.fault(at, "must provide an object")
			return
		}
		name, ok := o["type"].(string)
		if !ok {
			c.fault(at, "missing required field: type")
			return
		}
		s, known := shapes[name]
		if !known || !slices.Contains(allowed(c.surface), name) {
			c.fault(at+"/type", "unsupported type: %s", cut(name, 100))
			return
		}
		s.check(c, at, v)
	}
}

// only allows the same types on every surface.
func only(names ...string) func(string) []string { return func(string) []string { return names } }

// oneFieldOf says that an object needs exactly one of some fields.
func oneFieldOf(names ...string) func(*checker, string, object) {
	return func(c *checker, at string, o object) {
		found := 0
		for _, n := range names {
			if _, there := o[n]; there {
				found++
			}
		}
		if found != 1 {
			c.fault(at, "must provide exactly one of %s", strings.Join(names, ", "))
		}
	}
}
