package grants

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// Credential is what a holder is shown, once. It lives in memory only.
type Credential struct {
	Grant    string
	Request  string
	Target   string
	Engine   string
	Profile  string
	Login    string
	Password secret.String
	Database string
	Endpoint Endpoint
	Deadline time.Time
	// Note is something its holder should know, empty for nothing: a replica that lags behind.
	Note string
}

// URL is the complete connection URL.
func (c Credential) URL() secret.String {
	scheme := "postgresql"
	query := url.Values{}
	if c.Engine == "mysql" {
		scheme = "mysql"
	} else if c.Endpoint.SSLMode != "" {
		query.Set("sslmode", c.Endpoint.SSLMode)
	}
	u := url.URL{
		Scheme:   scheme,
		User:     url.UserPassword(c.Login, c.Password.Reveal()),
		Host:     c.Endpoint.Host + ":" + strconv.Itoa(c.Endpoint.Port),
		Path:     "/" + c.Database,
		RawQuery: query.Encode(),
	}
	return secret.New(u.String())
}

// Command is a line for a shell that opens a session: psql or mysql. The password goes through the environment, where
// the process list does not show it.
func (c Credential) Command() secret.String {
	if c.Engine == "mysql" {
		return secret.New(fmt.Sprintf("MYSQL_PWD='%s' mysql --host=%s --port=%d --user=%s%s %s",
			c.Password.Reveal(), c.Endpoint.Host, c.Endpoint.Port, c.Login, mysqlTLS(c.Endpoint.SSLMode), c.Database))
	}
	mode := c.Endpoint.SSLMode
	if mode == "" {
		mode = "prefer"
	}
	return secret.New(fmt.Sprintf("PGPASSWORD='%s' psql 'host=%s port=%d dbname=%s user=%s sslmode=%s'",
		c.Password.Reveal(), c.Endpoint.Host, c.Endpoint.Port, c.Database, c.Login, mode))
}

// mysqlTLS are the options of the mysql program for a mode. MySQL's and MariaDB's programs have different ones for the
// same thing; the prefix loose- makes each pass over what it does not know, with a warning.
func mysqlTLS(mode string) string {
	switch mode {
	case "require":
		return " --loose-ssl-mode=REQUIRED --loose-ssl"
	case "verify-ca":
		return " --loose-ssl-mode=VERIFY_CA --loose-ssl-verify-server-cert"
	case "verify-full":
		return " --loose-ssl-mode=VERIFY_IDENTITY --loose-ssl-verify-server-cert"
	}
	return ""
}
