package postgres

import "testing"

// A new password is proven by a session as its holder. It is over when Rotate returns: it takes none of the holder's
// connections, and no revocation counts it.
func TestTheProofOfAPasswordLeavesNoSession(t *testing.T) {
	t.Parallel()
	onTwo(t, func(t *testing.T, c *cluster) {
		d := c.open(t, nil)
		o := d.testOrder(t, readOnly)
		oid := c.oid(t, o.Login)
		for range 20 {
			if err := d.Rotate(t.Context(), loginOf(o), o.Password); err != nil {
				t.Fatal(err)
			}
			if n := c.sessions(t, oid); n != 0 {
				t.Fatalf("%d sessions are left of the proof", n)
			}
		}
	})
}
