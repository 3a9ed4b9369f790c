package policy

import (
	"regexp"
	"slices"
	"strings"
)

var (
	engineNames    = []string{"postgres", "mysql"}
	parameterTypes = []string{"bigint", "integer", "numeric", "text", "uuid", "date", "timestamptz", "boolean"}
	masks          = []string{"hide", "partial", "hash", "year", "null"}
	// predefinedRoles are PostgreSQL's own roles that a profile may belong to: looking at the server, and at all data.
	predefinedRoles = []string{
		"pg_monitor", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables", "pg_checkpoint", "pg_read_all_data",
	}
	privileges = []string{
		"select", "insert", "update", "delete", "truncate", "references", "trigger", "usage", "execute", "create", "maintain",
	}
	parameterName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	// placeholder finds :name, but not the :: of a cast.
	placeholder = regexp.MustCompile(`(?:^|[^:\w]):([a-zA-Z_]\w*)`)
)

func (l *loader) readProfiles(from *node) {
	if from == nil || !l.isList(from, "profiles") {
		return
	}
	roles := map[string]string{}
	for _, item := range from.items {
		f := l.open(item, "a profile")
		if f == nil {
			continue
		}
		p := Profile{Name: f.text("name"), Description: f.text("description"), Risk: f.oneOf("risk", tierNames...)}
		at := f.at
		if given, ok := f.nodes["name"]; ok {
			at = given.value.mark
		} else {
			l.fault(f.at, "a profile needs a name")
		}
		l.checkName(at, "the profile", p.Name)
		// The role in the database has an underscore for every hyphen, so these two would share their privileges.
		role := strings.ReplaceAll(p.Name, "-", "_")
		if other, taken := roles[role]; taken && other == p.Name {
			l.fault(at, "the profile %q is there twice", p.Name)
		} else if taken {
			l.fault(at, "the profiles %q and %q would be the same role in the database; rename one", other, p.Name)
		}
		roles[role] = p.Name
		for _, engine := range f.texts("engines", "") {
			if !slices.Contains(engineNames, engine.text) {
				l.fault(engine.mark, "the engine must be %s, not %q%s", either(engineNames), engine.text, didYouMean(engine.text, engineNames))
			}
			p.Engines = append(p.Engines, engine.text)
		}
		p.MaxDuration = f.duration("max_duration")
		p.ConnectionLimit = f.number("connection_limit", 1, 1000)
		p.StatementTimeout = f.duration("statement_timeout")
		p.LockTimeout = f.duration("lock_timeout")
		p.IdleInTransactionTimeout = f.duration("idle_in_transaction_timeout")
		p.MemberOf = l.readMemberOf(f)
		p.Parameters = l.readParameters(f.take("parameters"))
		p.Grants = l.readGrants(f.take("grants"), p.Parameters)
		if _, given := f.nodes["risk"]; !given {
			p.Risk = "high"
			l.warn(at, "the profile %s has no risk, so it counts as high; write low, medium, high or critical", p.Name)
		}
		if _, given := f.nodes["grants"]; !given && len(p.MemberOf) == 0 {
			l.warn(at, "the profile %s grants nothing", p.Name)
		}
		f.close()
		l.p.places["profile "+p.Name] = at
		l.p.profileIndex[p.Name] = len(l.p.profiles)
		l.p.profiles = append(l.p.profiles, p)
	}
}

func (l *loader) isList(from *node, key string) bool {
	if from.kind != listNode {
		if from.kind != brokenNode {
			l.fault(from.mark, "%s must be a list, each entry beginning with \"- \", and this is %s", key, from.kind)
		}
		return false
	}
	return true
}

func (l *loader) readParameters(from *node) []Parameter {
	if from == nil || !l.isList(from, "parameters") {
		return nil
	}
	var out []Parameter
	for _, item := range from.items {
		f := l.open(item, "a parameter")
		if f == nil {
			continue
		}
		p := Parameter{Name: f.text("name"), Type: f.oneOf("type", parameterTypes...), Required: f.yes("required"), Description: f.text("description")}
		for _, needed := range []string{"name", "type"} {
			if _, given := f.nodes[needed]; !given {
				l.fault(f.at, "a parameter needs a %s", needed)
			}
		}
		if p.Name != "" && !parameterName.MatchString(p.Name) {
			l.fault(f.at, "the parameter's name %q must be a lower-case letter followed by letters, digits and _", p.Name)
		}
		if slices.ContainsFunc(out, func(other Parameter) bool { return other.Name == p.Name }) {
			l.fault(f.at, "the parameter %q is there twice", p.Name)
		}
		f.close()
		out = append(out, p)
	}
	return out
}

func (l *loader) readGrants(from *node, parameters []Parameter) []ProfileGrant {
	if from == nil || !l.isList(from, "grants") {
		return nil
	}
	if len(from.items) == 0 {
		l.fault(from.mark, "grants is empty; say at least one thing the profile may do")
	}
	var out []ProfileGrant
	for _, item := range from.items {
		f := l.open(item, "a grant")
		if f == nil {
			continue
		}
		g := ProfileGrant{
			Schema: f.text("schema"), Tables: texts(f.texts("tables", "")), Columns: texts(f.texts("columns", "")),
			Sequences: texts(f.texts("sequences", "")), Functions: texts(f.texts("functions", "")),
		}
		for _, needed := range []string{"schema", "tables", "privileges"} {
			_, given := f.nodes[needed]
			if needed == "tables" {
				given = given || len(g.Sequences) > 0 || len(g.Functions) > 0
			}
			if !given {
				l.fault(f.at, "a grant needs %s", needed)
			}
		}
		if len(g.Tables) > 1 && slices.Contains(g.Tables, "*") {
			l.fault(f.at, "\"*\" already means every table; leave the other names out")
		}
		for _, privilege := range f.texts("privileges", "") {
			g.Privileges = append(g.Privileges, l.privilege(privilege))
		}
		g.Rows = f.text("rows")
		for _, found := range placeholder.FindAllStringSubmatch(g.Rows, -1) {
			if !slices.ContainsFunc(parameters, func(p Parameter) bool { return p.Name == found[1] }) {
				l.fault(f.nodes["rows"].value.mark, "rows uses :%s, and the profile has no such parameter", found[1])
			}
		}
		g.Mask = l.readMask(f.take("mask"))
		f.close()
		out = append(out, g)
	}
	return out
}

// privilege accepts the words a database knows for tables. ALL is refused, because it grows with the database's version;
// TRIGGER and REFERENCES reach further than they seem to and are pointed out.
func (l *loader) privilege(word marked) string {
	text := strings.ToLower(word.text)
	switch {
	case text == "all" || text == "all privileges":
		l.fault(word.mark, "the privilege ALL is not allowed; name each privilege, for example [select, insert]")
	case !slices.Contains(privileges, text):
		l.fault(word.mark, "%q is not a privilege; write %s%s", word.text, either(privileges), didYouMean(text, privileges))
	case text == "trigger":
		l.warn(word.mark, "TRIGGER lets a visitor run code as whoever writes to the table later")
	case text == "references":
		l.warn(word.mark, "REFERENCES lets a visitor block deletes and probe for values")
	}
	return text
}

// readMemberOf accepts roles that only look. The others read or write files on the server, run programs, end sessions or
// write everywhere: whoever has one of them can get any other privilege, or undo what prodaccess does.
func (l *loader) readMemberOf(f *fields) []string {
	var out []string
	for _, role := range f.texts("member_of", "") {
		if !slices.Contains(predefinedRoles, role.text) {
			l.fault(role.mark, "member_of takes %s, not %q%s", either(predefinedRoles), role.text, didYouMean(role.text, predefinedRoles))
		}
		if role.text == "pg_read_all_data" {
			l.warn(role.mark, "pg_read_all_data reads every table of every database its holder can enter, whatever the profile says about schemas")
		}
		out = append(out, role.text)
	}
	return out
}

func (l *loader) readMask(from *node) map[string]string {
	f := l.open(from, "mask")
	if f == nil {
		return nil
	}
	out := map[string]string{}
	for _, column := range f.order {
		value := f.take(column)
		if value == nil {
			continue
		}
		how := l.scalar(value, "the mask of "+column)
		// A quoted text that is no mask's name would be a constant; that is written "constant:TEXT" to tell it from a typo.
		if how != "" && !slices.Contains(masks, how) && !strings.HasPrefix(how, "constant:") {
			l.fault(value.mark, "the mask must be %s or constant:TEXT, not %q%s", either(masks), how, didYouMean(how, masks))
		}
		out[column] = how
	}
	return out
}
