package sandbox

import (
	"time"

	"golang.org/x/time/rate"
)

type limiter = rate.Limiter

// postBurst is how many messages a channel takes at once before one a second is enforced. Slack promises only that
// "short bursts" pass.
const postBurst = 5

// spend counts one call against its limit. Calls of a tier may come all at once, up to a minute's worth.
func (ws *Workspace) spend(name string, m method, a args) *apiError {
	if ws.opts.NoRateLimits || m.tier == 0 {
		return nil
	}
	key, perSecond, burst := name, rate.Limit(float64(m.tier)/60), m.tier
	if m.tier == specialPost {
		to := a.str("channel")
		if c := ws.channelNamed(to); c != nil {
			to = c.id // a channel has one limit under all its names
		} else if p := ws.personByID(to); p != nil {
			to = ws.directWith(p.id).id
		}
		key, perSecond, burst = name+" "+to, 1, postBurst
	}
	l := ws.limits[key]
	if l == nil {
		l = rate.NewLimiter(perSecond, burst)
		ws.limits[key] = l
	}
	now := ws.opts.Now()
	if l.AllowN(now, 1) {
		return nil
	}
	lacking := 1 - l.TokensAt(now)
	return &apiError{code: "ratelimited", retryAfter: time.Duration(lacking / float64(perSecond) * float64(time.Second))}
}
