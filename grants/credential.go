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
		return secret.New(fmt.Sprintf("MYSQL_PWD='%s' mysql --host=%s --port=%d --user=%s --ssl-mode=REQUIRED %s",
			c.Password.Reveal(), c.Endpoint.Host, c.Endpoint.Port, c.Login, c.Database))
	}
	mode := c.Endpoint.SSLMode
	if mode == "" {
		mode = "prefer"
	}
	return secret.New(fmt.Sprintf("PGPASSWORD='%s' psql 'host=%s port=%d dbname=%s user=%s sslmode=%s'",
		c.Password.Reveal(), c.Endpoint.Host, c.Endpoint.Port, c.Database, c.Login, mode))
}
