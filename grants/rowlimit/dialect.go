package rowlimit

// Dialect is what an engine reads in its own way.
type Dialect struct {
	// Refused are tokens of one or two characters that are refused besides those refused everywhere, and what they are. They
	// mean something else to another engine, or depend on the server's settings: a policy that two engines read must mean the
	// same to both.
	Refused map[string]string
	// Tables are the words, in lower case, that begin a query of another table, which a view would read with its owner's
	// privileges, or that reach beyond rows.
	Tables []string
	// Moods are names, in lower case, of what a session's holder can set, or what is about the session.
	Moods []string
	// Slices says that a ":" may stand without a parameter: a[1:2].
	Slices bool
	// Quote writes a name the way the engine quotes names.
	Quote func(name string) string
	// Fold is how a quoted name compares with the names of columns. Unquoted names compare in lower case.
	Fold func(name string) string
}

// everywhere are the tokens that no dialect takes.
var everywhere = map[string]string{
	";":  "a semicolon; it must be one condition",
	"$":  `a "$"; parameters are written :name, and text in single quotes`,
	"\\": "a backslash",
	"--": "a comment; put that into the policy's YAML",
	"/*": "a comment; put that into the policy's YAML",
}
