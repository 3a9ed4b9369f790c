package postgres

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/prodaccess/prodaccess/grants"
)

// A node that does not know a login may be one that has not replayed its creation, and will let it in. What says that a
// login cannot come any more is only that the node has replayed the log past the place where the login was locked.

// position is a place in the log of a cluster, as the server's pg_lsn; 0 is before everything.
type position uint64

// allReplayed is the position of a server that replays nothing.
const allReplayed position = math.MaxUint64

// whereLogEnds is asked behind a COMMIT. What is flushed ends with a whole record, as what is replayed does: where the next
// record will be inserted may be one page header further, which an idle server's standbys never reach. A commit of the
// driver's is flushed when it returns.
const whereLogEnds = "SELECT pg_current_wal_flush_lsn()"

// logEnd is where the log of a server ends that is no standby.
func logEnd(ctx context.Context, pool *pgxpool.Pool) (position, error) {
	results, err := send(ctx, pool, whereLogEnds)
	if err != nil {
		return 0, err
	}
	return readPosition(results[0])
}

func readPosition(r *pgconn.Result) (position, error) {
	text, err := first(r)
	if err != nil {
		return 0, err
	}
	return parsePosition(text)
}

func parsePosition(text string) (position, error) {
	var high, low uint32
	if _, err := fmt.Sscanf(text, "%X/%X", &high, &low); err != nil {
		return 0, errUnreadable
	}
	return position(high)<<32 | position(low), nil
}

// String is what the server reads.
func (p position) String() string { return fmt.Sprintf("%X/%X", uint32(p>>32), uint32(p)) }

// positions remembers where logins were first locked. Each try locks again, and a node that is behind by more than the
// pause between two tries would never reach the place of the latest. To forget one costs the time that a node lags.
type positions struct {
	mu     sync.Mutex
	places map[string]position
}

// mostPositions bounds what is kept for logins that another replica has taken back since.
const mostPositions = 10_000

// first is where a login was locked first, now at the latest: the log of a server that was promoted may be shorter.
func (p *positions) first(login grants.Login, now position) position {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, ok := p.places[login.Name]; ok && before <= now {
		return before
	}
	if p.places == nil || len(p.places) >= mostPositions {
		p.places = map[string]position{}
	}
	p.places[login.Name] = now
	return now
}

// forget is called when every node shows the lock.
func (p *positions) forget(login grants.Login) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.places, login.Name)
}
