package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Position is a place in the file; Line and Column count from 1, and are 0 when the place is the file as a whole.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String is file:line:column.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Fault is one reason why a file cannot be used.
type Fault struct {
	Position
	Text string `json:"text"`
	// Excerpt is the lines around the place with a mark under it; empty when there is no place.
	Excerpt string `json:"excerpt,omitempty"`
}

// String is the position, the text and the excerpt.
func (f Fault) String() string { return describe(f.Position, f.Text, f.Excerpt) }

// Warning is something in a usable file that is probably not meant.
type Warning struct {
	Position
	Text    string `json:"text"`
	Excerpt string `json:"excerpt,omitempty"`
}

// String is the position, the text and the excerpt.
func (w Warning) String() string { return describe(w.Position, w.Text, w.Excerpt) }

// LoadError lists everything that is wrong with a file, in the order of the file.
type LoadError struct {
	File   string  `json:"file"`
	Faults []Fault `json:"faults"`
}

// Error lists every fault with its excerpt.
func (e *LoadError) Error() string {
	var out strings.Builder
	if len(e.Faults) == 1 {
		fmt.Fprintf(&out, "the policy %s has a fault:", e.File)
	} else {
		fmt.Fprintf(&out, "the policy %s has %d faults:", e.File, len(e.Faults))
	}
	for _, fault := range e.Faults {
		out.WriteString("\n" + fault.String())
	}
	return out.String()
}

func describe(at Position, text, excerpt string) string {
	if excerpt == "" {
		return at.String() + ": " + text
	}
	return at.String() + ": " + text + "\n" + excerpt
}

// findings collects faults and warnings while a file is read.
type findings struct {
	file     string
	lines    []string
	faults   []Fault
	warnings []Warning
}

func (f *findings) fault(at mark, format string, args ...any) {
	position, excerpt := f.locate(at)
	f.faults = append(f.faults, Fault{position, fmt.Sprintf(format, args...), excerpt})
}

func (f *findings) warn(at mark, format string, args ...any) {
	position, excerpt := f.locate(at)
	f.warnings = append(f.warnings, Warning{position, fmt.Sprintf(format, args...), excerpt})
}

// failure is nil when there are no faults.
func (f *findings) failure() error {
	if len(f.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(f.faults, func(a, b Fault) int { return comparePositions(a.Position, b.Position) })
	return &LoadError{File: f.file, Faults: f.faults}
}

func comparePositions(a, b Position) int {
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Column - b.Column
}

// locate shows the line, the one before it, and a mark under the column.
func (f *findings) locate(at mark) (Position, string) {
	position := Position{File: f.file, Line: at.line, Column: at.column}
	if at.line < 1 || at.line > len(f.lines) {
		return position, ""
	}
	var out strings.Builder
	if at.line > 1 {
		fmt.Fprintf(&out, "  %4d | %s\n", at.line-1, shorten(f.lines[at.line-2]))
	}
	line := shorten(f.lines[at.line-1])
	fmt.Fprintf(&out, "> %4d | %s", at.line, line)
	if at.column >= 1 && at.column <= len(line)+1 {
		fmt.Fprintf(&out, "\n       | %s^", strings.Repeat(" ", at.column-1))
	}
	return position, out.String()
}

// shorten keeps excerpts printable: one line, no control characters, at most 160 bytes.
func shorten(line string) string {
	const most = 160
	if len(line) > most {
		line = line[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
}
