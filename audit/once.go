package audit

import (
	"errors"
	"maps"
)

// ErrDelivered means that the act which a delivery asks for is on record: the delivery came twice, and nothing was written this time.
var ErrDelivered = errors.New("audit: this delivery was carried out before")

// delivered is the key of an event's Detail under which the delivery stands that asked for the act.
const delivered = "delivery"

// Once makes an event the record of what a delivery asked for. The store keeps one such event for each delivery, in the transaction of
// the act, so that a delivery that comes twice, be it to two replicas at the same instant, has one effect. No delivery leaves the event as
// it is; so does an attempt that is refused, which has no effect.
func Once(e Event, delivery string) Event {
	if delivery == "" || e.Refused {
		return e
	}
	e.Detail = maps.Clone(e.Detail)
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	e.Detail[delivered] = delivery
	return e
}
