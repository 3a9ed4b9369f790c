package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/bot"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

// examineWithin bounds one part of an examination, so that what does not answer is said and not waited for.
const examineWithin = 20 * time.Second

// Diagnosis is one thing `prodaccess doctor` looked at.
type Diagnosis struct {
	// Part is what it is about: "policy", "store", "slack", "pagerduty", "target orders-prod".
	Part string `json:"part"`
	// What is a plain statement, true unless Wrong says otherwise; a warning is true and should not stay so.
	What    string `json:"what"`
	Wrong   string `json:"wrong,omitempty"`
	Warning bool   `json:"warning,omitempty"`
	// Mend says what puts it right.
	Mend string `json:"mend,omitempty"`
}

// Doctor examines everything prodaccess needs, part by part, and tells each thing as it is known. Targets names those to
// look at; nil looks at all. Rehearse makes a throw-away login on each and takes it back.
type Doctor struct {
	Config   config.Config
	Targets  []string
	Rehearse bool
	Tell     func(Diagnosis)
}

// Examine looks at everything; nothing that is wrong with one part keeps it from the others.
func (d Doctor) Examine(ctx context.Context) {
	p := d.policy()
	d.within(ctx, d.store)
	d.within(ctx, func(ctx context.Context) { d.slack(ctx, p) })
	d.within(ctx, func(ctx context.Context) { d.pagerDuty(ctx, p) })
	for _, t := range d.Config.Targets {
		if d.looksAt(t) {
			d.within(ctx, func(ctx context.Context) { d.target(ctx, t, p) })
		}
	}
	d.within(ctx, d.twins)
}

func (d Doctor) within(ctx context.Context, part func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	part(ctx)
}

// found tells what a check came to.
func (d Doctor) found(part, what string, err error, mend string) bool {
	out := Diagnosis{Part: part, What: what}
	if err != nil {
		out.Wrong, out.Mend = err.Error(), mend
		if f, ok := errors.AsType[*grants.Failure](err); ok {
			out.Wrong = f.Err.Error()
			if f.Mend != "" {
				out.Mend = f.Mend
			}
		}
	}
	d.Tell(out)
	return err == nil
}

func (d Doctor) policy() *policy.Policy {
	source, err := os.ReadFile(d.Config.Policy.File)
	if err != nil {
		d.found("policy", "the policy can be read", err, "policy.file in the configuration")
		return nil
	}
	p, warnings, err := policy.Load(source, d.Config.Policy.File)
	if !d.found("policy", "the policy loads", err, "prodaccess policy check") {
		return nil
	}
	for _, w := range append(warnings, p.CheckTargets(policyTargets(d.Config))...) {
		d.Tell(Diagnosis{Part: "policy", What: w.String(), Warning: true})
	}
	return p
}

func policyTargets(cfg config.Config) []policy.Target {
	var out []policy.Target
	for _, t := range cfg.Targets {
		out = append(out, policy.Target{Name: t.Name, Engine: t.Engine, Environment: t.Environment})
	}
	return out
}

func (d Doctor) store(ctx context.Context) {
	st, err := store.Open(ctx, store.Config{URL: d.Config.Store.URL, Now: time.Now, Log: zerolog.Nop(), MaxConns: 2})
	if !d.found("store", "the store answers", err, "store.url in the configuration, and whether the server runs") {
		return
	}
	defer st.Close()
	schema := st.CheckSchema(ctx)
	if errors.Is(schema, store.ErrSchemaNew) {
		d.Tell(Diagnosis{Part: "store", What: schema.Error(), Warning: true})
		schema = nil
	}
	if d.found("store", "its schema is this binary's", schema, "prodaccess migrate up") {
		d.found("store", "the service's login may do what it must and cannot rewrite the audit log", st.CheckPrivileges(ctx), "prodaccess migrate up, with the owner's login")
	}
}

func (d Doctor) slack(ctx context.Context, p *policy.Policy) {
	slack, err := bot.NewSlack(bot.Credentials{
		BotToken: d.Config.Slack.BotToken, AppToken: d.Config.Slack.AppToken, SigningSecret: d.Config.Slack.SigningSecret, APIURL: d.Config.Slack.APIURL,
	})
	if err != nil {
		d.found("slack", "the configuration of Slack can be used", err, "")
		return
	}
	defer slack.Close()
	var groups []string
	if p != nil {
		groups = p.Usergroups()
	}
	for _, e := range slack.Examine(ctx, d.Config.Slack.Mode == config.ModeSocket, map[string]string{
		"approvals_channel": d.Config.Slack.ApprovalsChannel, "audit_channel": d.Config.Slack.AuditChannel, "security_channel": d.Config.Slack.SecurityChannel,
	}, groups) {
		d.Tell(Diagnosis{Part: "slack", What: e.What, Wrong: e.Wrong, Mend: e.Mend})
	}
}

func (d Doctor) pagerDuty(ctx context.Context, p *policy.Policy) {
	if p != nil {
		if deaf := DeafPager(d.Config, p); deaf != "" {
			d.Tell(Diagnosis{Part: "pagerduty", What: deaf, Warning: true, Mend: "pagerduty.routing_key in the configuration"})
		}
	}
	if p == nil || len(p.Schedules()) == 0 {
		return
	}
	if d.Config.PagerDuty.Token.Empty() {
		d.Tell(Diagnosis{
			Part: "pagerduty", What: "the policy names schedules and no PagerDuty token is configured: nobody counts as on call, people are asked", Warning: true,
			Mend: "pagerduty.token in the configuration",
		})
		return
	}
	people, err := newRoster(d.Config, time.Now)
	if err != nil {
		d.found("pagerduty", "the configuration of PagerDuty can be used", err, "")
		return
	}
	for _, schedule := range p.Schedules() {
		// Whose address it is does not matter: an answer is wanted, not a person.
		standing := people.Standing(ctx, schedule, "doctor@prodaccess.invalid")
		var err error
		if standing.Unknown != "" {
			err = errors.New(standing.Unknown)
		}
		d.found("pagerduty", fmt.Sprintf("PagerDuty says who is on call for %s (%s)", schedule.Name, schedule.PagerDuty), err,
			"pagerduty.token (a read-only REST API key will do) and the schedule's ID in the policy; where nothing answers, the way to pagerduty.api_url")
	}
}

func (d Doctor) target(ctx context.Context, t config.Target, p *policy.Policy) {
	part := "target " + t.Name
	var profiles []grants.Profile
	if p != nil {
		profiles = Profiles(p, t.Engine)
	}
	preparer, err := OpenPreparer(ctx, d.Config, t.Name, secret.String{})
	if !d.found(part, "its configuration can be used", err, "") {
		return
	}
	differs, err := preparer.Check(ctx, profiles)
	preparer.Close()
	if !d.found(part, "its catalogs can be read", err, "admin_url in the target's configuration, and whether the server runs and this machine reaches it") {
		return
	}
	if p == nil {
		// Compared with no policy, every access role is one too many, and what mends that is dropping it.
		d.Tell(Diagnosis{Part: part, What: "it was not compared with the policy, which does not load", Warning: true, Mend: "mend the policy first"})
		return
	}
	for _, f := range differs {
		if f.Advice {
			d.Tell(Diagnosis{Part: part, What: in(f.Database) + f.What, Mend: f.Mend, Warning: true})
			continue
		}
		d.Tell(Diagnosis{Part: part, What: "prepared for the policy's profiles", Wrong: in(f.Database) + f.What, Mend: f.Mend, Warning: f.Advice})
	}
	// A throw-away login has no request to take values from.
	profiles = slices.DeleteFunc(profiles, func(p grants.Profile) bool { return len(p.Parameters) > 0 })
	if len(profiles) == 0 || !d.Rehearse {
		return
	}
	driver, err := openDriver(d.Config, t.Name, grants.DoctorInstallation)
	if err != nil {
		d.found(part, "its configuration can be used", err, "")
		return
	}
	defer driver.Close()
	rehearser, ok := driver.(grants.Rehearser)
	if !ok {
		d.Tell(Diagnosis{Part: part, What: "its driver cannot rehearse, so issuing and revoking were not tried", Warning: true})
		return
	}
	played := rehearser.Rehearse(ctx, grants.AccessRole(profiles[0].Name))
	if played.Server != "" {
		part += " (" + played.Server + ")"
	}
	for _, s := range played.Steps {
		d.found(part, fmt.Sprintf("%s, in %d ms", s.What, max(1, s.Took.Milliseconds())), s.Err, "")
	}
	for _, w := range played.Warnings {
		d.Tell(Diagnosis{Part: part, What: w.What, Mend: w.Mend, Warning: true})
	}
}

// openDriver makes the driver of one target under another installation's name.
func openDriver(cfg config.Config, target, installation string) (grants.Driver, error) {
	cfg.Targets = slices.Clone(cfg.Targets)
	cfg.Targets = slices.DeleteFunc(cfg.Targets, func(t config.Target) bool { return t.Name != target })
	drivers, err := OpenDrivers(cfg, installation)
	if err != nil {
		return nil, err
	}
	return drivers[target], nil
}

func in(database string) string {
	if database == "" {
		return ""
	}
	return "in database " + database + ": "
}
