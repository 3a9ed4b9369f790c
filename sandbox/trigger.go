package sandbox

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// triggerLife is how long a trigger_id may be exchanged for a view, where an app is not given longer to answer.
const triggerLife = 3 * time.Second

type trigger struct {
	user  string
	made  time.Time
	spent bool
	from  *view // the view the press happened in, if it did in one
}

var triggerForm = regexp.MustCompile(`^\d+\.\d+\.[0-9a-z]+$`)

// newTrigger makes a trigger_id for what a person just did. The caller holds ws.mu.
func (ws *Workspace) newTrigger(user string, from *view) string {
	ws.serial++
	id := fmt.Sprintf("%d.%d.%s", 1000000+ws.serial, 2000000, strings.ToLower(rand.Text()))
	ws.triggers[id] = &trigger{user: user, made: ws.opts.Now(), from: from}
	return id
}

// exchange spends a trigger_id.
func (ws *Workspace) exchange(id string) (*trigger, *apiError) {
	t := ws.triggers[id]
	switch {
	case !triggerForm.MatchString(id), t == nil:
		return nil, refuse("invalid_trigger_id")
	case t.spent:
		return nil, refuse("exchanged_trigger_id")
	case ws.opts.Now().Sub(t.made) > max(triggerLife, ws.opts.AckWithin):
		return nil, refuse("expired_trigger_id")
	}
	t.spent = true
	return t, nil
}
