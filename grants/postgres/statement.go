package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Planning a question to the catalogs costs the server more than answering it. What is asked with every login is therefore
// prepared once on each connection, and asked with its values as parameters.

// sentence is one statement of a message: with arguments it is prepared, without it is sent as it stands.
type sentence struct {
	sql  string
	args []string
}

// plain are statements that are sent as they stand.
func plain(sql ...string) []sentence {
	out := make([]sentence, len(sql))
	for i, s := range sql {
		out[i] = sentence{sql: s}
	}
	return out
}

// name tells prepared statements apart on their connection.
func (s sentence) name() string {
	sum := sha256.Sum256([]byte(s.sql))
	return "prodaccess_" + hex.EncodeToString(sum[:8])
}

// exchange is send for statements of both kinds. They too go in one message and one round trip.
func exchange(ctx context.Context, pool *pgxpool.Pool, statements []sentence) ([]*pgconn.Result, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	return exchangeOn(ctx, conn.Conn(), statements)
}

func exchangeOn(ctx context.Context, conn *pgx.Conn, statements []sentence) ([]*pgconn.Result, error) {
	for _, s := range statements {
		if len(s.args) == 0 {
			continue
		}
		if _, err := conn.Prepare(ctx, s.name(), s.sql); err != nil { // nothing but a look into a map once it is
			return nil, err
		}
	}
	p := conn.PgConn().StartPipeline(ctx)
	for _, s := range statements {
		if len(s.args) == 0 {
			p.SendQueryParams(s.sql, nil, nil, nil, nil)
			continue
		}
		values := make([][]byte, len(s.args))
		for i, arg := range s.args {
			values[i] = []byte(arg)
		}
		p.SendQueryPrepared(s.name(), values, nil, nil)
	}
	results, err := collect(p)
	if closing := p.Close(); err == nil {
		err = closing
	}
	if err != nil && !conn.PgConn().IsClosed() && conn.PgConn().TxStatus() != 'I' {
		_, _ = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
	}
	if err == nil && len(results) != len(statements) {
		err = errLost
	}
	return results, err
}

// collect reads the results before the first failure.
func collect(p *pgconn.Pipeline) (results []*pgconn.Result, failed error) {
	if err := p.Sync(); err != nil {
		return nil, err
	}
	for {
		got, err := p.GetResults()
		if err != nil {
			return results, err
		}
		switch r := got.(type) {
		case *pgconn.ResultReader:
			result := r.Read()
			if result.Err != nil {
				return results, result.Err
			}
			results = append(results, result)
		default: // the end
			return results, nil
		}
	}
}

// array is a list as the server reads one from a text.
func array(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}
