package mysql

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// A copy has the original's fingerprint; that it is another server shows in nothing that is copied.
func TestAServerIsToldFromItsCopies(t *testing.T) { onEach(t, aServerIsToldFromItsCopies) }

func aServerIsToldFromItsCopies(t *testing.T, on flavour) {
	c := shared(t, on)
	one, other := c.open(t, nil), c.open(t, nil)
	first, err := one.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 15 { // across the turn of a second, or two
		again, err := other.Instance(t.Context())
		if err != nil || again != first {
			t.Fatalf("%q is the server that was %q: %v", again, first, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if apart, known := grants.Apart(t.Context(), one, other); apart || !known {
		t.Errorf("one server under two names: apart %v, known %v", apart, known)
	}
	elsewhere := shared(t, map[flavour]flavour{mariadb: mysql, mysql: mariadb}[on]).open(t, nil)
	if apart, known := grants.Apart(t.Context(), one, elsewhere); !apart || !known {
		t.Errorf("two servers: apart %v, known %v", apart, known)
	}
}
