package mysql

import (
	"crypto/tls"
	"errors"
	"strings"

	client "github.com/go-sql-driver/mysql"
)

// gettingIn says how the login that prepares gets in. A server does not tell a wrong password from a login that is not there,
// so that both are named; and where somebody else's URL was given, the administrator's own login is not the trouble.
func (d *Driver) gettingIn() string {
	if !d.cfg.PrepareURL.Empty() {
		return "check the login and the password in the URL that was given (--as, --as-file)"
	}
	target, admin := d.cfg.Target.Name, account(d.everyday.connector.cfg.User)
	return "check the password in admin_url, and whether an account without a name (''@'localhost') catches who comes from here; if " + admin +
		" was never made: `prodaccess targets plan " + target + " --as-file FILE`, with the URL of somebody who may do everything in the file, prints what makes it; then ALTER USER " +
		admin + " IDENTIFIED BY '…' ACCOUNT UNLOCK"
}

// encryption says what is wrong with TLS, and what to do, from errors that hold no secret; empty when it is something else.
func encryption(err error) (what, mend string) {
	if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate is not accepted: " + verification.Err.Error(),
			"the host in the URL must be a name in it, and this machine must know the authority that signed it; tls=skip-verify encrypts without looking"
	}
	if errors.Is(err, client.ErrNoTLS) {
		return "the server does not speak TLS, which the URL asks for", "give the server a certificate; or tls=false in the URL, and allow_plaintext: true beside it where it leaves this machine"
	}
	return "", ""
}

// asked is the server's "(using password: YES)", which is no secret and looks like the beginning of one.
var asked = strings.NewReplacer(" (using password: YES)", "", " (using password: NO)", ", who gave no password")
