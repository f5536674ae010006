package courier

import (
	"context"
	"errors"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Codes of REFUSE (docs/wire.md).
const (
	refuseVersion = 1
	refuseSuite   = 2
	refuseKey     = 3
)

// maxRefused is how much of an envelope of an unknown version is kept.
const maxRefused = 64 << 10

// refuse answers an envelope that cannot be read and comes from a partner the
// channel has authenticated: it is told why, technically, at most once a minute
// for each reason, and an envelope of another version is kept for an upgrade.
func (c *Courier) refuse(ctx context.Context, from noroshi.NodeID, envelope []byte, why error) {
	code := refusal(envelope, why)
	if code == 0 {
		return
	}
	for _, l := range c.all() {
		if l.node() != from || !live(l.view.Load().partner) || !l.first("refuse."+strconv.Itoa(int(code))) {
			continue
		}
		if code != refuseKey {
			l.keepRaw(ctx, envelope)
		}
		l.step(message.Refused{Code: code})
	}
}

// refusal is the REFUSE code of an envelope that could not be read, 0 for none.
// The first bytes of suites that are specified and not agreed are told apart
// from those of no version known here.
func refusal(envelope []byte, why error) uint8 {
	var e *noroshi.Error
	switch {
	case !errors.As(why, &e):
		return 0
	case e.Code == "message.unseal":
		return refuseKey
	case e.Code == "message.version" && (envelope[0] == 0x12 || envelope[0] == 0x13):
		return refuseSuite
	case e.Code == "message.version":
		return refuseVersion
	}
	return 0
}

// keepRaw puts the beginning of an envelope nobody here can read into
// quarantine.
func (l *link) keepRaw(ctx context.Context, envelope []byte) {
	sum := noroshi.Sum(envelope)
	run := "link:" + string(l.view.Load().partner.Organisation.CallSign)
	act := noroshi.Act{Action: noroshi.ActQuarantine, Subject: sum.String(), Partner: l.node()}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		return tx.Quarantine(store.Quarantined{Source: noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node(), Message: sum},
			Run: run, Code: "message.version", Place: "envelope", Detail: "an envelope of a version or suite that is not known here",
			Raw: envelope[:min(len(envelope), maxRefused)], Size: int64(len(envelope))})
	})
	l.note(err)
}
