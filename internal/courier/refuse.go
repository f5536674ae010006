package courier

import (
	"context"
	"errors"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Codes of REFUSE (docs/wire.md).
const (
	refuseVersion = 1
	refuseSuite   = 2
	refuseKey     = 3
	refuseQuota   = 4
	refuseRealm   = 5
)

// refuse answers an envelope that matches no link and comes from a partner the
// channel has authenticated: one of another version or suite is kept.
func (c *Courier) refuse(ctx context.Context, from noroshi.NodeID, envelope []byte, why error) {
	for _, l := range c.all() {
		if l.node() != from || !live(l.view.Load().partner) {
			continue
		}
		if unread(noroshi.CodeOf(why)) {
			l.refused(ctx, envelope, why)
		}
		l.tellRefused(why)
	}
}

// tellRefused tells the partner why an envelope cannot be read, technically, at
// most once a minute for each reason.
func (l *link) tellRefused(why error) {
	if code := refusal(why); code != 0 && live(l.view.Load().partner) && l.first("refuse."+strconv.Itoa(int(code))) {
		l.step(message.Refused{Code: code})
	}
}

// refusal is the REFUSE code of an envelope that could not be read, 0 for none.
// Suites that are not agreed are told apart from those of no version known here.
func refusal(why error) uint8 {
	var e *noroshi.Error
	switch {
	case !errors.As(why, &e):
		return 0
	case e.Code == "message.unseal":
		return refuseKey
	case e.Code == "message.suite":
		return refuseSuite
	case e.Code == "message.version":
		return refuseVersion
	case e.Code == "message.realm":
		return refuseRealm
	}
	return 0
}
