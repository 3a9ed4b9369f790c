package mysql

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// withReplica is a primary, prepared, and a replica of it.
func withReplica(t *testing.T, on flavour) (primary, replica *cluster) {
	t.Helper()
	primary = startCluster(t, on, map[string]string{"server-id": "1", "log-bin": "bin"})
	t.Cleanup(primary.stop)
	replica = startCluster(t, on, map[string]string{"server-id": "2", "loose-slave-net-timeout": "5", "loose-replica-net-timeout": "5"})
	t.Cleanup(replica.stop)
	at, err := send(t.Context(), primary.super, primary.choose("SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"))
	if err != nil || len(at) != 1 {
		t.Fatal(at, err)
	}
	change := "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %d, MASTER_USER = 'root', MASTER_PASSWORD = '%s', MASTER_LOG_FILE = '%s', MASTER_LOG_POS = %s"
	if on == mysql {
		change = strings.NewReplacer("MASTER TO", "REPLICATION SOURCE TO", "MASTER_", "SOURCE_").Replace(change) + ", GET_SOURCE_PUBLIC_KEY = 1"
	}
	run(t, replica, fmt.Sprintf(change, primary.srv.Port(), primary.srv.Root("").Passwd, at[0][0], at[0][1]), "START "+replica.choose("SLAVE", "REPLICA"))
	run(t, primary, "CREATE DATABASE app", "CREATE TABLE app.orders (id INT PRIMARY KEY, email VARCHAR(100))", "INSERT INTO app.orders VALUES (1, 'ana@example.com')")
	primary.apply(t, primary.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(primary.srv.RootURL()) }), []grants.Profile{readOnly})
	eventually(t, "the replica has the administrator", func() bool {
		return value[int](t, replica, replica.choose("SELECT COUNT(*) FROM mysql.global_priv WHERE User = 'prodaccess_admin' AND COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) = 0",
			"SELECT COUNT(*) FROM mysql.user WHERE User = 'prodaccess_admin' AND account_locked = 'N'")) == 1
	})
	return primary, replica
}

// Sessions on a replica end as well, and a node counts only once it shows the lock.
func TestReplica(t *testing.T) { onEach(t, replica) }

func replica(t *testing.T, on flavour) {
	primary, replica := withReplica(t, on)
	d := primary.open(t, func(cfg *Config) {
		cfg.Nodes = []Node{{Name: "replica", URL: secret.New(replica.srv.URL("prodaccess_admin", adminPassword))}}
	})
	o := newOrder(t, d, "pa_read_only")
	issued, err := d.Issue(t.Context(), o)
	if err != nil || len(issued.Lagging) != 0 {
		t.Fatal(issued.Lagging, err)
	}
	s, err := openSession(t.Context(), replica.srv.Config(o.Login, o.Password.Reveal(), "app"))
	if err != nil {
		t.Fatalf("the replica was waited for, and refuses the login: %v", err)
	}
	defer s.Close()
	secured, err := d.Secure(t.Context(), loginOf(o))
	if err != nil || secured.Killed != 1 || !slices.Equal(secured.Nodes, []string{"orders-prod", "replica"}) {
		t.Errorf("secured: %+v, %v", secured, err)
	}
	if err := s.Read(t.Context()); err == nil {
		t.Error("the session on the replica lives on")
	}
	if _, err := d.Clean(t.Context(), loginOf(o)); err != nil {
		t.Error(err)
	}

	// A replica that stands still: people are told, and a revocation is not done before it has the lock.
	late := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	run(t, replica, "STOP "+replica.choose("SLAVE", "REPLICA")+" SQL_THREAD")
	d.patience = time.Second
	if _, err := d.Secure(t.Context(), loginOf(late)); grants.ReasonOf(err) != grants.FailBusy {
		t.Errorf("secured before the replica has the lock: %v", err)
	}
	behind := newOrder(t, d, "pa_read_only")
	if issued, err := d.Issue(t.Context(), behind); err != nil || !slices.Equal(issued.Lagging, []string{"replica"}) {
		t.Errorf("lagging: %v, %v", issued.Lagging, err)
	}
	// Nor before it has heard of the login at all: it would still make it, open it, and let whoever has the password in.
	for _, order := range []grants.Order{behind, newOrder(t, d, "pa_read_only")} {
		if secured, err := d.Secure(t.Context(), loginOf(order)); grants.ReasonOf(err) != grants.FailBusy || slices.Contains(secured.Nodes, "replica") {
			t.Errorf("secured before the replica knows the login: %+v, %v", secured, err)
		}
	}
	if primary.canLogin(behind) {
		t.Error("a replica that stands still keeps the login open on the primary")
	}
	// A new password is not known there either.
	fresh := newOrder(t, d, "pa_read_only")
	if names := d.Behind(t.Context()); !slices.Equal(names, []string{"replica"}) {
		t.Errorf("behind: %v", names)
	}
	if found, err := d.Check(t.Context(), []grants.Profile{readOnly}); err != nil || !slices.ContainsFunc(found, func(f grants.Finding) bool {
		return strings.Contains(f.What, "had not replayed")
	}) {
		t.Errorf("check: %+v, %v", found, err)
	}
	run(t, replica, "START "+replica.choose("SLAVE", "REPLICA")+" SQL_THREAD")
	d.patience = drainPatience
	if names := d.Behind(t.Context()); len(names) != 0 {
		t.Errorf("behind: %v", names)
	}
	if _, err := d.Issue(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	old := fresh
	fresh.Password = secret.New(rand.Text())
	if err := d.Rotate(t.Context(), loginOf(fresh), fresh.Password); err != nil {
		t.Fatal(err)
	}
	if names := d.Behind(t.Context()); len(names) != 0 || replica.canLogin(old) || !replica.canLogin(fresh) {
		t.Errorf("the replica is not behind (%v), and does not go by the new password", names)
	}
	for _, o := range []grants.Order{late, behind, fresh} {
		takeBack(t, primary, d, o)
	}

	// After a failover the same grants go on, on the replica: it has the fingerprint and the ledger.
	over := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	run(t, replica, "STOP "+replica.choose("SLAVE", "REPLICA"))
	primary.srv.Kill()
	promoted := replica.open(t, nil)
	takeBack(t, replica, promoted, over)
}

func TestANodeOfAnotherCluster(t *testing.T) { onEach(t, aNodeOfAnotherCluster) }

func aNodeOfAnotherCluster(t *testing.T, on flavour) {
	c, other := shared(t, on), prepare(t, on, nil)
	t.Cleanup(other.stop)
	d := c.open(t, func(cfg *Config) { cfg.Nodes = []Node{{Name: "replica", URL: other.admin}} })
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Secure(t.Context(), loginOf(o)); grants.ReasonOf(err) != grants.FailSwapped {
		t.Errorf("secure: %v", err)
	}
	finds := func(words string) {
		t.Helper()
		found, err := d.Check(t.Context(), []grants.Profile{readOnly})
		if err != nil || !slices.ContainsFunc(found, func(f grants.Finding) bool {
			return strings.Contains(f.What, "node replica") && strings.Contains(f.What, words) && f.Mend != ""
		}) {
			t.Errorf("check does not find %q: %+v, %v", words, found, err)
		}
	}
	finds("another cluster")

	// One that is of this cluster and leaves out the rows of the ledger never says that a login is over.
	run(t, other, "UPDATE prodaccess.cluster SET id = '"+o.Fingerprint+"'")
	d.patience = 300 * time.Millisecond
	says := func(reason grants.Reason, words string) {
		t.Helper()
		if secured, err := d.Secure(t.Context(), loginOf(o)); grants.ReasonOf(err) != reason || !strings.Contains(err.Error(), words) || slices.Contains(secured.Nodes, "replica") {
			t.Errorf("want %s, %q: %+v, %v", reason, words, secured, err)
		}
	}
	says(grants.FailBusy, "must not leave out the schema prodaccess")
	finds("had not replayed")
	run(t, other, "CREATE USER '"+o.Login+"'@'%' ACCOUNT LOCK")
	says(grants.FailUnprepared, "the account and not the row")
	run(t, other, "DROP TABLE prodaccess.logins")
	says(grants.FailUnprepared, "replicate the schema prodaccess")
	finds("does not show the ledger")
	run(t, other, "DROP USER prodaccess_admin@'%'")
	d.nodes[0].pool.db.SetMaxIdleConns(0)
	says(grants.FailPrivilege, "connecting to replica")
	finds("connecting")
}

// certificate writes a self-signed one for 127.0.0.1 where the server can read it.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "prodaccess-tls-") // t.TempDir is closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, bytes := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})} {
		if err := os.WriteFile(file, bytes, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, pool
}

// Where people are told to use TLS, the server holds them to it.
func TestLoginsMustUseTLSWherePeopleAreToldTo(t *testing.T) {
	onEach(t, loginsMustUseTLSWherePeopleAreToldTo)
}

func loginsMustUseTLSWherePeopleAreToldTo(t *testing.T, on flavour) {
	cert, key, pool := certificate(t)
	c := prepare(t, on, map[string]string{"ssl-cert": cert, "ssl-key": key})
	t.Cleanup(c.stop)
	told := func(cfg *Config) { cfg.Target.Connect.SSLMode = "verify-full" }
	d := c.open(t, told)
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if c.canLogin(o) {
		t.Error("the login gets in without TLS")
	}
	encrypted := func(o grants.Order) error {
		cfg := c.srv.Config(o.Login, o.Password.Reveal(), "app")
		cfg.TLS = &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
		s, err := openSession(t.Context(), cfg)
		if err == nil {
			s.Close()
		}
		return err
	}
	if err := encrypted(o); err != nil {
		t.Error(err)
	}
	before := o
	o.Password = secret.New(rand.Text())
	if err := d.Rotate(t.Context(), loginOf(o), o.Password); err != nil {
		t.Error(err)
	}
	if encrypted(o) != nil || encrypted(before) == nil {
		t.Error("the new password does not get in, or the old one does")
	}
	// The administrator's own connection: a name that cannot be verified is refused.
	url := c.admin.Reveal()
	for mode, want := range map[string]bool{"skip-verify": true, "preferred": true, "true": false} {
		d := c.open(t, func(cfg *Config) { cfg.AdminURL = secret.New(url + "?tls=" + mode) })
		if _, err := d.Fingerprint(t.Context()); (err == nil) != want {
			t.Errorf("tls=%s: %v", mode, err)
		}
	}
	// A MySQL makes itself a certificate, unless it is told to do without TLS.
	bare := shared(t, on)
	if on == mysql {
		bare = prepare(t, on, map[string]string{"tls-version": ""})
		t.Cleanup(bare.stop)
	}
	plain := bare.open(t, told)
	without := newOrder(t, plain, "pa_read_only")
	if _, err := plain.Issue(t.Context(), without); grants.ReasonOf(err) != grants.FailUnprepared {
		t.Errorf("issued for TLS on a server that has none: %v", err)
	}
}

// No error quotes a URL, and no URL is taken for another than it is.
func TestURLs(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"mysql://admin:hunter2@db.example.com:3306/": true, "mysql://admin:hunter2@db.example.com/?tls=true": true, "mysql://admin:p%40ss@[::1]:3306/": true,
		"": false, "postgres://admin:hunter2@db/": false, "mysql://db/": false, "mysql://admin:hunter2@/": false, "mysql://admin:hunter2@a,b/": false,
		"mysql://admin:hunter2@db/?tls=maybe": false, "mysql://admin:hunter2@db/?allowAllFiles=true": false, "mysql://admin:hunt%zz@db/": false,
	} {
		d, err := Open(Config{Target: ordersProd(), AdminURL: secret.New(url), Installation: "test"})
		if err == nil {
			d.Close()
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}

func TestAServerThatIsAway(t *testing.T) {
	t.Parallel()
	d, err := Open(Config{Target: ordersProd(), AdminURL: secret.New("mysql://admin:hunter2@127.0.0.1:1/"), Installation: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = d.Fingerprint(ctx)
	if grants.ReasonOf(err) != grants.FailUnreachable || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}
