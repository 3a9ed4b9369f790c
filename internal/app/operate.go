package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/store"
)

// Operator is whoever runs a command on this machine, as the audit log names them: by the account, or the number of it where
// the machine has no name for that.
func Operator() audit.Actor {
	// Not user.Current, which believes $USER where there is no account, as in a container.
	uid := strconv.Itoa(os.Getuid())
	by := audit.Actor{Kind: "operator", ID: "uid:" + uid}
	if u, err := user.LookupId(uid); err == nil && u.Username != "" {
		by.ID, by.Name = u.Username, u.Username
	}
	return by
}

// OpenGrants makes the grant service for one command beside a running prodaccess. Nothing of it runs by itself. close
// waits for what the command began, and seals what it recorded: perhaps nothing else runs that would.
func OpenGrants(ctx context.Context, cfg config.Config) (_ *grants.Service, closeAll func(), err error) {
	st, err := store.Open(ctx, store.Config{URL: cfg.Store.URL, Log: zerolog.Nop(), MaxConns: 2})
	if err != nil {
		return nil, nil, err
	}
	if err := st.CheckSchema(ctx); errors.Is(err, store.ErrSchemaEmpty) {
		st.Close()
		return nil, nil, err
	}
	installation, err := st.Installation(ctx)
	if err != nil {
		st.Close()
		return nil, nil, err
	}
	drivers, err := OpenDrivers(cfg, installation)
	if err != nil {
		st.Close()
		return nil, nil, err
	}
	service, err := grants.New(grants.Config{
		Store: st, Targets: Targets(cfg), Drivers: drivers, Installation: installation, Now: time.Now, Log: zerolog.Nop(),
		ConnectionLimit: cfg.Grants.ConnectionLimit, Grace: cfg.Grants.Grace, OverdueAfter: cfg.Alarm.After, Parallel: revocationsAtOnce,
	})
	if err != nil {
		closeDrivers(drivers)
		st.Close()
		return nil, nil, fmt.Errorf("making the grant service: %w", err)
	}
	return service, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = service.Close(ctx)
		closeDrivers(drivers)
		// Time of its own: a command that was slow is no less recorded. Where it fails, the next replica seals.
		sealing, done := context.WithTimeout(context.Background(), 2*time.Second)
		defer done()
		_ = st.SealAll(sealing)
		st.Close()
	}, nil
}
