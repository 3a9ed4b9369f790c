package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// play tells the whole story, chapter by chapter.
func (p *player) play() error {
	for _, chapter := range []func() error{p.refused, p.asked, p.used, p.onCall, p.cutOff, p.proven} {
		if err := chapter(); err != nil {
			return err
		}
	}
	p.screen.line("\n%s  make demo ARGS=--interactive lets you play it yourself.", p.screen.style(bold, "That is all of it."))
	return nil
}

func (p *player) refused() error {
	p.screen.heading("Default deny: cy is a contractor and may not write")
	return p.types("cy", "/prodaccess orders-prod data-fix 30m INC-122 correct an address")
}

func (p *player) asked() error {
	p.screen.heading("bo asks; somebody has to agree")
	if err := p.types("bo", "/prodaccess orders-prod read-only 30s INC-123 checkout is failing for customer 2"); err != nil {
		return err
	}
	if err := p.sees("dora", "checkout is failing"); err != nil {
		return err
	}
	// bo sees the card too, but nobody approves their own request.
	r := p.stage.Person("bo").Clicks("Approve")
	p.screen.does("bo", "presses [Approve] on the request that is bo's own")
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	told, err := r.WaitsForPost(ctx, "own request")
	if err != nil {
		return fmt.Errorf("waiting for bo to be refused: %w", err)
	}
	p.screen.box("only bo sees", told)
	if _, err := p.presses("dora", "Approve"); err != nil {
		return err
	}
	return p.sees("bo", "Get credentials")
}

// session is bo's, open from when the credential is shown until the deadline cuts it off.
var session *pgx.Conn

func (p *player) used() error {
	p.screen.heading("bo takes the credential; only now does a login exist, and the 30 seconds begin")
	url, err := p.takes("bo")
	if err != nil {
		return err
	}
	p.screen.does("bo", "opens a session with it")
	if session, err = pgx.Connect(p.ctx, url); err != nil {
		return fmt.Errorf("opening bo's session: %w", err)
	}
	if err := p.query(session, "SELECT id, item, status FROM orders WHERE customer_id = 2"); err != nil {
		return err
	}
	if p.query(session, "UPDATE orders SET status = 'paid' WHERE id = 102") == nil {
		return fmt.Errorf("%w: a read-only login wrote", errStory)
	}
	p.screen.line("   What the database itself knows about it:")
	return p.admin("SELECT rolname, rolvaliduntil AS valid_until, rolconnlimit AS connections FROM pg_roles WHERE rolname LIKE 'pa\\_bo\\_%'")
}

func (p *player) onCall() error {
	p.screen.heading("ana is on call for payments: nobody has to press anything")
	if err := p.types("ana", "/prodaccess orders-prod read-only 10m INC-124 paged: checkout error rate"); err != nil {
		return err
	}
	if _, err := p.takes("ana"); err != nil {
		return err
	}
	p.screen.line("   ana is done early and gives it back:")
	_, err := p.presses("ana", "Release")
	return err
}

func (p *player) cutOff() error {
	p.screen.heading("bo's deadline: the session is open and working")
	for {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		var left float64
		// The server's own clock says how long the login has left; the seconds of grace are prodaccess's.
		err := session.QueryRow(ctx, "SELECT extract(epoch FROM rolvaliduntil - now()) - 30 FROM pg_roles WHERE rolname = session_user").Scan(&left)
		cancel()
		if err != nil {
			p.screen.line("   %s SELECT 1\n   %s", p.screen.style(green, "orders=>"), pgText(err))
			break
		}
		if left < -30 {
			return fmt.Errorf("%w: the session outlived its deadline by %.0f s", errStory, -left)
		}
		p.screen.line("   %s SELECT 1   … fine, %2.0f s left", p.screen.style(green, "orders=>"), left)
		pause := 5 * time.Second
		if left < 6 {
			pause = time.Duration((left + 0.2) * float64(time.Second)) // the next try comes just after the deadline
		}
		select {
		case <-time.After(pause):
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	_ = session.Close(p.ctx)
	return p.sees("bo", "for `pa_bo")
}

func (p *player) proven() error {
	p.screen.heading("The proof")
	p.screen.line("   What is left on the database:")
	if err := p.admin("SELECT count(*) AS logins_left FROM pg_roles WHERE rolname ~ '^pa_.*_[a-z0-9]{10}$'"); err != nil {
		return err
	}
	done := p.screen.step("waiting for the daily digest, which is due in a few seconds here")
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := p.stage.Person("sam").In("audit").WaitsForMessage(ctx, "igest")
	done()
	if err != nil {
		return err
	}
	if err := p.sees("sam", "igest"); err != nil {
		return err
	}
	for _, args := range [][]string{{"audit", "list", "--person", "bo@example.com"}, {"audit", "verify"}} {
		out, err := p.stage.Run(p.ctx, args...)
		if err != nil {
			return fmt.Errorf("prodaccess %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		p.screen.box("prodaccess "+strings.Join(args, " "), out)
	}
	return nil
}

// admin shows what the target's superuser reads.
func (p *player) admin(sql string) error {
	conn, err := pgx.Connect(p.ctx, p.stage.Target.URL("orders"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(p.ctx))
	return p.query(conn, sql)
}
