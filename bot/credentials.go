package bot

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// getCredentials answers the press that starts the clock. The intent is committed before the acknowledgement; the window opens
// and the login is made at the same time after it, because the trigger lives three seconds and the login takes as long as it takes.
func (b *Bot) getCredentials(ctx context.Context, cb slack.InteractionCallback, press approvals.Press) answer {
	c, err := b.service.Activate(ctx, press)
	if refusal, ok := refusalOf(err); ok {
		switch refusal.Code {
		case approvals.InProgress:
			return answer{request: press.Request, outcome: "in progress"}
		case approvals.AlreadyIssued:
			return b.opening(cb, press, func(context.Context) (slack.ModalViewRequest, error) {
				return againView(press.Request, mrkdwn(refusal.Words, 1000)), nil
			})
		}
	}
	if err != nil {
		return b.refused(cb, press.Request, err)
	}
	if c.Grant == nil {
		return b.refused(cb, press.Request, errNoGrant)
	}
	grant := c.Grant.ID
	return answer{request: press.Request, outcome: "activated", acted: true, after: func(ctx context.Context) { b.hand(ctx, cb, press.Request, grant) }}
}

// hand makes the login and shows it in a window.
func (b *Bot) hand(ctx context.Context, cb slack.InteractionCallback, request, grant string) {
	type issued struct {
		cred grants.Credential
		err  error
	}
	made := make(chan issued, 1)
	b.work.Go(func() {
		cred, err := b.issue(ctx, grant)
		made <- issued{cred, err}
	})
	opened, openErr := b.slack.api.OpenViewContext(ctx, cb.TriggerID, makingView())
	result := <-made
	log := b.log.With().Str("who", cb.User.ID).Str("request", request).Str("grant", grant).Logger()
	switch {
	case openErr != nil && result.err != nil:
		text, outcome := b.words(result.err)
		log.Warn().Err(safe(openErr)).Str("outcome", outcome).Msg("credential not shown")
		b.tellPresser(ctx, cb, text)
	case openErr != nil:
		log.Warn().Err(safe(openErr)).Msg("credential not shown: the window did not open")
		text := "The window did not open, so nothing was shown and the login is being taken back. Press *Get credentials* again in a moment."
		if err := b.service.Abandon(ctx, grant, "the window could not be opened: "+safe(openErr).Error()); err != nil {
			text, _ = b.words(err)
		}
		b.tellPresser(ctx, cb, text)
	case result.err != nil:
		text, outcome := b.words(result.err)
		log.Warn().Str("outcome", outcome).Msg("credential not shown")
		if err := b.fill(ctx, opened.ID, saying("No login was made",
			text+"\nNothing was shown, and whatever was made is being taken back. Press *Get credentials* again when the request says that it is approved.")); err != nil {
			b.tellPresser(ctx, cb, text)
		}
	default:
		b.show(ctx, cb, opened.ID, "", request, result.cred)
	}
}

// issue makes a login; a panic in making it is an error like any other.
func (b *Bot) issue(ctx context.Context, grant string) (cred grants.Credential, err error) {
	err = errPanicked
	func() {
		defer b.survive("making a login")
		cred, err = b.service.Issue(ctx, grant)
	}()
	return cred, err
}

// show fills a window with a credential and records it. A window somebody closed meanwhile shows nothing; the login stays, and
// pressing again makes a new password.
func (b *Bot) show(ctx context.Context, cb slack.InteractionCallback, viewID, name, request string, cred grants.Credential) {
	log := b.log.With().Str("who", cb.User.ID).Str("request", request).Str("grant", cred.Grant).Logger()
	if err := b.fillNamed(ctx, viewID, name, credentialView(cred, b.profile(cred), b.command, b.now())); err != nil {
		log.Warn().Err(err).Msg("credential not shown: the window did not take it")
		b.tellPresser(ctx, cb, "The login exists, but the window closed before it could be shown. Press *Get credentials* again for a new password.")
		return
	}
	if err := b.service.Shown(ctx, cred.Grant); err != nil {
		_, outcome := b.words(err)
		log.Warn().Str("outcome", outcome).Msg("showing was not recorded")
		return
	}
	log.Info().Msg("credential shown")
}

// fill replaces what a window shows. The same view may be sent twice, so a doubtful try is repeated. The error holds nothing
// of the view.
func (b *Bot) fill(ctx context.Context, viewID string, view slack.ModalViewRequest) error {
	return b.fillNamed(ctx, viewID, "", view)
}

// fillNamed is fill for a window that may be known by a name of ours before it is there: while name is not found, it is waited for.
func (b *Bot) fillNamed(ctx context.Context, viewID, name string, view slack.ModalViewRequest) error {
	var err error
	for pause := 200 * time.Millisecond; ; pause *= 2 {
		view.ExternalID = name // so that a repeated try finds it again
		id := viewID
		if name != "" {
			id = ""
		}
		if _, err = b.slack.api.UpdateViewContext(ctx, view, name, "", id); err == nil {
			return nil
		}
		err = safe(err)
		problem := err.(*failure)
		const longestPause = 2 * time.Second
		wait := max(pause, problem.after)
		if name != "" && problem.code == "not_found" {
			if pause > longestPause {
				name = "" // Slack did not keep the name; the acknowledgement is long done
			}
			problem.code = "ratelimited"
		}
		if pause > 2*longestPause || wait > 10*time.Second || (problem.code != "" && problem.code != "ratelimited" && !passing[problem.code]) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

func (b *Bot) profile(cred grants.Credential) policy.Profile {
	for _, p := range b.service.Profiles(cred.Target) {
		if p.Name == cred.Profile {
			return p
		}
	}
	return policy.Profile{}
}

// showAgain answers "New password": the window says that it is being made, and then shows it. The acknowledgement carries a name for
// the window, and the credential is sent to that name: sent to the window's id it might arrive before the acknowledgement,
// which would then wipe it out.
func (b *Bot) showAgain(cb slack.InteractionCallback, press approvals.Press) answer {
	making := makingView()
	making.ExternalID = "again-" + firstOf(cb.View.ID, rand.Text()) // the same where two replicas get it: one of them fills it
	return answer{
		payload: slack.NewUpdateViewSubmissionResponse(&making),
		request: press.Request, outcome: "new password",
		after: func(ctx context.Context) {
			cred, err := b.service.ShowAgain(ctx, press)
			if refusal, ok := refusalOf(err); ok && refusal.Code == approvals.InProgress {
				return // the same window, sent twice: the first is being answered
			}
			if err != nil {
				text, outcome := b.words(err)
				b.log.Info().Str("who", press.By).Str("request", press.Request).Str("outcome", outcome).Msg("no new password")
				if err := b.fillNamed(ctx, cb.View.ID, making.ExternalID, saying("No new password", text)); err != nil {
					b.tellPresser(ctx, cb, text)
				}
				return
			}
			b.show(ctx, cb, cb.View.ID, making.ExternalID, press.Request, cred)
		},
	}
}
