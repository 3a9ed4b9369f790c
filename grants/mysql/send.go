package mysql

import (
	"context"
	"database/sql"
	"strings"
)

// runner is what statements are sent on: a pool or one connection.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// send carries several statements in one message and returns the rows of the one that has any, which stands last. The
// server stops at the first that fails; those before it are done, for nothing about accounts can be rolled back.
func send(ctx context.Context, on runner, statements ...string) ([][]string, error) {
	rows, err := on.QueryContext(ctx, strings.Join(statements, ";\n"))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for {
		columns, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		var all [][]string
		for rows.Next() {
			row := make([]sql.NullString, len(columns))
			into := make([]any, len(columns))
			for i := range row {
				into[i] = &row[i]
			}
			if err := rows.Scan(into...); err != nil {
				return nil, errUnreadable
			}
			texts := make([]string, len(columns))
			for i := range row {
				texts[i] = row[i].String // NULL is the empty text
			}
			all = append(all, texts)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		if len(columns) > 0 {
			return all, nil
		}
		if !rows.NextResultSet() {
			return nil, rows.Err()
		}
	}
}

// change runs one statement and returns how many rows it touched.
func change(ctx context.Context, on runner, statement string) (int64, error) {
	result, err := on.ExecContext(ctx, statement)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
