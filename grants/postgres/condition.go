package postgres

import "github.com/prodaccess/prodaccess/grants/rowlimit"

// dialect is how PostgreSQL reads row limits.
var dialect = rowlimit.Dialect{
	Tables: []string{"select", "values", "table", "returning"},
	Slices: true,
	Quote:  ident,
	Fold:   func(name string) string { return name },
}
