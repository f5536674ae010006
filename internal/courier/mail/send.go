package mail

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Bounds of sending.
const (
	bulkLanes  = 2 // envelopes below FLASH on their way to an address at once
	flashLanes = 2 // FLASH besides, and one statement
	maxIdle    = 4 // sessions kept for the next letter
	longPause  = 15 * time.Minute
	patience   = 10 * time.Minute // how long the rest of an envelope is tried whose first parts were taken
	idleFor    = 20 * time.Second // a session is kept so long for the next letter
	maxPauses  = 1024
)

// Send makes a letter of an envelope, or several, and hands them to the gateway or
// the folder. While a gateway asks to come again later for an address, as
// greylisting does, only FLASH and statements, which say what has come, try before
// the time is over, which doubles.
// Errors have the codes mail.no-endpoint, mail.too-large, mail.no-key, mail.waiting,
// mail.deferred, mail.refused, mail.unreachable, mail.auth, mail.file, mail.spool
// and mail.spool-full.
func (m *Mail) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	list := p.Ways(noroshi.ChannelMail)
	if len(list) == 0 {
		return noroshi.Errorf(noroshi.NotFound, "mail.no-endpoint", "partner %s has no mail address", p.Organisation.CallSign)
	}
	to := strings.TrimPrefix(list[0], "mailto:")
	if len(envelope) == 0 || len(envelope) > message.MaxEnvelope {
		return noroshi.Errorf(noroshi.Invalid, "mail.too-large", "an envelope of %d bytes: mail takes 1 to %d", len(envelope), message.MaxEnvelope)
	}
	if at, waits := m.pauses.until(to, m.o.Now()); waits && prec != 0 && prec < noroshi.Flash {
		return noroshi.Errorf(noroshi.Busy, "mail.waiting", "%s is not tried before %s", to, at.UTC().Format(time.RFC3339))
	}
	address := m.addresses.of(to, m.o.MaxLetter)
	lane := address.lane(prec)
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if m.o.Relay == nil {
		return m.layDown(p.Node, to, envelope)
	}
	return m.submit(ctx, p.Node, address, envelope)
}

// pack makes the attachments of an envelope: itself, or parts.
func (m *Mail) pack(node noroshi.NodeID, envelope []byte, letter int) ([][]byte, error) {
	body := bodyOf(letter)
	if len(envelope) <= body {
		return [][]byte{envelope}, nil
	}
	if body < leastPart || m.o.MAC == nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "mail.too-large", "an envelope of %d bytes: mail takes 1 to %d", len(envelope), body)
	}
	parts := cut(envelope, body)
	for i, b := range parts {
		mac, ok := m.o.MAC(node, b)
		if !ok {
			return nil, noroshi.Errorf(noroshi.Invalid, "mail.no-key", "there is no key yet to send %d bytes to this partner in parts", len(envelope))
		}
		parts[i] = append(b, mac[:]...)
	}
	return parts, nil
}

// submit hands an envelope to the gateway. A session that was kept may have ended
// meanwhile: then a new one is tried.
func (m *Mail) submit(ctx context.Context, node noroshi.NodeID, to *address, envelope []byte) error {
	s, kept := m.idle.take()
	if kept && s.Noop() != nil {
		s.Close()
		kept = false
	}
	if !kept {
		var err error
		if s, err = m.o.Relay.dial(ctx); err != nil {
			return m.tell(to.name, err)
		}
	}
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	err := m.letters(ctx, s, node, to, envelope)
	if !stop() {
		s.Close()
		return ctx.Err()
	}
	if err != nil {
		_ = s.Quit()
		s.Close()
	} else {
		m.idle.keep(s)
	}
	return m.tell(to.name, err)
}

// tell counts what became of a letter, and keeps when the address is tried next.
func (m *Mail) tell(to string, err error) error {
	switch noroshi.KindOf(err) {
	case noroshi.Busy:
		m.counts.deferred.Add(1)
		m.pauses.later(to, m.o.Now())
	case noroshi.Refused:
		m.counts.refused.Add(1)
	default:
		if err == nil {
			m.pauses.clear(to)
		}
	}
	return err
}

// letters sends all parts of an envelope on a session. Once one was taken, the
// rest is tried for a while: it would all have to go again.
func (m *Mail) letters(ctx context.Context, s *session, node noroshi.NodeID, to *address, envelope []byte) error {
	max := int(to.max.Load())
	if size, ok := s.MaxMessageSize(); ok && size > 0 && size < max {
		max = size
	}
	parts, err := m.pack(node, envelope, max)
	if err != nil {
		return err
	}
	for i, part := range parts {
		letter, err := compose(m.o.From, to.name, m.o.Now(), part)
		if err != nil {
			return err
		}
		left := patience
		if i == 0 {
			left = 0
		}
		if err := m.letter(ctx, s, to, letter, left); err != nil {
			return err
		}
	}
	return nil
}

// letter sends one letter, and again for so long as the gateway asks to come again
// later.
func (m *Mail) letter(ctx context.Context, s *session, to *address, letter []byte, left time.Duration) error {
	for wait := m.o.Retry; ; wait *= 2 {
		err := transact(s, m.o.From, to.name, letter)
		if err == nil {
			m.counts.sent.Add(1)
			return nil
		}
		if err := m.learn(to, err, len(letter)); err != nil {
			return err
		}
		if err = m.o.Relay.explain(err); noroshi.KindOf(err) != noroshi.Busy || left < wait {
			return err
		}
		m.counts.deferred.Add(1)
		left -= wait
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// transact is one letter in SMTP (RFC 5321 §3.3), with its size (RFC 1870).
func transact(s *session, from, to string, letter []byte) error {
	err := s.Mail(from, &smtp.MailOptions{Size: int64(len(letter))})
	if err == nil {
		err = s.Rcpt(to, nil)
	}
	if err == nil {
		err = body(s, letter)
	}
	if reply := (*smtp.SMTPError)(nil); errors.As(err, &reply) && reply.Code != 421 {
		_ = s.Reset() // else the next letter finds this one begun
	}
	return err
}

func body(s *session, letter []byte) error {
	w, err := s.Data()
	if err != nil {
		return err
	}
	s.conn.SetDeadline(time.Now().Add(dataTimeout))
	if _, err := w.Write(letter); err != nil {
		return err
	}
	return w.Close()
}

// pauses are until when addresses are left alone.
type pauses struct {
	retry time.Duration
	mu    sync.Mutex // guards list
	list  map[string]rest
}

type rest struct {
	until time.Time
	last  time.Duration
}

func (p *pauses) until(to string, now time.Time) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.list[to].until
	return at, now.Before(at)
}

// later doubles the time an address is left alone.
func (p *pauses) later(to string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil || len(p.list) >= maxPauses {
		p.list = map[string]rest{}
	}
	last := p.list[to]
	if now.Before(last.until) {
		return // one of several that were on their way
	}
	next := min(max(2*last.last, p.retry), longPause)
	p.list[to] = rest{now.Add(next), next}
}

func (p *pauses) clear(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.list, to)
}

// idle keeps sessions for the next letter.
type idle struct {
	mu   sync.Mutex // guards list
	list []*session
}

func (i *idle) take() (*session, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.list) > 0 {
		s := i.list[len(i.list)-1]
		i.list = i.list[:len(i.list)-1]
		if time.Since(s.since) < idleFor {
			s.conn.left = maxHeard
			return s, true
		}
		s.Close()
	}
	return nil, false
}

func (i *idle) keep(s *session) {
	i.mu.Lock()
	defer i.mu.Unlock()
	s.since = time.Now()
	if len(i.list) == maxIdle {
		s.Close()
		return
	}
	i.list = append(i.list, s)
	time.AfterFunc(idleFor, func() { i.drop(s) })
}

// drop closes a session nobody wanted.
func (i *idle) drop(s *session) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n, o := range i.list {
		if o == s && time.Since(s.since) >= idleFor {
			i.list = append(i.list[:n], i.list[n+1:]...)
			s.Close()
			return
		}
	}
}

func (i *idle) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, s := range i.list {
		s.Close()
	}
	i.list = nil
}
