package config

import (
	"reflect"
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// kind is what may stand at a key.
type kind int

const (
	section  kind = iota // keys below it
	sections             // a list of sections
	text
	texts // a list of text
	number
	truth
	duration
	secretText
	secretFile // the path of the file that holds the secret named by secretOf
)

// field is one key of the configuration. The schema is read off the Config type, so that the two cannot differ.
type field struct {
	key      string
	kind     kind
	fields   []field // of section and sections
	secretOf string  // of secretFile: the key it stands in for
}

var schema = field{kind: section, fields: fieldsOf(reflect.TypeFor[Config]())}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("mapstructure")
		if key == "" {
			panic("config: field " + f.Name + " has no key")
		}
		switch {
		case f.Type == reflect.TypeFor[secret.String]():
			fields = append(fields, field{key: key, kind: secretText}, field{key: key + "_file", kind: secretFile, secretOf: key})
		case f.Type == reflect.TypeFor[time.Duration]():
			fields = append(fields, field{key: key, kind: duration})
		case f.Type.Kind() == reflect.Struct:
			fields = append(fields, field{key: key, kind: section, fields: fieldsOf(f.Type)})
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			fields = append(fields, field{key: key, kind: sections, fields: fieldsOf(f.Type.Elem())})
		case f.Type.Kind() == reflect.Slice:
			fields = append(fields, field{key: key, kind: texts})
		case f.Type.Kind() == reflect.Int:
			fields = append(fields, field{key: key, kind: number})
		case f.Type.Kind() == reflect.Bool:
			fields = append(fields, field{key: key, kind: truth})
		case f.Type.Kind() == reflect.String:
			fields = append(fields, field{key: key, kind: text})
		default:
			panic("config: field " + f.Name + " has a type that no key can have")
		}
	}
	return fields
}

func (f field) find(key string) (field, bool) {
	for _, child := range f.fields {
		if child.key == key {
			return child, true
		}
	}
	return field{}, false
}

func (f field) keys() []string {
	keys := make([]string, len(f.fields))
	for i, child := range f.fields {
		keys[i] = child.key
	}
	return keys
}

// Keys lists every key there is, in the order of the Config type: "slack.mode", "targets[].name".
func Keys() []string {
	var keys []string
	var walk func(f field, prefix string)
	walk = func(f field, prefix string) {
		for _, child := range f.fields {
			path := join(prefix, child.key)
			switch child.kind {
			case section:
				walk(child, path)
			case sections:
				walk(child, path+"[]")
			default:
				keys = append(keys, path)
			}
		}
	}
	walk(schema, "")
	return keys
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// a names a kind for a person.
func (k kind) a() string {
	switch k {
	case section:
		return "a section with keys of its own"
	case sections:
		return "a list of entries, each with keys of its own"
	case texts:
		return "a list"
	case number:
		return "a whole number"
	case truth:
		return "true or false"
	case duration:
		return "a duration with its unit, such as 30s, 5m or 24h"
	case secretFile:
		return "the path of a file"
	default:
		return "text"
	}
}
