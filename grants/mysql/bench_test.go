package mysql

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// BenchmarkLife is a login from issue to proof, beside the bare statements it cannot do without, in the same run.
func BenchmarkLife(b *testing.B) {
	c := prepare(b, mariadb, nil)
	defer c.stop()
	d, err := Open(Config{Target: ordersProd(), AdminURL: c.admin, Installation: "bench", MaxConns: 16})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for _, at := range []int{1, 16} {
		b.Run("raw/"+strconv.Itoa(at), func(b *testing.B) {
			var n atomic.Int64
			b.SetParallelism((at + 1) / 2) // times GOMAXPROCS, two here
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					name := account("pa_raw_" + strconv.FormatInt(n.Add(1), 10))
					for _, s := range []string{
						"CREATE USER " + name + " IDENTIFIED VIA mysql_native_password USING '*23AE809DDACAF96AF0FD78ED04B6A265E05AA257'",
						"GRANT pa_read_only TO " + name, "SET DEFAULT ROLE pa_read_only FOR " + name,
						"ALTER USER " + name + " ACCOUNT LOCK", "DROP USER " + name,
					} {
						if _, err := change(b.Context(), d.everyday.db, s); err != nil {
							b.Error(err)
							return
						}
					}
				}
			})
		})
		b.Run("prodaccess/"+strconv.Itoa(at), func(b *testing.B) {
			var issued, taken atomic.Int64
			b.SetParallelism((at + 1) / 2)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					o := newOrder(b, d, "pa_read_only")
					o.Stamp.Installation, o.Password = "bench", secret.New("a-password-of-the-benchmark")
					begun := time.Now()
					if _, err := d.Issue(b.Context(), o); err != nil {
						b.Error(err)
						return
					}
					issued.Add(int64(time.Since(begun)))
					begun = time.Now()
					login := grants.Login{Name: o.Login, Stamp: o.Stamp, Fingerprint: o.Fingerprint}
					if _, err := d.Secure(b.Context(), login); err != nil {
						b.Error(err)
						return
					}
					if _, err := d.Clean(b.Context(), login); err != nil {
						b.Error(err)
						return
					}
					taken.Add(int64(time.Since(begun)))
				}
			})
			b.ReportMetric(float64(issued.Load())/float64(b.N)/1e6, "ms/issue")
			b.ReportMetric(float64(taken.Load())/float64(b.N)/1e6, "ms/revocation")
		})
	}
}
