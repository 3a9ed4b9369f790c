package mysql

import (
	"context"
	"time"
)

// killer ends sessions on one server, on MariaDB one after the other.
//
// All sessions of MariaDB's that are in SLEEP() wait on one mutex. KILL keeps the session's own mutex while it tries to get
// that one, for up to two seconds, and wakes the session whether it got it or not; the session wakes with the one and waits
// for the other. Until KILL gives up, everybody else who sleeps can neither be killed nor end, and whoever looks for
// sessions waits behind them. It takes two KILLs that meet, or one KILL USER of several sessions: of a hundred sleepers that
// were killed by eight connections, now and then all lived on for a quarter of a minute, and kept every connection that locks
// logins out. So one is killed at a time, and has left its sleep before the next one is.
type killer struct{ turn chan struct{} }

func newKiller() *killer { return &killer{turn: make(chan struct{}, 1)} }

const (
	// wakingPatience is how long the next one waits for a session that was killed to wake up.
	wakingPatience = 20 * time.Millisecond
	// killAgain is how long it takes until a session that was killed and is still there is killed once more. The server says
	// that a KILL can be missed.
	killAgain = 500 * time.Millisecond
)

// all ends the sessions of a name, and adds them to killed as it goes.
func (k *killer) all(ctx context.Context, on runner, f flavour, name string, killed *int) error {
	rows, err := send(ctx, on, "SELECT p.ID, "+unseen+" FROM prodaccess.cluster c LEFT JOIN information_schema.PROCESSLIST p"+
		" ON p.USER = "+literal(name)+" AND p.COMMAND <> 'Killed' WHERE c.one = 1")
	if f == mariadb && number(err) == errSpecificDenied { // whoever may not see them may end them
		n, err := change(ctx, on, "KILL HARD USER "+literal(name))
		*killed += int(n)
		return err
	}
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row[0] == "" {
			continue
		}
		switch err := k.kill(ctx, on, f, row[0]); {
		case err == nil:
			*killed++
		case number(err) != errUnknownThread:
			return err
		}
	}
	return nil
}

// kill ends one session.
func (k *killer) kill(ctx context.Context, on runner, f flavour, id string) error {
	if f != mariadb {
		_, err := change(ctx, on, "KILL "+id)
		return err
	}
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.turn }()
	if _, err := change(ctx, on, "KILL HARD CONNECTION "+id); err != nil {
		return err
	}
	begun := time.Now() // measures how long it takes; nothing of it is stored
	for pause := time.Millisecond; time.Since(begun) < wakingPatience; pause *= 2 {
		rows, err := send(ctx, on, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = "+id+" AND STATE = 'User sleep'")
		if err != nil || len(rows) == 1 && rows[0][0] == "0" {
			break // whether they are gone is somebody else's question
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
