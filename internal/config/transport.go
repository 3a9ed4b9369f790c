package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/internal/secret"
)

const (
	enginePostgres = "postgres"
	engineMySQL    = "mysql"
)

// sslModes are Postgres' own; the second group does not promise encryption.
var (
	encrypted = []string{"require", "verify-ca", "verify-full"}
	plaintext = []string{"disable", "allow", "prefer"}
)

var (
	queryKey   = regexp.MustCompile(`^[a-z_]+$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	portNumber = regexp.MustCompile(`^[0-9]{1,5}$`)
)

// CheckURL says what is wrong with another URL of the target than its admin_url, one that was given on the command line: the
// same rules hold, allow_plaintext among them. The error says how to mend it and never quotes the URL.
func (t Target) CheckURL(url secret.String) error {
	problem, fix := checkDatabaseURL(t.Engine, url.Reveal(), "allow_plaintext of target "+t.Name, t.AllowPlaintext)
	if problem == "" {
		return nil
	}
	return fmt.Errorf("%s. %s", problem, fix)
}

// checkDatabaseURL says what is wrong with the URL of a database. It accepts only what every reader of such a URL takes
// the same way: libpq, pgx and net/url differ over an unescaped "@", repeated parameters and missing hosts, and a
// difference could send a password where this check did not look. It never quotes the URL.
func checkDatabaseURL(engine, text, plaintextKey string, allowPlaintext bool) (problem, fix string) {
	const shape = "Write it as postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full."
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		return "is not a URL", shape
	case engine == enginePostgres && scheme != "postgres" && scheme != "postgresql":
		return "does not begin with postgres://", shape
	case engine == engineMySQL && scheme != "mysql":
		return "does not begin with mysql://", "Write it as mysql://USER:PASSWORD@HOST:3306/?tls=true."
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "contains a space or a control character", "Write it percent-encoded (%20)."
	}
	authority, path, _ := strings.Cut(rest, "/")
	if strings.Count(authority, "@") > 1 || strings.ContainsAny(authority, "?#") || strings.Contains(path, "#") {
		return "is ambiguous: it has an @, ?, # or / in the user or the password, or no / after the host",
			"Write these characters percent-encoded: @ %40, / %2F, ? %3F, # %23."
	}
	_, query, _ := strings.Cut(path, "?")
	settings, ok := queryOf(query)
	if !ok {
		return "has a parameter that is given twice or is not of the form name=value", shape
	}
	for _, name := range []string{"service", "servicefile", "ssl", "hostaddr"} {
		if _, ok := settings[name]; ok {
			return "has the parameter " + name + ", which can change where and how it connects", "Say it with the host and with sslmode instead."
		}
	}
	hosts, ok := hostsOf(authority, settings)
	if !ok {
		return "names no host, or one that cannot be read", shape
	}
	return checkEncryption(engine, settings, hosts, plaintextKey, allowPlaintext)
}

func checkEncryption(engine string, settings map[string]string, hosts []string, plaintextKey string, allowPlaintext bool) (problem, fix string) {
	remote := slices.ContainsFunc(hosts, func(h string) bool { return !isLoopback(h) })
	mode, given := settings["sslmode"]
	if engine == engineMySQL {
		mode = settings["tls"]
		if remote && !allowPlaintext && mode != "true" && mode != "skip-verify" {
			return "connects in plain text", "Add ?tls=true to the URL, or set " + plaintextKey + ": true if that is meant."
		}
		return "", ""
	}
	if given && !slices.Contains(encrypted, mode) && !slices.Contains(plaintext, mode) {
		return "has an sslmode that does not exist", "Use one of " + strings.Join(encrypted, ", ") + "."
	}
	if remote && !allowPlaintext && !slices.Contains(encrypted, mode) {
		what := "may connect in plain text: it has no sslmode"
		if given {
			what = "may connect in plain text: its sslmode is " + mode
		}
		return what, "Add ?sslmode=verify-full (or at least require) to the URL, or set " + plaintextKey + ": true if that is meant."
	}
	return "", ""
}

// queryOf reads parameters as libpq does: pairs with exactly one "=", percent-encoded.
func queryOf(query string) (map[string]string, bool) {
	settings := map[string]string{}
	if query == "" {
		return settings, true
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || !queryKey.MatchString(name) || strings.Contains(value, "=") {
			return nil, false
		}
		if _, twice := settings[name]; twice {
			return nil, false
		}
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return nil, false
		}
		settings[name] = decoded
	}
	return settings, true
}

// hostsOf lists the hosts a URL connects to, of which a parameter host has the last word.
func hostsOf(authority string, settings map[string]string) ([]string, bool) {
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	var hosts []string
	if list, ok := settings["host"]; ok {
		hosts = strings.Split(list, ",")
	} else {
		for one := range strings.SplitSeq(authority, ",") {
			host, port := one, ""
			if strings.HasPrefix(one, "[") {
				end := strings.IndexByte(one, ']')
				if end < 0 {
					return nil, false
				}
				host, port = one[1:end], strings.TrimPrefix(one[end+1:], ":")
			} else {
				host, port, _ = strings.Cut(one, ":")
			}
			if port != "" && !portNumber.MatchString(port) {
				return nil, false
			}
			decoded, err := url.PathUnescape(host)
			if err != nil {
				return nil, false
			}
			hosts = append(hosts, decoded)
		}
	}
	for _, host := range hosts {
		_, err := netip.ParseAddr(host)
		if !strings.HasPrefix(host, "/") && err != nil && !hostName.MatchString(host) || strings.Contains(host, ",") {
			return nil, false
		}
	}
	return hosts, true
}

// isLoopback says whether what is sent to a host stays on this machine.
func isLoopback(host string) bool {
	if strings.HasPrefix(host, "/") || strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// checkAPIURL does the same for an HTTP API.
func checkAPIURL(text, plaintextKey string, allowPlaintext bool) (problem, fix string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "is not the URL of an HTTP API", "Write it as https://HOST/PATH."
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "has more than a scheme, a host and a path", "Write it as https://HOST/PATH."
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) && !allowPlaintext {
		return "is plain text", "Use https://, or set " + plaintextKey + ": true if that is meant."
	}
	return "", ""
}

// checkListen says what is wrong with an address to listen on.
func checkListen(address string) (problem, fix string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil || !portNumber.MatchString(port) {
		return "is not an address to listen on", "Write HOST:PORT, such as 127.0.0.1:8080, or :8080 for every interface."
	}
	return "", ""
}
