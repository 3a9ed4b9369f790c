package postgres

import (
	"context"
	"sync"
	"time"
)

// awaitReplay waits until every node has replayed a login, so that nobody is shown a credential that the replica they were
// about to use refuses. It names the nodes that had not when its patience ended, or that did not answer.
func (d *Driver) awaitReplay(ctx context.Context, login string, oid uint32) []string {
	if len(d.nodes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.replay)
	defer cancel()
	there := make([]bool, len(d.nodes))
	var all sync.WaitGroup
	for i, n := range d.nodes {
		all.Go(func() { there[i] = d.replayed(ctx, n, login, oid) })
	}
	all.Wait()
	var lagging []string
	for i, n := range d.nodes {
		if !there[i] {
			lagging = append(lagging, n.name)
		}
	}
	return lagging
}

func (d *Driver) replayed(ctx context.Context, n node, login string, oid uint32) bool {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		results, err := send(ctx, n.pool, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = "+literal(login)+" AND oid = "+oidText(oid)+")")
		if err != nil {
			return false
		}
		if there, err := first(results[0]); err != nil || there == "t" {
			return err == nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}
