package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prodaccess/prodaccess/policy"
)

// envPrefix begins the name of every environment variable of ours.
const envPrefix = "PRODACCESS_"

// otherVariables are ours and no keys: where the configuration is, and what scripts and tests use.
var otherVariables = []string{
	"PRODACCESS_CONFIG", "PRODACCESS_CACHE", "PRODACCESS_POSTGRES_BIN", "PRODACCESS_MARIADB_BIN", "PRODACCESS_MYSQL_BIN", "PRODACCESS_SOAK",
}

// madeUp matches what Kubernetes adds to every container for a service whose name begins with "prodaccess": the name of the
// variable, or its name and value together where the name alone could be a slip ("PRODACCESS_HTTP_PORT=9090").
var madeUp = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|_PORT=(tcp|udp|sctp)://`)

// An environment is what is left of our variables: each key takes its own out.
type environment struct {
	*reading
	left map[string]string
}

// readEnvironment lays the environment over the tree. An empty variable counts as absent.
func (r *reading) readEnvironment(environ []string) {
	e := environment{reading: r, left: map[string]string{}}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) && value != "" && !slices.Contains(otherVariables, name) {
			e.left[name] = value
		}
	}
	e.section(schema, r.root, "", strings.TrimSuffix(envPrefix, "_"))
	names := make([]string, 0, len(Keys()))
	for _, key := range Keys() {
		names = append(names, EnvName(strings.ReplaceAll(key, "[]", ".0")))
	}
	for _, name := range slices.Sorted(maps.Keys(e.left)) {
		if madeUp.MatchString(name + "=" + e.left[name]) {
			continue
		}
		fix := "Unset it; the names of variables are in config.example.yaml."
		if near, ok := policy.Nearest(name, names); ok {
			fix = fmt.Sprintf("Did you mean %s?", near)
		}
		r.fault("", "environment variable "+shortened(name), "names no key", fix)
	}
}

// EnvName is the environment variable of a key: "slack.bot_token" is PRODACCESS_SLACK_BOT_TOKEN, "targets.0.name" is
// PRODACCESS_TARGETS_0_NAME.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func (e environment) section(f field, into tree, path, variable string) {
	for _, child := range f.fields {
		name := variable + "_" + strings.ToUpper(child.key)
		key := join(path, child.key)
		switch child.kind {
		case section:
			below, _ := into[child.key].(tree)
			if below == nil {
				below = tree{}
			}
			e.section(child, below, key, name)
			if len(below) > 0 {
				into[child.key] = below
			}
		case sections:
			e.list(child, into, key, name)
		default:
			if words, ok := e.take(name); ok {
				e.set(f, child, into, key, name, words)
			}
		}
	}
}

// list lays variables over the entries that are there, and adds entries behind them as long as there are variables.
func (e environment) list(f field, into tree, path, variable string) {
	entries, _ := into[f.key].([]any)
	for i := 0; ; i++ {
		name := variable + "_" + strconv.Itoa(i)
		if i >= len(entries) {
			if !e.any(name + "_") {
				break
			}
			entries = append(entries, tree{})
		}
		if entry, ok := entries[i].(tree); ok {
			e.section(f, entry, fmt.Sprintf("%s[%d]", path, i), name)
		}
	}
	if len(entries) > 0 {
		into[f.key] = entries
	}
}

// set puts one value into the tree. A secret and the file it is in replace each other, whichever the file said.
func (e environment) set(parent, f field, into tree, path, name, words string) {
	where := "environment variable " + name
	var value any
	if f.kind == texts {
		list := []any{}
		for word := range strings.SplitSeq(words, ",") {
			list = append(list, strings.TrimSpace(word))
		}
		value = list
	} else {
		var problem, fix string
		if value, problem, fix = leaf(f, words); problem != "" {
			e.fault(path, where, problem, fix)
			return
		}
	}
	for _, sibling := range parent.fields {
		related := sibling.secretOf == f.key && f.kind == secretText || sibling.key == f.secretOf && f.kind == secretFile
		if related && !strings.HasPrefix(e.origin[strings.TrimSuffix(path, f.key)+sibling.key], "environment") {
			delete(into, sibling.key)
		}
	}
	into[f.key] = value
	e.origin[path] = where
	delete(e.broken, path)
}

func (e environment) take(name string) (string, bool) {
	value, ok := e.left[name]
	delete(e.left, name)
	return value, ok
}

func (e environment) any(prefix string) bool {
	for name := range e.left {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
