package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// BenchmarkIssue and BenchmarkRawCreateRoleAndGrant belong together: the second is the server's own limit on this
// machine, with the verifier computed beforehand.
func BenchmarkIssue(b *testing.B) {
	for _, parallel := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(parallel), func(b *testing.B) {
			c := clusterOf(b, 15)
			d := c.open(b, func(cfg *Config) { cfg.MaxConns = 16 })
			orders := newOrders(b, d, b.N)
			b.ResetTimer()
			inParallel(b, parallel, func(i int) error {
				_, err := d.Issue(context.Background(), orders[i])
				return err
			})
			b.StopTimer()
			inParallel(b, 4, func(i int) error { return revoke(d, orders[i]) })
		})
	}
}

func BenchmarkRawCreateRoleAndGrant(b *testing.B) {
	for _, parallel := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(parallel), func(b *testing.B) {
			c := clusterOf(b, 15)
			d := c.open(b, nil)
			orders := newOrders(b, d, b.N)
			pool := rawPool(b, c, parallel)
			v, err := verifier(secret.New("x"))
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			inParallel(b, parallel, func(i int) error {
				o := orders[i]
				_, err := send(context.Background(), pool, "BEGIN",
					"CREATE ROLE "+ident(o.Login)+" LOGIN PASSWORD "+literal(v.Reveal()),
					"GRANT "+ident(o.AccessRole)+" TO "+ident(o.Login), "COMMIT")
				return err
			})
			b.StopTimer()
			for _, o := range orders {
				if _, err := send(context.Background(), pool, "DROP ROLE "+ident(o.Login)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRevoke is Secure and Clean of a login with an open session: locked, killed, dropped, proven. lock-ms is the
// median of Secure alone.
func BenchmarkRevoke(b *testing.B) {
	for _, sessions := range []int{0, 1} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			c := clusterOf(b, 15)
			d := c.open(b, nil)
			var secures []time.Duration
			for b.Loop() {
				b.StopTimer()
				o := newOrders(b, d, 1)[0]
				if _, err := d.Issue(context.Background(), o); err != nil {
					b.Fatal(err)
				}
				for range sessions {
					s, err := fixture{c}.Login(context.Background(), o.Login, o.Password)
					if err != nil {
						b.Fatal(err)
					}
					defer s.Close()
				}
				b.StartTimer()
				start := time.Now()
				if _, err := d.Secure(context.Background(), loginOf(o)); err != nil {
					b.Fatal(err)
				}
				secures = append(secures, time.Since(start))
				if _, err := d.Clean(context.Background(), loginOf(o)); err != nil {
					b.Fatal(err)
				}
			}
			slices.Sort(secures)
			b.ReportMetric(float64(secures[len(secures)/2].Microseconds())/1000, "lock-ms")
		})
	}
}

// BenchmarkRawDropRole is what BenchmarkRevoke is compared with.
func BenchmarkRawDropRole(b *testing.B) {
	c := clusterOf(b, 15)
	d := c.open(b, nil)
	pool := rawPool(b, c, 1)
	for b.Loop() {
		b.StopTimer()
		o := newOrders(b, d, 1)[0]
		if _, err := d.Issue(context.Background(), o); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := send(context.Background(), pool, "BEGIN", "ALTER ROLE "+ident(o.Login)+" NOLOGIN",
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = "+literal(o.Login),
			"DROP ROLE "+ident(o.Login), "COMMIT"); err != nil {
			b.Fatal(err)
		}
	}
}

func rawPool(b *testing.B, c *cluster, most int) *pgxpool.Pool {
	b.Helper()
	cfg, err := pgxpool.ParseConfig(c.admin.Reveal())
	if err != nil {
		b.Fatal(err)
	}
	cfg.MaxConns = int32(most)
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

func newOrders(b *testing.B, d *Driver, n int) []grants.Order {
	b.Helper()
	orders := make([]grants.Order, n)
	for i := range orders {
		orders[i] = d.newOrder(b, readOnly)
		orders[i].NotAfter = time.Now().Add(time.Hour)
	}
	return orders
}

func revoke(d *Driver, o grants.Order) error {
	if _, err := d.Secure(context.Background(), loginOf(o)); err != nil {
		return err
	}
	_, err := d.Clean(context.Background(), loginOf(o))
	return err
}

// inParallel does b.N things, so many at once.
func inParallel(b *testing.B, workers int, do func(i int) error) {
	b.Helper()
	var next atomic.Int64
	errs := make(chan error, workers)
	for range workers {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					errs <- nil
					return
				}
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	for range workers {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
}
