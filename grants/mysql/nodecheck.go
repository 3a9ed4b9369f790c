package mysql

import (
	"context"
	"fmt"
	"slices"

	"github.com/prodaccess/prodaccess/grants"
)

// checkNodes tries every node as the one who will have to empty it: whether it can be reached, belongs to this cluster, has
// the ledger, and lets sessions be seen and ended. A server shows somebody without PROCESS their own sessions only, and says
// nothing. Nothing is changed on the target but the number of a milestone.
func (d *Driver) checkNodes(ctx context.Context, c *catalog) (findings []grants.Finding) {
	if len(d.nodes) == 0 || c.cluster != 1 {
		return nil
	}
	var behind []string
	if at, err := d.setMilestone(ctx); err == nil { // else it is no fault of theirs
		behind = d.before(ctx, at)
	}
	for _, n := range d.nodes {
		found := n.check(ctx, c.id)
		if len(found) == 0 && slices.Contains(behind, n.name) {
			found = append(found, grants.Finding{
				Advice: true,
				What:   fmt.Sprintf("node %s had not replayed what was written to %s %s before: until it has, no login counts as taken back", n.name, d.cfg.Target.Name, replayPatience),
				Mend:   "look at its replication, which must not leave out the schema prodaccess",
			})
		}
		findings = append(findings, found...)
	}
	return findings
}

func (n *node) check(ctx context.Context, fingerprint string) (findings []grants.Finding) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	add := func(mend, format string, args ...any) {
		findings = append(findings, grants.Finding{What: "node " + n.name + ": " + fmt.Sprintf(format, args...), Mend: mend})
	}
	conn, _, err := n.pool.borrow(ctx)
	if err != nil {
		add("correct its URL in nodes, or take it out if it is gone for good: until it answers, no login counts as taken back", "%v", failure("connecting", err))
		return findings
	}
	defer giveBack(conn, true) // the next one begins with what was granted meanwhile
	me := n.pool.connector.cfg.User
	rows, err := send(ctx, conn, "SELECT c.id, (SELECT COUNT(*) FROM prodaccess.logins) FROM prodaccess.cluster c WHERE c.one = 1")
	switch {
	case err != nil || len(rows) != 1:
		add("replicate the schema prodaccess to it, and let "+me+" read it", "it does not show the ledger: %v", failure("looking", err))
		return findings
	case rows[0][0] != fingerprint:
		add("correct the node's address", "it belongs to another cluster (fingerprint %s)", rows[0][0])
		return findings
	}
	if _, err := send(ctx, conn, "SELECT "+unseen); err != nil {
		add("GRANT PROCESS ON *.* TO "+account(me), "%s does not see other people's sessions there", me)
	}
	rows, err = send(ctx, conn, "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('SUPER', 'CONNECTION ADMIN', 'CONNECTION_ADMIN')"+
		" AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')")
	if err != nil || len(rows) != 1 || rows[0][0] == "0" {
		add("GRANT "+n.pool.connector.flavour().mayKill()+" ON *.* TO "+account(me), "%s may not end other people's sessions there", me)
	}
	return findings
}
