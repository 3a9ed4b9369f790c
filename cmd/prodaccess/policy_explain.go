package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/policy"
)

// asked is a question on the command line.
type asked struct {
	user, target, environment, engine, profile string
	duration, ticket, reason, at, start        string
	shiftEnds                                  string
	params, used                               []string
	breakGlass                                 bool
	given                                      policy.Given
	targets                                    targetFlags
}

func (c *command) policyExplain() *cobra.Command {
	var q asked
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [FILE] --user E-MAIL --target TARGET --profile PROFILE",
		Short: "Say what would be decided, and rule by rule why",
		Long: `explain decides a made-up request and goes through every rule. It asks nobody: the person is on call for the
schedules given with --on-call and no others, and in the Slack user groups given with --group and no others; what is
given with --unknown could not be found out. Groups that are lists of addresses are read from the file. With --break-glass
it says whether the person may break glass: only denying rules and the break_glass section matter then. With --start the
access is to begin later: its hours are those of the start, and who is on call then is not known, whatever --on-call says.

The exit code is 0 whatever the answer is.`,
		Example: `  prodaccess policy explain policy.yaml --user ana@example.com --target orders-prod --target-env production \
      --profile read-only --duration 1h --at 2026-03-02T03:00:00Z --on-call payments`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := c.policyFile(args)
			if err != nil {
				return err
			}
			p, _, err := c.readPolicy(file)
			if err != nil {
				return err
			}
			known, err := c.policyTargets(q.targets)
			if err != nil {
				return err
			}
			request, facts, err := q.read(p, known)
			if err != nil {
				return err
			}
			explanation := p.Explain(request, facts)
			if q.breakGlass {
				explanation = p.ExplainBreakGlass(request, facts)
			}
			if asJSON {
				out := map[string]any{"file": file, "request": request, "explanation": explanation}
				if q.breakGlass {
					out["break_glass"] = true
				}
				return c.printJSON(out)
			}
			c.printExplanation(request, explanation, q.breakGlass)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.user, "user", "", "who asks: an e-mail address")
	flags.StringVar(&q.target, "target", "", "for which database")
	flags.StringVar(&q.environment, "target-env", "", "the target's environment, where no configuration says it")
	flags.StringVar(&q.engine, "target-engine", "", "the target's engine, where no configuration says it")
	flags.StringVar(&q.profile, "profile", "", "for which access")
	flags.StringVar(&q.duration, "duration", "", "for how long (30m, 2h); the rule's default if left out")
	flags.StringVar(&q.ticket, "ticket", "", "the request's ticket")
	flags.StringVar(&q.reason, "reason", "", "the request's reason")
	flags.StringArrayVar(&q.params, "param", nil, "a parameter, NAME=VALUE; may be given several times")
	flags.StringVar(&q.at, "at", "", "when, as 2026-03-02T03:00:00Z; now if left out")
	flags.StringVar(&q.start, "start", "", "when the access is to start, as 2026-03-03T09:00:00Z; at once if left out")
	flags.StringSliceVar(&q.given.OnCall, "on-call", nil, "a schedule the person is on call for")
	flags.StringVar(&q.shiftEnds, "shift-ends", "", "when that shift ends, as 2026-03-02T08:00:00Z; eight hours later if left out")
	flags.StringSliceVar(&q.given.Groups, "group", nil, "a group whose Slack user group the person is in")
	flags.StringSliceVar(&q.given.Unknown, "unknown", nil, "what could not be found out: group:NAME or oncall:SCHEDULE")
	flags.StringArrayVar(&q.used, "used", nil, "automatic approvals the person already had, RULE=COUNT")
	flags.BoolVar(&q.breakGlass, "break-glass", false, "ask whether glass may be broken, instead of filing a request")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	q.targets.add(cmd)
	for _, name := range []string{"user", "target", "profile"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// read makes the request and the facts of what was typed.
func (q asked) read(p *policy.Policy, known []policy.Target) (policy.Request, policy.Facts, error) {
	fail := func(err error) (policy.Request, policy.Facts, error) { return policy.Request{}, policy.Facts{}, err }
	request := policy.Request{
		User:    policy.Person{Email: q.user},
		Target:  policy.Target{Name: q.target, Engine: q.engine, Environment: q.environment},
		Profile: q.profile, Ticket: q.ticket, Reason: q.reason, Params: map[string]string{}, At: time.Now(),
	}
	if !strings.Contains(q.user, "@") {
		return fail(fmt.Errorf("--user %q is not an e-mail address; rules know people by theirs", q.user))
	}
	if err := q.place(p, known); err != nil {
		return fail(err)
	}
	var err error
	if q.duration != "" {
		if request.Duration, err = policy.ParseDuration(q.duration); err != nil {
			return fail(fmt.Errorf("reading --duration: %w", err))
		}
	}
	for flag, into := range map[string]*time.Time{"at": &request.At, "start": &request.StartsAt, "shift-ends": &q.given.ShiftEnds} {
		text := map[string]string{"at": q.at, "start": q.start, "shift-ends": q.shiftEnds}[flag]
		if text == "" {
			continue
		}
		if *into, err = time.Parse(time.RFC3339, text); err != nil {
			return fail(fmt.Errorf("--%s %q is not a time such as 2026-03-02T03:00:00Z", flag, text))
		}
	}
	for _, param := range q.params {
		name, value, ok := strings.Cut(param, "=")
		if !ok {
			return fail(fmt.Errorf("--param %q is not NAME=VALUE", param))
		}
		request.Params[name] = value
	}
	q.given.Used = map[string]int{}
	for _, used := range q.used {
		at := strings.LastIndexByte(used, '=')
		n, err := strconv.Atoi(used[at+1:])
		if at < 1 || err != nil || n < 0 || n > 1000 {
			return fail(fmt.Errorf("--used %q is not RULE=COUNT", used))
		}
		q.given.Used[used[:at]] = n
	}
	request, err = p.Complete(request, known)
	if unsaid, ok := errors.AsType[*policy.NoEnvironment](err); ok {
		return fail(fmt.Errorf("%w, and rules name %s; add --target-env, or --targets-from with a configuration", err, strings.Join(unsaid.Named, ", ")))
	}
	facts, err := p.Facts(q.given, request.At, "the question says so")
	if err != nil {
		return fail(err)
	}
	return request, facts, nil
}

// place checks the names that a typo would turn into a plain "no".
func (q asked) place(p *policy.Policy, known []policy.Target) error {
	names := make([]string, 0, len(known))
	for _, target := range known {
		names = append(names, target.Name)
	}
	if len(known) > 0 && q.environment == "" && !slices.Contains(names, q.target) {
		return fmt.Errorf("no configured target is called %q%s", q.target, nearest(q.target, names))
	}
	if _, ok := p.Profile(q.profile); !ok {
		names = nil
		for _, profile := range p.Profiles() {
			names = append(names, profile.Name)
		}
		return fmt.Errorf("the policy has no profile %q%s", q.profile, nearest(q.profile, names))
	}
	return nil
}

func nearest(word string, among []string) string {
	if near, ok := policy.Nearest(word, among); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	if len(among) == 0 {
		return ""
	}
	return "; there is " + strings.Join(among, ", ")
}

// outcomes are decisions as a manager says them.
var outcomes = map[policy.Outcome]string{
	policy.Approved: "APPROVED AT ONCE", policy.NeedsApproval: "NEEDS APPROVAL", policy.Denied: "DENIED",
}

func (c *command) printExplanation(r policy.Request, e policy.Explanation, breakGlass bool) {
	wish := fmt.Sprintf("%s asks for %s on %s", r.User.Email, r.Profile, r.Target.Name)
	if breakGlass {
		wish = fmt.Sprintf("%s breaks glass for %s on %s", r.User.Email, r.Profile, r.Target.Name)
	}
	if r.Duration > 0 {
		wish += " for " + policy.FormatDuration(r.Duration)
	}
	if !r.StartsAt.IsZero() {
		wish += ", to start " + r.StartsAt.Format("Monday 2006-01-02 15:04 MST")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		wish += fmt.Sprintf(", %s=%s", name, r.Params[name])
	}
	where := r.Target.Engine
	if r.Target.Environment != "" {
		where += ", " + r.Target.Environment
	}
	say(c.out, "%s\n(%s; %s)\n", wish, where, r.At.Format("Monday 2006-01-02 15:04 MST"))
	d := e.Decision
	say(c.out, "%s\n  %s", outcomes[d.Outcome], d.Why)
	if d.Outcome != policy.Denied {
		say(c.out, "  For %s; at most %s may be asked for.", policy.FormatDuration(d.Duration), policy.FormatDuration(d.MaxDuration))
	}
	if d.Shift != nil {
		say(c.out, "  It ends with the shift for %s, %s at the latest.", d.Shift.Schedule, d.Shift.End.UTC().Format("2006-01-02 15:04 MST"))
	}
	for _, line := range follows(d) {
		say(c.out, "  %s", line)
	}
	if d.Advice != "" {
		say(c.out, "  Advice: %s", d.Advice)
	}
	for _, unknown := range d.Unknowns {
		say(c.out, "  Not known: %s", unknown)
	}
	say(c.out, "\nRule by rule:")
	for _, rule := range e.Rules {
		verdict := map[string]string{"yes": "matches", "no": "does not match", "unknown": "might match"}[rule.Matches]
		if rule.Decides {
			verdict += ", and decides"
		}
		say(c.out, "\n  %s %s  [line %d: %s]\n      %s", mark(rule.Matches), rule.Rule, rule.Line, rule.Says, verdict)
		for _, condition := range rule.Conditions {
			say(c.out, "      %s %-8s  %s", mark(condition.Holds), condition.Key, condition.Why)
		}
	}
	c.printWould(e)
}

func mark(holds string) string {
	return map[string]string{"yes": "+", "no": "-"}[holds] + map[string]string{"unknown": "?"}[holds]
}

// printWould lists the allowing rules that only one thing keeps from matching: what somebody could ask for instead.
// Those after the rule that decides are never asked.
func (c *command) printWould(e policy.Explanation) {
	var near []string
	for _, rule := range e.Rules {
		if rule.Decides && !rule.Denies {
			break
		}
		var missing []string
		elsewhere := false // for another database or access it would be another wish
		for _, condition := range rule.Conditions {
			// A budget that cannot be counted follows from a person who does not match.
			if condition.Holds != "yes" && (condition.Key != "budget" || condition.Holds == "no" || len(missing) == 0) {
				missing = append(missing, condition.Why)
				elsewhere = elsewhere || condition.Key == "profiles" || condition.Key == "targets"
			}
		}
		if len(missing) == 1 && !rule.Denies && !elsewhere {
			near = append(near, fmt.Sprintf("  %s (%s): %s", rule.Rule, rule.Says, missing[0]))
		}
	}
	if len(near) > 0 {
		say(c.out, "\nOne thing keeps each of these from deciding:\n%s", strings.Join(near, "\n"))
	}
}
