package postgres

import (
	"crypto/tls"
	"errors"
	"strings"
)

// gettingIn says how the login that prepares gets in. A server does not tell a wrong password from a login that is not there,
// so that both are named; and where somebody else's URL was given, the administrator's own login is not the trouble.
func (d *Driver) gettingIn() string {
	if d.prepare != d.admin {
		return "check the login and the password in the URL that was given (--as, --as-file), and pg_hba.conf"
	}
	first := Bootstrap(d.admin.User)
	return "check the password in admin_url, and pg_hba.conf; if " + d.admin.User + " was never made: once, as a superuser: " +
		createAdministrator(d.admin.User) + "; " + first[1].SQL + "; then \\password " + d.admin.User
}

// encryption says what is wrong with TLS, and what to do, from errors that hold no secret; empty when it is something else.
func encryption(err error) (what, mend string) {
	if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate is not accepted: " + verification.Err.Error(),
			"sslrootcert=FILE in the URL names the authority that signed it, and the host in the URL must be a name in it"
	}
	// pgconn has no name for it (pgconn.startTLS).
	if strings.Contains(err.Error(), "server refused TLS connection") {
		return "the server does not speak TLS, which the URL asks for", "ssl = on in the server's configuration; or sslmode=disable in the URL, and allow_plaintext: true beside it where it leaves this machine"
	}
	return "", ""
}
