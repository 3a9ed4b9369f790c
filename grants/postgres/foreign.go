package postgres

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// explained selects the logins that the sweep looks at: those with our prefix and a whole stamp of this installation.
// Grants explain them, or the sweep takes them. Whoever may make logins may stamp them as they like.
func (d *Driver) explained() string {
	const comment = "coalesce(shobj_description(r.oid, 'pg_authid'), '')"
	stamp := "prodaccess installation=" + d.cfg.Installation + " grant="
	return "(starts_with(r.rolname, " + literal(grants.Prefix) + ") AND starts_with(" + comment + ", " + literal(stamp) + ")" +
		" AND substr(" + comment + ", " + strconv.Itoa(len(stamp)+1) + `) ~ '^[^ \n\t]+$')`
}

// foreigner is a login with our prefix that no sweep of this installation looks at.
type foreigner struct{ name, comment string }

// foreign says of a comment why it is no stamp of this installation.
func foreign(comment string) string {
	if stamp, ok := grants.ParseStamp(comment); ok {
		return "carries the stamp of installation " + stamp.Installation + ", so no sweep of this one looks at it"
	}
	return "has the prefix of prodaccess and no stamp, so no sweep looks at it"
}

func (d *Driver) readForeigners(ctx context.Context, conn *pgx.Conn) ([]foreigner, error) {
	results, err := sendOn(ctx, conn, "SELECT r.rolname, coalesce(shobj_description(r.oid, 'pg_authid'), '') FROM pg_roles r"+
		" WHERE r.rolcanlogin AND starts_with(r.rolname, "+literal(grants.Prefix)+") AND NOT "+d.explained()+" ORDER BY 1")
	if err != nil {
		return nil, err
	}
	var foreigners []foreigner
	for _, row := range texts(results[0]) {
		foreigners = append(foreigners, foreigner{name: row[0], comment: row[1]})
	}
	return foreigners, nil
}

func (f foreigner) finding() grants.Finding {
	return grants.Finding{
		What: fmt.Sprintf("the login %s %s", f.name, foreign(f.comment)), Advice: true,
		Mend: "unless another installation of prodaccess, or a rehearsal that is running, gives it out: ALTER ROLE " + ident(f.name) + " NOLOGIN, end its sessions, and ask who made it",
	}
}
