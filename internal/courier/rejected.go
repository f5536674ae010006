package courier

import (
	"context"
	"errors"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// maxSample is how much is kept of an envelope that the partner made and that
// does not verify: enough to know it again, for what is in it says nothing.
const maxSample = 1 << 10

// maxUnread is how much is kept of an envelope that nobody here can read, or may,
// and that may be good all the same: after an upgrade, or under another agreement.
const maxUnread = 64 << 10

// unread reports whether what is refused for a reason is of that sort; it waits
// under a code of its own.
func unread(code string) bool { return code == "message.version" || code == "message.suite" }

// rejected is what of a partner did not verify or read for one reason and is not
// yet on record.
type rejected struct {
	count  int
	told   time.Time // when the reason was last put on record
	sample []byte    // beginning of the first since then
	size   int64
	sum    noroshi.Hash
	why    noroshi.Told
	under  string // the agreement that is not in force here, of what came under one
}

// unknownAgreement is the reason of what comes under an agreement that is not in
// force here. Of two that put one into force the one is always first: it goes on
// record when that is not so a minute later.
const unknownAgreement = "message.unknown-agreement"

// nonsense are the reasons for which something is wrong with the partner or with
// who speaks in its name. Others come about by papers that cross on their way.
func nonsense(code string) bool {
	switch code {
	case "message.form", "message.hash", "message.length", "message.compression", "message.signature", "message.context",
		"message.link", "message.plain", "message.size", "message.too-large":
		return true
	}
	return false
}

// refused puts on record what of the partner did not verify or read: the first for
// a reason at once, what follows within a minute as one act with its number. A
// signed word of another realm, and nonsense, alarm the duty officer.
func (l *link) refused(ctx context.Context, envelope []byte, err error) {
	var e *noroshi.Error
	if err == nil || !errors.As(err, &e) || e.Kind == noroshi.Busy || ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	r := l.rejected[e.Code]
	if r == nil {
		r = &rejected{}
		l.rejected[e.Code] = r
	}
	if e.Code == unknownAgreement && r.told.IsZero() {
		r.told = l.c.o.Now() // the paper may be on its way
	}
	if r.count++; r.count == 1 {
		if e.Code == unknownAgreement {
			r.under = e.Args[0]
		}
		keep := maxSample
		if unread(e.Code) {
			keep = maxUnread
		}
		r.sample, r.size = append([]byte{}, envelope[:min(len(envelope), keep)]...), int64(len(envelope))
		r.sum, r.why = noroshi.Sum(envelope), noroshi.Tell(err)
	}
	l.mu.Unlock()
	l.tellRejected(ctx)
	signal(l.kick) // what is left is due in a minute
	switch {
	case e.Code == "message.realm":
		l.alarm(ctx, "realm", 0)
	case nonsense(e.Code):
		l.alarm(ctx, "nonsense", 0)
	}
}

// nextRejected is when something refused is to be put on record; under mu.
func (l *link) nextRejected() (at time.Time, ok bool) {
	for _, r := range l.rejected {
		if due := r.told.Add(alarmPause); r.count > 0 && (!ok || due.Before(at)) {
			at, ok = due, true
		}
	}
	return at, ok
}

// tellRejected puts on record what was refused and is due.
func (l *link) tellRejected(ctx context.Context) {
	now := l.c.o.Now()
	due := map[string]rejected{}
	a, ok := l.view.Load().inForce(now)
	l.mu.Lock()
	for code, r := range l.rejected {
		if r.count > 0 && now.Sub(r.told) >= alarmPause {
			if r.under == "" || !ok || r.under != a.String() { // else the partner was but quicker
				due[code] = *r
			}
			*r = rejected{told: now}
		}
	}
	l.mu.Unlock()
	run := "link:" + string(l.callSign())
	for code, r := range due {
		act := noroshi.Act{Action: noroshi.ActQuarantine, Subject: code, Partner: l.node(), Count: r.count, Message: r.sum}
		kind := "message.refused"
		if unread(code) {
			kind = code
		}
		_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
			return tx.Quarantine(store.Quarantined{Source: noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node(), Message: r.sum},
				Run: run, Code: kind, Place: "envelope", Why: r.why, Raw: r.sample, Size: r.size})
		})
		l.note(quiet(ctx, err))
	}
}
