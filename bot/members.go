package bot

import (
	"context"

	"github.com/prodaccess/prodaccess/approvals"
)

// Bots, guests, people of other workspaces in shared channels, and others who may neither ask nor answer can type the command
// nevertheless. They are told so, in the words that the form, the Home tab and the buttons have for them, and nothing of what there
// is: no database, no access, nobody's request. What they attempt goes to the service, which refuses it and keeps that.

// forMembers gives an answer that speaks of what there is to somebody who may see it.
func (b *Bot) forMembers(ctx context.Context, who string, a answer) answer {
	if err := b.service.Known(ctx, who); err != nil {
		return b.failed(err, "")
	}
	return a
}

// eligible says whether somebody may ask and answer, as far as it is known: while Slack does not say who they are, they may see
// what is their own.
func eligible(err error) (may, known bool) {
	if refusal, ok := refusalOf(err); ok && refusal.Code == approvals.NotEligible {
		return false, true
	}
	return true, err == nil
}

// helped answers with help: with names of here for those who may see them.
func (b *Bot) helped(ctx context.Context, who string) answer {
	err := b.service.Known(ctx, who)
	switch may, known := eligible(err); {
	case !may:
		return b.failed(err, "")
	case known:
		return tell(b.help(b.example()), "", "helped")
	}
	return tell(b.help(lineShape), "", "helped")
}
