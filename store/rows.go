package store

import (
	"github.com/jackc/pgx/v5"
)

// rows are the values of rows of one table that one statement writes, however many they are: the server reads the CHECKs of
// a table anew for every statement, which takes it longer than writing a row. nil is NULL.
type rows [][]any

// lists are the columns of the rows, for unnest.
func (r rows) lists() []any {
	lists := make([]any, len(r[0]))
	for c := range lists {
		column := make([]any, len(r))
		for i, row := range r {
			column[i] = row[c]
		}
		lists[c] = column
	}
	return lists
}

// queue adds a statement that takes the lists of the rows to a batch, if there are rows. It returns a row for each that it
// wrote; fewer mean that a row is not what it was under its lock.
func (r rows) queue(b *pgx.Batch, sql string) {
	if len(r) == 0 {
		return
	}
	b.Queue(sql, r.lists()...).Query(func(written pgx.Rows) error {
		n := 0
		for written.Next() {
			n++
		}
		if err := written.Err(); err != nil {
			return err
		}
		if n != len(r) {
			return errStale
		}
		return nil
	})
}

// caseRows are what changes of cases write.
type caseRows struct {
	// requests are updates, intents new grants.
	requests, intents rows
	// hanging are the statements about what hangs on a request's row.
	hanging pgx.Batch
}

// batch has the statements in an order that the schema's triggers can follow: an answer is taken back, and a grant begun,
// under what its request says by then.
func (w *caseRows) batch() *pgx.Batch {
	b := &pgx.Batch{}
	w.requests.queue(b, updateRequests)
	b.QueuedQueries = append(b.QueuedQueries, w.hanging.QueuedQueries...)
	w.intents.queue(b, insertIntents)
	return b
}
