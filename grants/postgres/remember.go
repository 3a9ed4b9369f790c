package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"

	"github.com/prodaccess/prodaccess/grants"
)

// What is remembered is the comment of a role that can do nothing, made by the administrator, one for each installation:
// the one thing that CREATEROLE may write which belongs to the cluster and not to a database. The comment begins like a
// stamp, so that whoever looks for roles that are none of ours passes over it, and is none, so that no sweep takes it.

var _ grants.Remembering = (*Driver)(nil)

func (d *Driver) memory() (role, prefix string) {
	sum := sha256.Sum256([]byte(d.cfg.Installation))
	return grants.Prefix + "mark_" + hex.EncodeToString(sum[:6]), "prodaccess installation=" + d.cfg.Installation + " mark="
}

// Remembered implements grants.Remembering.
func (d *Driver) Remembered(ctx context.Context) (string, error) {
	role, prefix := d.memory()
	results, err := send(ctx, d.everyday, "SELECT coalesce(max(substr(shobj_description(r.oid, 'pg_authid'), "+strconv.Itoa(len(prefix)+1)+")), '') FROM pg_roles r"+
		" WHERE r.rolname = "+literal(role)+" AND starts_with(shobj_description(r.oid, 'pg_authid'), "+literal(prefix)+")")
	if err == nil {
		var text string
		if text, err = first(results[0]); err == nil {
			return text, nil
		}
	}
	return "", failure("reading what "+d.cfg.Target.Name+" remembers", err)
}

var plainText = regexp.MustCompile(`^[a-z0-9: ]{1,200}$`)

// Remember implements grants.Remembering.
func (d *Driver) Remember(ctx context.Context, text string) error {
	doing := "leaving a mark on " + d.cfg.Target.Name
	if !plainText.MatchString(text) {
		return failure(doing, fail(grants.FailInternal, "", "the text is not plain"))
	}
	role, prefix := d.memory()
	_, err := inDoor(ctx, d, func(through door) (struct{}, error) {
		_, err := send(ctx, d.everyday, through.mark(role, prefix, text)...)
		if stateOf(err) == "42704" { // undefined_object
			statements := append([]string{begin}, through.makeMark(role, prefix, text)...)
			_, err = send(ctx, d.everyday, append(statements, "COMMIT")...)
		}
		return struct{}{}, err
	})
	return failure(doing, err)
}
