package app

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/store"
)

const (
	// surveyEvery is how often the standing logins of every target are listed. Sessions are seen only while they last, so
	// this is also how exact "last seen" is.
	surveyEvery = 10 * time.Minute
	// surveyWithin bounds one target, so that a dead one delays no other.
	surveyWithin = 20 * time.Second
	// surveysAtOnce bounds how many targets are asked at the same time.
	surveysAtOnce = 8
)

// survey begins to list every target's standing logins and to remember them. A target that does not answer keeps what is known
// of it.
func (a *App) survey() {
	for _, t := range a.cfg.Targets {
		surveyor, ok := a.drivers[t.Name].(grants.Surveyor)
		if !ok {
			continue
		}
		a.aside.begin("survey "+t.Name, func(ctx context.Context) {
			select {
			case a.surveying <- struct{}{}:
				defer func() { <-a.surveying }()
			case <-ctx.Done():
				return
			}
			if err := a.surveyTarget(ctx, t.Name, surveyor); err != nil && ctx.Err() == nil {
				a.log.Warn().Err(err).Msg("survey failed; the next one comes by the clock")
			}
		})
	}
}

func (a *App) surveyTarget(ctx context.Context, target string, surveyor grants.Surveyor) error {
	at := a.now()
	asked, cancel := context.WithTimeout(ctx, surveyWithin)
	defer cancel()
	found, err := surveyor.Standing(asked)
	if err != nil {
		return fmt.Errorf("surveying %s: %w", target, err)
	}
	return a.store.KeepStanding(ctx, target, found, at)
}

// Inventory lists one target's standing logins, with what the store remembers of them; remembered is nil when the store
// does not answer, and why says so then.
func Inventory(ctx context.Context, cfg config.Config, target string) (found []grants.Standing, remembered map[string]store.Known, why, err error) {
	driver, err := openDriver(cfg, target, installationOf(ctx, cfg, grants.DoctorInstallation))
	if err != nil {
		return nil, nil, nil, err
	}
	defer driver.Close()
	surveyor, ok := driver.(grants.Surveyor)
	if !ok {
		return nil, nil, nil, fmt.Errorf("the driver of %s cannot list standing logins", target)
	}
	if found, err = surveyor.Standing(ctx); err != nil {
		return nil, nil, nil, err
	}
	st, err := store.Open(ctx, store.Config{URL: cfg.Store.URL, Now: time.Now, Log: zerolog.Nop(), MaxConns: 1})
	if err != nil {
		return found, nil, err, nil
	}
	defer st.Close()
	remembered, why = st.StandingOf(ctx, target)
	return found, remembered, why, nil
}
