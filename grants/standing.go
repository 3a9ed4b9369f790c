package grants

import (
	"context"
	"time"
)

// Power is how much a standing login can do, from a closed list, the most first. The values are stored.
type Power string

// The powers.
const (
	// Superuser: everything, our own record of it included.
	Superuser Power = "superuser"
	// Administrator: makes logins and roles, so it can give itself what it lacks. prodaccess's own is one.
	Administrator Power = "administrator"
	// Owner: owns tables, or is a member of who does, so that no privilege and no row policy binds it.
	Owner Power = "owner"
	// Writer and Reader: what privileges on tables say.
	Writer Power = "writer"
	Reader Power = "reader"
)

// Powers lists all of them, the most first.
var Powers = []Power{Superuser, Administrator, Owner, Writer, Reader}

// Standing is a login that can reach data on a target and that no grant explains: a person's, an application's, or one
// that everybody forgot.
type Standing struct {
	Login string
	Power Power
	// Why says what makes it so, each a clause: "owns tables in orders.public", "is a member of app_owner".
	Why []string
	// Sessions it has open now.
	Sessions int
	// ValidUntil is when the server stops accepting its password; zero when it never does.
	ValidUntil time.Time
}

// Surveyor is a driver that can list standing access. It changes nothing.
type Surveyor interface {
	Standing(ctx context.Context) ([]Standing, error)
}
