package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Fingerprint implements grants.Driver: the cluster's system identifier, made by initdb, shared with its standbys and
// with copies of its files.
func (d *Driver) Fingerprint(ctx context.Context) (string, error) {
	results, err := send(ctx, d.everyday, "SELECT system_identifier FROM pg_control_system()")
	if err == nil {
		var text string
		if text, err = first(results[0]); err == nil {
			return text, nil
		}
	}
	return "", failure("asking "+d.cfg.Target.Name+" for its fingerprint", err)
}

var _ grants.Rehearsing = (*Driver)(nil)

var _ grants.Instanced = (*Driver)(nil)

// Instance implements grants.Instanced: when the server was started, to the microsecond.
func (d *Driver) Instance(ctx context.Context) (string, error) {
	results, err := send(ctx, d.everyday, "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint")
	if err == nil {
		var text string
		if text, err = first(results[0]); err == nil {
			return text, nil
		}
	}
	return "", failure("asking "+d.cfg.Target.Name+" since when it runs", err)
}

// Logins implements grants.Driver.
func (d *Driver) Logins(ctx context.Context) ([]grants.Login, error) {
	return d.loginsOf(ctx, d.cfg.Installation)
}

// Rehearsals implements grants.Rehearsing.
func (d *Driver) Rehearsals(ctx context.Context) ([]grants.Login, error) {
	return d.loginsOf(ctx, grants.DoctorInstallation)
}

func (d *Driver) loginsOf(ctx context.Context, installation string) ([]grants.Login, error) {
	doing := fmt.Sprintf("listing the logins on %s", d.cfg.Target.Name)
	results, err := send(ctx, d.everyday,
		"SELECT r.rolname, r.oid, r.rolcanlogin, s.description,"+
			" CASE WHEN isfinite(r.rolvaliduntil) THEN (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint END"+
			" FROM pg_shdescription s JOIN pg_roles r ON r.oid = s.objoid"+
			" WHERE s.classoid = 'pg_authid'::regclass AND starts_with(r.rolname, "+literal(grants.Prefix)+")"+
			" AND starts_with(s.description, "+literal("prodaccess installation="+installation+" ")+") ORDER BY 1")
	if err != nil {
		return nil, failure(doing, err)
	}
	var logins []grants.Login
	for _, row := range results[0].Rows {
		stamp, ok := grants.ParseStamp(string(row[3]))
		if !ok || stamp.Installation != installation {
			continue
		}
		oid, err := parseOID(row[1])
		if err != nil {
			return nil, failure(doing, err)
		}
		login := grants.Login{Name: string(row[0]), OID: oid, Stamp: stamp, CanLogin: isTrue(row[2])}
		if row[4] != nil {
			micros, err := strconv.ParseInt(string(row[4]), 10, 64)
			if err != nil {
				return nil, failure(doing, errUnreadable)
			}
			login.ValidUntil = time.UnixMicro(micros)
		}
		logins = append(logins, login)
	}
	return logins, nil
}
