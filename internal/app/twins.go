package app

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/config"
)

// twins warns of targets that answer with one fingerprint: what tells one cluster from another does not tell these apart. A
// target that does not answer was told of already.
func (d Doctor) twins(ctx context.Context) {
	type answered struct {
		target, fingerprint string
		driver              grants.Driver
	}
	var asked []answered
	var wg sync.WaitGroup
	for _, t := range d.Config.Targets {
		if !d.looksAt(t) {
			continue
		}
		driver, err := openDriver(d.Config, t.Name, grants.DoctorInstallation)
		if err != nil {
			continue
		}
		defer driver.Close()
		asked = append(asked, answered{target: t.Name, driver: driver})
	}
	for i := range asked {
		wg.Go(func() { asked[i].fingerprint, _ = asked[i].driver.Fingerprint(ctx) })
	}
	wg.Wait()
	for i, one := range asked {
		for _, other := range asked[i+1:] {
			if one.fingerprint == "" || one.fingerprint != other.fingerprint {
				continue
			}
			d.Tell(twin(ctx, one.target, one.driver, other.target, other.driver, one.fingerprint))
		}
	}
}

// twin says what two targets with one fingerprint are to each other.
func twin(ctx context.Context, one string, first grants.Driver, other string, second grants.Driver, fingerprint string) Diagnosis {
	out := Diagnosis{Part: "target " + one, Warning: true}
	apart, known := grants.Apart(ctx, first, second)
	switch {
	case known && !apart:
		out.What = fmt.Sprintf("%s and %s are one server under two names: whoever gets a login on one has it on the other, whatever the policy says of that", one, other)
		out.Mend = "configure it once, with the databases of both"
	case known:
		out.What = fmt.Sprintf("%s and %s are two servers with one identifier (%s), a cluster and its physical copy or standby: logins that are live when the copy is made work on both until their grants end",
			one, other, fingerprint)
		out.Mend = "a standby belongs under nodes of its target; on a copy, drop the logins that it brought along (docs/operating.md, A physical copy)"
	default:
		out.What = fmt.Sprintf("%s and %s have one identifier (%s): they are one server under two names, or one is a physical copy of the other", one, other, fingerprint)
		out.Mend = "configure one server once; docs/operating.md says how a copy gets an identifier of its own"
	}
	return out
}

func (d Doctor) looksAt(t config.Target) bool {
	return d.Targets == nil || slices.Contains(d.Targets, t.Name)
}
