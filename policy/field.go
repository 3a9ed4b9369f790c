package policy

import "strings"

// The parts of a request that a denial can be about.
const (
	FieldTarget   = "target"
	FieldProfile  = "profile"
	FieldDuration = "duration"
	FieldStart    = "start"
	FieldTicket   = "ticket"
	FieldReason   = "reason"
)

// parameterField begins the field of a parameter; no other field has a colon.
const parameterField = "parameter:"

// ParameterField is the field of a profile's parameter.
func ParameterField(name string) string { return parameterField + name }

// ParameterOf is the parameter that a field is about; false for every other field.
func ParameterOf(field string) (name string, ok bool) {
	return strings.CutPrefix(field, parameterField)
}

// ParameterError is what is wrong with one parameter of a request.
type ParameterError struct {
	// Name is the parameter, which the profile may not have.
	Name  string
	words string
}

// Error is a clause for a person. It begins with a name, which is written as it is, and shows no value.
func (e *ParameterError) Error() string { return e.words }
