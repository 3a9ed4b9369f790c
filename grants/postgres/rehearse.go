package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

var _ grants.Rehearser = (*Driver)(nil)

// rehearsal is one under way.
type rehearsal struct {
	*Driver
	grants.Rehearsal
	order grants.Order
	login grants.Login
	// visit is the throw-away login's own session, nil when it never got in.
	visit *pgx.Conn
}

// Rehearse implements grants.Rehearser: the very statements of Issue, Secure and Clean, and a session of the login's own in
// between, through the endpoint that people are told.
func (d *Driver) Rehearse(ctx context.Context, accessRole string) grants.Rehearsal {
	r := &rehearsal{Driver: d}
	defer func() {
		if r.visit != nil {
			_ = r.visit.Close(context.WithoutCancel(ctx))
		}
	}()
	if r.try("the administrator gets in", func() error { return r.meet(ctx) }) &&
		r.try("nothing is left of earlier rehearsals", func() error { return r.tidy(ctx) }) {
		r.play(ctx, accessRole)
	}
	return r.Rehearsal
}

func (r *rehearsal) play(ctx context.Context, accessRole string) {
	id := grants.NewID()
	now := r.cfg.Now()
	r.order = grants.Order{
		Login: grants.LoginName("doctor", id), AccessRole: accessRole,
		Stamp:       grants.Stamp{Installation: r.cfg.Installation, Grant: id},
		Fingerprint: r.login.Fingerprint, ValidUntil: now.Add(grants.RehearsalLasts), NotAfter: now.Add(grants.IssueWithin),
		ConnectionLimit: 1, Password: secret.New(rand.Text()),
	}
	r.login = grants.Login{Name: r.order.Login, Stamp: r.order.Stamp, Fingerprint: r.login.Fingerprint}
	made := r.try("a login can be made, a member of "+accessRole, func() error {
		issued, err := r.Issue(ctx, r.order)
		r.login.OID = issued.OID
		return err
	})
	if made {
		r.try("it gets in where people are told to connect", func() error { return r.enter(ctx) })
	}
	// Whatever happened, what may have been made is taken back.
	locked := r.try("it can be locked out and its sessions ended on every node", func() error {
		secured, err := r.Secure(ctx, r.login)
		r.login.OID = max(r.login.OID, secured.OID)
		return err
	})
	switch {
	case locked && r.visit != nil:
		r.try("its session is dead", func() error { return r.dead(ctx) })
	case r.visit != nil:
		// What could not be killed is closed from this end, so that the login can go all the same.
		_ = r.visit.Close(ctx)
		_, _ = r.Secure(ctx, r.login)
	}
	cleaned := locked
	if locked {
		cleaned = r.try("it can be dropped, and the catalogs prove it", func() error {
			_, err := r.Clean(ctx, r.login)
			return err
		})
	}
	if !cleaned {
		if _, err := r.Clean(ctx, r.login); err != nil {
			r.warn(fmt.Sprintf("the throw-away login %s may be left on the server; it cannot be used after %s, and the next rehearsal takes it back",
				r.login.Name, r.order.ValidUntil.UTC().Format(time.RFC3339)), "")
		}
	}
}

// try carries out a step and says whether it worked.
func (r *rehearsal) try(what string, step func() error) bool {
	began := time.Now()
	err := step()
	r.Steps = append(r.Steps, grants.RehearsalStep{What: what, Took: time.Since(began), Err: failure("rehearsing on "+r.cfg.Target.Name, err)})
	return err == nil
}

func (r *rehearsal) warn(what, mend string) {
	r.Warnings = append(r.Warnings, grants.Finding{What: what, Mend: mend})
}

// meet learns who answers, and looks at what needs no login.
func (r *rehearsal) meet(ctx context.Context) error {
	sent := r.cfg.Now()
	results, err := send(ctx, r.everyday, factsAbout("pa_doctor", 0),
		"SELECT split_part(current_setting('server_version'), ' ', 1), rolsuper, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), rolcreaterole"+
			" FROM pg_roles WHERE rolname = current_user")
	if err != nil {
		return err
	}
	f, err := parseFacts(results[0])
	if err != nil {
		return err
	}
	row := texts(results[1])
	if len(row) != 1 {
		return errUnreadable
	}
	r.login.Fingerprint, r.Server = f.fingerprint, "PostgreSQL "+row[0][0]
	skew := f.clock.Sub(sent)
	switch {
	case skew.Abs() > maxSkew:
		return fail(grants.FailSkewed, "set both clocks by NTP", "the server's clock and ours differ by %s", skew.Abs().Round(time.Second))
	case skew.Abs() > 2*time.Second:
		r.warn(fmt.Sprintf("the server's clock and ours differ by %s; from %s on no login is made", skew.Abs().Round(100*time.Millisecond), maxSkew),
			"set both clocks by NTP")
	}
	if row[0][1] == "t" {
		r.warn("the administrator "+r.admin.User+" is a superuser: whoever gets its password owns the cluster", "ALTER ROLE "+ident(r.admin.User)+" NOSUPERUSER CREATEROLE")
	}
	if row[0][2] == "f" && !local(r.admin.Host) {
		r.warn("prodaccess reaches the server in plain text", "sslmode=verify-full in the target's admin_url")
	}
	if f.version < 16 && row[0][3] == "t" {
		r.warn("up to PostgreSQL 15 an administrator with CREATEROLE may grant itself any role that is no superuser, pg_execute_server_program too: "+
			"guard its password like a superuser's, or let it act through functions only",
			"`prodaccess targets plan --least-privilege "+r.cfg.Target.Name+"` prints them, for a superuser to run in psql; or upgrade to PostgreSQL 16")
	}
	if !local(r.cfg.Target.Connect.Host) {
		switch mode := r.cfg.Target.Connect.SSLMode; mode {
		case "disable", "allow", "prefer", "":
			r.warn(fmt.Sprintf("people are told sslmode=%s, which lets passwords and rows travel in plain text", mode), "connect: { sslmode: verify-full }")
		}
	}
	return nil
}

// tidy takes back what earlier rehearsals left when they died.
func (r *rehearsal) tidy(ctx context.Context) error {
	left, err := r.Logins(ctx)
	if err != nil {
		return err
	}
	for _, l := range left {
		l.Fingerprint = r.login.Fingerprint
		if _, err := r.Secure(ctx, l); err != nil {
			return err
		}
		if _, err := r.Clean(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// enter logs in as a person would.
func (r *rehearsal) enter(ctx context.Context) error {
	to := r.cfg.Target.Connect
	query := url.Values{"connect_timeout": {strconv.Itoa(int(connectTimeout.Seconds()))}}
	if to.SSLMode != "" {
		query.Set("sslmode", to.SSLMode)
	}
	database := r.admin.Database
	if len(r.cfg.Target.Databases) > 0 {
		database = r.cfg.Target.Databases[0]
	}
	u := url.URL{
		Scheme: "postgresql", User: url.UserPassword(r.login.Name, r.order.Password.Reveal()),
		Host: to.Host + ":" + strconv.Itoa(to.Port), Path: "/" + database, RawQuery: query.Encode(),
	}
	conn, err := pgx.Connect(ctx, u.String())
	switch state := stateOf(err); {
	case err == nil:
	case state == "42501":
		return fail(grants.FailPrivilege, "GRANT CONNECT ON DATABASE "+ident(database)+" TO "+ident(r.order.AccessRole), "%s", stateWords(err))
	case state == "28000" || state == "28P01":
		return fail(grants.FailPrivilege, "a line in pg_hba.conf that lets "+grants.Prefix+" logins in with scram-sha-256 from where people connect", "%s", stateWords(err))
	case state == "":
		// People may reach an address that prodaccess does not; that proves nothing.
		r.warn(fmt.Sprintf("prodaccess does not reach %s:%d, where people are told to connect, so whether they get in was not tried: %s", to.Host, to.Port, network(err)),
			"check connect in the target's configuration")
		return nil
	default:
		return err
	}
	r.visit = conn
	var pid uint32
	var fingerprint string
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid(), (SELECT system_identifier::text FROM pg_control_system())").Scan(&pid, &fingerprint); err != nil {
		return err
	}
	if fingerprint != r.login.Fingerprint {
		return fail(grants.FailSwapped, "check connect in the target's configuration", "another cluster answers there than the administrator's")
	}
	if pid != conn.PgConn().PID() {
		r.warn(fmt.Sprintf("a connection pooler answers at %s:%d: it keeps server sessions of its own alive, and may show one person's settings to the next", to.Host, to.Port),
			"tell people the server's own address in connect")
	}
	return nil
}

// dead says whether the server ended the session.
func (r *rehearsal) dead(ctx context.Context) error {
	_, err := r.visit.Exec(ctx, "SELECT 1")
	if stateOf(err) == "57P01" || err != nil && r.visit.IsClosed() { // admin_shutdown
		return nil
	}
	return fail(grants.FailInternal, "", "the session still answers")
}

// local says whether an address never leaves the machine.
func local(host string) bool {
	return strings.HasPrefix(host, "/") || host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}
