package postgres

import (
	"context"
	"sync"
	"time"
)

// awaitReplay waits until every node has replayed a login, so that nobody is shown a credential that the replica they were
// about to use refuses. It names the nodes that had not when its patience ended, or that did not answer.
func (d *Driver) awaitReplay(ctx context.Context, login string, oid uint32) []string {
	return d.onNodes(ctx, func(ctx context.Context, n node) bool {
		return eventually(ctx, n, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = "+literal(login)+" AND oid = "+oidText(oid)+")")
	})
}

// Behind implements grants.Replicated, by the position of the log: what a password is nobody may read, so that it cannot be
// compared.
func (d *Driver) Behind(ctx context.Context) []string {
	if len(d.nodes) == 0 {
		return nil
	}
	end, err := logEnd(ctx, d.everyday)
	if err != nil {
		return d.onNodes(ctx, func(context.Context, node) bool { return false })
	}
	return d.onNodes(ctx, func(ctx context.Context, n node) bool {
		// One that was promoted replays nothing; Secure finds out whether it is still the target's.
		return eventually(ctx, n, "SELECT coalesce(pg_last_wal_replay_lsn() >= "+literal(end.String())+", true) OR NOT pg_is_in_recovery()")
	})
}

// onNodes asks every node at the same time and names those of which the answer is no.
func (d *Driver) onNodes(ctx context.Context, yes func(context.Context, node) bool) []string {
	if len(d.nodes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.replay)
	defer cancel()
	there := make([]bool, len(d.nodes))
	var all sync.WaitGroup
	for i, n := range d.nodes {
		all.Go(func() { there[i] = yes(ctx, n) })
	}
	all.Wait()
	var not []string
	for i, n := range d.nodes {
		if !there[i] {
			not = append(not, n.name)
		}
	}
	return not
}

// eventually asks a node a question until the answer is yes, it does not answer, or the context ends.
func eventually(ctx context.Context, n node, question string) bool {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		results, err := send(ctx, n.pool, question)
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
