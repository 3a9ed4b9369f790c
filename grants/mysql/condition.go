package mysql

import (
	"strings"

	"github.com/prodaccess/prodaccess/grants/rowlimit"
)

// dialect is how MySQL and MariaDB read row limits, made to mean the same as on PostgreSQL whatever the server's sql_mode.
var dialect = rowlimit.Dialect{
	Refused: map[string]string{
		"`": "a backtick; names go in double quotes", "#": `a "#", which begins a comment`, "||": `"||", which MySQL takes for OR; write CONCAT(…)`,
		"&&": `"&&"; write AND`, "::": `"::"; write CAST(… AS …)`, "@": `a variable ("@")`, "~": `"~"; write LIKE`, ":=": "an assignment",
	},
	Tables: []string{"select", "values", "table", "into", "procedure", "load_file", "sleep", "benchmark", "get_lock"},
	Moods: []string{
		"now", "curdate", "curtime", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "sysdate", "unix_timestamp",
		"utc_date", "utc_time", "utc_timestamp", "rand", "user", "current_user", "session_user", "system_user", "current_role", "database", "schema",
		"connection_id", "last_insert_id", "found_rows", "row_count", "uuid",
	},
	Quote: ident,
	Fold:  strings.ToLower,
}
