package mysql

import (
	"context"
	"sync"
	"time"
)

// replayPatience is how long Issue waits for the nodes to know a login.
const replayPatience = 3 * time.Second

// lagging waits until every node shows the login unlocked, and names those that did not in time, or did not answer.
func (d *Driver) lagging(ctx context.Context, login string) []string {
	ctx, cancel := context.WithTimeout(ctx, replayPatience)
	defer cancel()
	behind := make([]bool, len(d.nodes))
	var all sync.WaitGroup
	for i, n := range d.nodes {
		all.Go(func() { behind[i] = !n.shows(ctx, login) })
	}
	all.Wait()
	var names []string
	for i, n := range d.nodes {
		if behind[i] {
			names = append(names, n.name)
		}
	}
	return names
}

func (n node) shows(ctx context.Context, login string) bool {
	conn, f, err := n.pool.borrow(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		rows, err := send(ctx, conn, "SELECT COUNT(*) FROM "+f.accounts()+" a WHERE a.account = "+literal(login)+" AND a.host = '%' AND NOT a.locked")
		switch {
		case err != nil:
			return false
		case len(rows) == 1 && rows[0][0] == "1":
			return true
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}
