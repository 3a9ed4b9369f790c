package mysql

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

var _ grants.Replicated = (*Driver)(nil)

// replayPatience is how long Issue and Behind wait for the nodes.
const replayPatience = 3 * time.Second

// lagging waits until every node shows the login unlocked, and names those that did not in time, or did not answer.
func (d *Driver) lagging(ctx context.Context, login string) []string {
	return d.onNodes(ctx, func(ctx context.Context, n *node) bool {
		return n.eventually(ctx, func(f flavour) string {
			return "SELECT COUNT(*) FROM " + f.accounts() + " a WHERE a.account = " + literal(login) + " AND a.host = '%' AND NOT a.locked"
		})
	})
}

// milestone is the row of prodaccess.memory that counts how often it was asked which nodes are behind. No installation can be
// called like it. What a replica has replayed is told in a different way by each kind of replication, and needs a privilege
// in each; a row that it has says the same of everything that was written before.
const milestone = "'a milestone'"

// Behind implements grants.Replicated.
func (d *Driver) Behind(ctx context.Context) []string {
	if len(d.nodes) == 0 {
		return nil
	}
	at, err := d.setMilestone(ctx)
	if err != nil {
		return d.onNodes(ctx, func(context.Context, *node) bool { return false })
	}
	return d.before(ctx, at)
}

// before names the nodes that do not come to a milestone in time.
func (d *Driver) before(ctx context.Context, at string) []string {
	return d.onNodes(ctx, func(ctx context.Context, n *node) bool {
		return n.eventually(ctx, func(flavour) string {
			return "SELECT COUNT(*) FROM prodaccess.memory WHERE installation = " + milestone + " AND CAST(line AS UNSIGNED) >= " + at
		})
	})
}

// setMilestone returns a number that a node has once it has everything that was written before.
func (d *Driver) setMilestone(ctx context.Context) (at string, err error) {
	conn, _, err := d.everyday.borrow(ctx)
	if err != nil {
		return "", err
	}
	defer func() { giveBack(conn, err != nil) }()
	rows, err := send(ctx, conn, "INSERT INTO prodaccess.memory (installation, line) VALUES ("+milestone+", LAST_INSERT_ID(1))"+
		" ON DUPLICATE KEY UPDATE line = LAST_INSERT_ID(CAST(line AS UNSIGNED) + 1)", "SELECT LAST_INSERT_ID()")
	if err != nil {
		return "", err
	}
	if len(rows) != 1 {
		return "", errUnreadable
	}
	if _, err := strconv.ParseUint(rows[0][0], 10, 64); err != nil {
		return "", errUnreadable
	}
	return rows[0][0], nil
}

// onNodes asks every node at the same time and names those of which the answer is no.
func (d *Driver) onNodes(ctx context.Context, yes func(context.Context, *node) bool) []string {
	ctx, cancel := context.WithTimeout(ctx, replayPatience)
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

// eventually asks a node for a number until it is 1, the node does not answer, or the context ends.
func (n *node) eventually(ctx context.Context, question func(flavour) string) bool {
	conn, f, err := n.pool.borrow(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		rows, err := send(ctx, conn, question(f))
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
