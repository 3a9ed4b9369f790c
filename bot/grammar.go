package bot

import (
	"regexp"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

// The things a command line can ask for.
const (
	verbForm       = "form" // nothing was written
	verbRequest    = "request"
	verbHelp       = "help"
	verbList       = "list"
	verbExplain    = "explain"
	verbRelease    = "release"
	verbExtend     = "extend"
	verbBreakGlass = "break-glass"
	verbWhoami     = "whoami"
)

var subcommands = []string{verbHelp, verbList, verbExplain, verbRelease, verbExtend, verbBreakGlass, verbWhoami}

// command is what a person wrote after the slash command.
type command struct {
	verb            string
	target, profile string
	duration        time.Duration
	// length is the duration as written; it may not be one.
	length string
	params map[string]string
	ticket string
	reason string
	// request is the id given to release and extend; empty when none was.
	request string
}

// mistake says what is wrong with a command line and, when that is known, the whole line put right.
type mistake struct {
	words string
	// line is without the slash command; empty when nothing can be suggested.
	line string
}

var (
	ticketShape = regexp.MustCompile(`^[A-Z][A-Z0-9_]*-[0-9]+$`)
	paramShape  = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)
	slackLink   = regexp.MustCompile(`<([^<>|]*)(?:\|([^<>]*))?>`)
)

// Slack encodes these three and no others.
var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

var typed = strings.NewReplacer(
	"“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'",
	"\u00a0", " ", "\u202f", " ", "\u2007", " ",
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-",
)

// asTyped undoes what Slack and its clients do to a line: links around what looks like one, entities, curly quotes,
// long dashes, and spaces that do not break.
func asTyped(text string) string {
	text = slackLink.ReplaceAllStringFunc(text, func(link string) string {
		parts := slackLink.FindStringSubmatch(link)
		to, label := parts[1], parts[2]
		switch {
		case strings.HasPrefix(to, "@"), strings.HasPrefix(to, "#"):
			if label != "" {
				return to[:1] + label
			}
			return to
		case strings.HasPrefix(to, "!"):
			if label != "" {
				return label
			}
			return "@" + to[1:]
		case label != "":
			return label
		}
		return strings.TrimPrefix(to, "mailto:")
	})
	return clean(typed.Replace(entities.Replace(text)))
}

// parse reads a command line. It knows the grammar and nothing else: whether a target exists is not its business.
func parse(text string) (command, *mistake) {
	words := strings.Fields(asTyped(text))
	if len(words) == 0 {
		return command{verb: verbForm}, nil
	}
	switch verb := strings.ToLower(words[0]); verb {
	case verbHelp, verbList, verbWhoami:
		return command{verb: verb}, nil
	case verbBreakGlass:
		return parseBreakGlass(words[1:])
	case verbExplain:
		return parseExplain(words[1:])
	case verbRelease:
		if len(words) > 2 {
			return command{}, &mistake{words: "Release takes at most one request.", line: "release " + bare(words[1])}
		}
		c := command{verb: verb}
		if len(words) == 2 {
			c.request = bare(words[1])
		}
		return c, nil
	case verbExtend:
		return parseExtend(words[1:])
	}
	return parseRequest(words)
}

func parseExplain(words []string) (command, *mistake) {
	c := command{verb: verbExplain}
	words = c.takeParams(words)
	if len(words) > 0 {
		c.target = bare(words[0])
	}
	if len(words) < 2 {
		return c, &mistake{words: "Say which database and which access to explain: explain TARGET PROFILE [DURATION] [TICKET] [REASON…]."}
	}
	c.profile = bare(words[1])
	rest := words[2:]
	// Whatever a request may say can be asked about: a rule may want a ticket, and its answer is another one with it.
	if len(rest) > 0 && !ticketShape.MatchString(rest[0]) {
		c.length = bare(rest[0])
		d, err := policy.ParseDuration(c.length)
		c.take(rest[1:])
		if err != nil {
			return c, wrongDuration(c, err)
		}
		c.duration = d
		return c, nil
	}
	c.take(rest)
	return c, nil
}

// takeParams takes what is name=value out of words, wherever it stands.
func (c *command) takeParams(words []string) (rest []string) {
	for _, word := range words {
		found := paramShape.FindStringSubmatch(word)
		if found == nil {
			rest = append(rest, word)
			continue
		}
		if c.params == nil {
			c.params = map[string]string{}
		}
		c.params[found[1]] = found[2]
	}
	return rest
}

func parseExtend(words []string) (command, *mistake) {
	c := command{verb: verbExtend}
	switch len(words) {
	case 1:
		c.length = bare(words[0])
	case 2:
		c.request, c.length = bare(words[0]), bare(words[1])
		if _, err := policy.ParseDuration(c.request); err == nil {
			return c, turnedRound(c)
		}
	default:
		return c, &mistake{words: "Say for how much longer: extend [ID] DURATION.", line: "extend 30m"}
	}
	d, err := policy.ParseDuration(c.length)
	if err != nil {
		return c, wrongDuration(c, err)
	}
	c.duration = d
	return c, nil
}

// turnedRound is for "extend 1h 30m", "extend 30m 1h" and "extend 30m r1": no request has a duration for its name.
func turnedRound(c command) *mistake {
	whole := c.request + c.length
	_, err := policy.ParseDuration(whole)
	if first, one := policy.ParseDuration(c.request); err != nil && one == nil {
		if second, two := policy.ParseDuration(c.length); two == nil {
			whole = policy.FormatDuration(first + second)
			_, err = policy.ParseDuration(whole)
		}
	}
	if err == nil {
		c.request, c.length = "", whole
		return &mistake{words: "Write the duration without a space: " + whole + ".", line: c.String()}
	}
	c.request, c.length = c.length, c.request
	return &mistake{words: "The request comes first, then for how much longer.", line: c.String()}
}

// parseBreakGlass reads "TARGET PROFILE [DURATION] [name=value…] [TICKET] REASON…". Without a duration it is the longest allowed.
func parseBreakGlass(words []string) (command, *mistake) {
	c := command{verb: verbBreakGlass}
	if len(words) > 0 {
		c.target = bare(words[0])
	}
	if len(words) > 1 {
		c.profile = bare(words[1])
	}
	rest := words[min(2, len(words)):]
	if len(rest) > 0 {
		if d, err := policy.ParseDuration(bare(rest[0])); err == nil {
			c.length, c.duration, rest = bare(rest[0]), d, rest[1:]
		}
	}
	twice := c.take(rest)
	switch {
	case c.profile == "":
		return c, &mistake{words: "Say which database, which access, and why: break-glass TARGET PROFILE REASON."}
	case twice != "":
		return c, &mistake{words: "The parameter " + twice + " is there twice.", line: c.String()}
	case c.reason == "":
		c.reason = "REASON"
		return c, &mistake{words: "Say why, at the end of the line; it is what the review begins with.", line: c.String()}
	}
	return c, nil
}

func parseRequest(words []string) (command, *mistake) {
	c := command{verb: verbRequest, target: bare(words[0])}
	if len(words) > 1 {
		c.profile = bare(words[1])
	}
	if len(words) > 2 {
		c.length = bare(words[2])
	}
	if len(words) == 2 {
		whole := c
		whole.length, whole.reason = "30m", "REASON"
		return c, &mistake{words: "Say for how long, and why: TARGET PROFILE DURATION [TICKET] REASON.", line: whole.String()}
	}
	if len(words) < 3 {
		return c, &mistake{words: "Say which database, which access, for how long, and why: TARGET PROFILE DURATION [TICKET] REASON."}
	}
	d, err := policy.ParseDuration(c.length)
	rest := words[3:]
	if err == nil && len(rest) > 0 {
		// "1h 30m" is one duration to the person who wrote it, and would otherwise silently be "1h".
		if _, again := policy.ParseDuration(rest[0]); again == nil {
			if whole, joins := policy.ParseDuration(c.length + rest[0]); joins == nil {
				c.length, c.duration = c.length+rest[0], whole
				c.take(rest[1:])
				return c, &mistake{words: "Write the duration without a space: " + c.length + ".", line: c.String()}
			}
		}
	}
	twice := c.take(rest)
	if err != nil {
		return c, wrongDuration(c, err)
	}
	c.duration = d
	switch {
	case twice != "":
		return c, &mistake{words: "The parameter " + twice + " is there twice.", line: c.String()}
	case c.reason == "":
		c.reason = "REASON"
		return c, &mistake{words: "Say why, at the end of the line; approvers read it.", line: c.String()}
	}
	return c, nil
}

// take reads what follows the duration: parameters, a ticket, the reason. It returns the name of a parameter given twice.
func (c *command) take(words []string) (twice string) {
	for len(words) > 0 {
		found := paramShape.FindStringSubmatch(words[0])
		if found == nil {
			break
		}
		value, used := quoted(found[2], words[1:])
		if _, there := c.params[found[1]]; there {
			twice = found[1]
		}
		if c.params == nil {
			c.params = map[string]string{}
		}
		c.params[found[1]] = value
		words = words[1+used:]
	}
	if len(words) > 0 && ticketShape.MatchString(words[0]) {
		c.ticket, words = words[0], words[1:]
	}
	c.reason = strings.Join(words, " ")
	return twice
}

// quoted completes a value that begins with a quote from the words after it, and says how many it took.
func quoted(value string, after []string) (string, int) {
	if len(value) == 0 || (value[0] != '"' && value[0] != '\'') {
		return value, 0
	}
	quote, first := value[:1], value[1:]
	if inner, closed := strings.CutSuffix(first, quote); closed {
		return inner, 0
	}
	for i, word := range after {
		if strings.HasSuffix(word, quote) {
			whole := strings.Join(append([]string{first}, after[:i+1]...), " ")
			return whole[:len(whole)-1], i + 1
		}
	}
	return value, 0
}

// bare takes quotes and backticks off a word somebody pasted.
func bare(word string) string { return strings.Trim(word, "`\"'") }
