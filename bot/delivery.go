package bot

import (
	"crypto/rand"

	"github.com/slack-go/slack"
)

// What Slack sends again, over HTTP or on another connection, is the same to the letter, in a new envelope and with a new signature: its
// trigger is the same, and so is the window that was sent. These are the names by which the service knows that it has done
// something already.

func commandDelivery(cmd slack.SlashCommand) string { return delivery("command", cmd.TriggerID) }

func pressDelivery(cb slack.InteractionCallback) string { return delivery("press", cb.TriggerID) }

// windowDelivery is the same for a window that is sent twice by its reader: it asks for one thing.
func windowDelivery(cb slack.InteractionCallback) string { return delivery("view", cb.View.ID) }

// delivery names what Slack told of. Without a name each is its own: nothing must be taken for another one that came before.
func delivery(kind, id string) string { return kind + ":" + firstOf(id, rand.Text()) }
