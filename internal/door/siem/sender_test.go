package siem_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/siem"
	"github.com/noroshi-cti/noroshi/internal/door/siem/siemtest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// quick is a pace for tests: nothing is measured against it.
var quick = siem.Pace{Settle: 20 * time.Millisecond, Turn: 200 * time.Millisecond, Calm: 5 * time.Millisecond, Answer: 20 * time.Second,
	Retry: time.Millisecond, Most: 5 * time.Millisecond, Poll: 5 * time.Millisecond}

func open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "real.db"), store.Options{Realm: noroshi.Real})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// to is a destination at a receiver, for everything up to TLP:AMBER.
func to(r *siemtest.Receiver) siem.Destination {
	return siem.Destination{Name: "soc", Address: r.Addr, Trust: siem.Trust{CA: r.CAFile}, Format: siem.Syslog,
		Max: noroshi.Ceiling{TLP: noroshi.Amber}, What: []siem.Kind{siem.Warning, siem.Sighting, siem.Audit}, Lang: "en"}
}

func options() siem.Options {
	return siem.Options{Realm: noroshi.Real, Node: noroshi.NodeID{7}, CallSign: "JPN-01", Version: "1", Pace: quick,
		Words: func(lang string, e *siem.Event) (string, string) { return lang + " " + e.Is(), "" }}
}

// run runs a sender until stop is called, or the test ends.
func run(t testing.TB, s *store.Store, d siem.Destination, o siem.Options) (x *siem.Sender, stop func()) {
	t.Helper()
	x = siem.New(s, d, o)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := x.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(stop)
	return x, stop
}

// act enters an act about nothing in the ledger.
func act(t testing.TB, s *store.Store, a noroshi.Act) {
	t.Helper()
	if _, err := s.Do(t.Context(), a, func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// put keeps objects in one act of the node's own.
func put(t testing.TB, s *store.Store, objects ...*store.Version) {
	t.Helper()
	_, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActObserve, Subject: string(objects[0].Object.ID)}, func(tx *store.Tx) error {
		for _, v := range objects {
			if _, _, err := tx.Put(v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func version(t testing.TB, members ...stix.Member) *store.Version {
	t.Helper()
	o, err := stix.Make(members...)
	if err != nil {
		t.Fatal(err)
	}
	v := &store.Version{Object: o, Hash: noroshi.Sum(o.Bytes()), Source: noroshi.Source{Kind: noroshi.FromSelf}}
	for _, r := range o.Refs() {
		v.Refs = append(v.Refs, r.Target)
	}
	return v
}

var past = stix.TimeOf(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))

func object(t testing.TB, typ string, marks []stix.ID, more ...stix.Member) *store.Version {
	t.Helper()
	return version(t, append([]stix.Member{{Name: "type", Value: typ}, {Name: "spec_version", Value: "2.1"}, {Name: "id", Value: stix.NewID(typ)},
		{Name: "created", Value: past}, {Name: "modified", Value: past}, {Name: "object_marking_refs", Value: marks}}, more...)...)
}

func indicator(t testing.TB, value string, marks ...stix.ID) *store.Version {
	t.Helper()
	v := object(t, "indicator", marks, stix.Member{Name: "name", Value: value}, stix.Member{Name: "pattern", Value: "[domain-name:value = '" + value + "']"},
		stix.Member{Name: "pattern_type", Value: "stix"}, stix.Member{Name: "valid_from", Value: past})
	v.Values = []noroshi.Value{{Kind: noroshi.DomainName, Text: value}}
	return v
}

func sighting(t testing.TB, of stix.ID, marks ...stix.ID) *store.Version {
	t.Helper()
	return object(t, "sighting", marks, stix.Member{Name: "sighting_of_ref", Value: of}, stix.Member{Name: "count", Value: 3},
		stix.Member{Name: "first_seen", Value: past}, stix.Member{Name: "last_seen", Value: past})
}

func warning(t testing.TB, title string, of stix.ID, marks ...stix.ID) *store.Version {
	t.Helper()
	return object(t, "report", marks, stix.Member{Name: "name", Value: title}, stix.Member{Name: "description", Value: "text of " + title},
		stix.Member{Name: "published", Value: past}, stix.Member{Name: "object_refs", Value: []stix.ID{of}},
		stix.Member{Name: "extensions", Value: []stix.Member{{Name: string(noroshi.WarningExtension), Value: []stix.Member{
			{Name: "extension_type", Value: "property-extension"}, {Name: "severity", Value: "high"}, {Name: "precedence", Value: "priority"}, {Name: "action", Value: "check"}}}}})
}

var eventID = regexp.MustCompile(`noroshi@32473 id="([0-9a-f-]{36})"`)

// ids returns the ids of events, each once.
func ids(messages []string) map[string]int {
	m := map[string]int{}
	for _, s := range messages {
		m[eventID.FindStringSubmatch(s)[1]]++
	}
	return m
}

// having waits for events that have a text in them.
func having(texts ...string) func([]string) bool {
	return func(got []string) bool {
		return !slices.ContainsFunc(texts, func(x string) bool {
			return !slices.ContainsFunc(got, func(m string) bool { return strings.Contains(m, x) })
		})
	}
}

// numbered are the subjects of acts.
func numbered(from, to int) (list []string) {
	for n := from; n < to; n++ {
		list = append(list, fmt.Sprintf(`subject="n%05d"`, n))
	}
	return list
}

// TestNothingIsMissing: while acts come in, connections are reset in the middle
// of frames, the receiver goes and comes, and the sender dies and is made anew
// on the same store; in the end every event was read whole at least once.
func TestNothingIsMissing(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	s, r := open(t), siemtest.New(t)
	const rounds, each = 25, 40
	_, stop := run(t, s, to(r), options())
	for n := range rounds {
		switch random.IntN(5) {
		case 0:
			r.Behave(siemtest.Manner{BreakAfter: 1 + random.IntN(20_000)})
		case 1:
			r.Stop()
			act(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: "down"})
			r.Start()
		case 2:
			stop() // as a process that ends: what was not confirmed comes again
			_, stop = run(t, s, to(r), options())
		case 3: // takes what is written into its kernel, reads none of it, and breaks off
			r.Behave(siemtest.Manner{Deaf: true})
		default:
			r.Behave(siemtest.Manner{})
		}
		for i := range each {
			act(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: fmt.Sprintf("n%05d", n*each+i)})
		}
	}
	r.Behave(siemtest.Manner{})
	r.Until("every act", having(numbered(0, rounds*each)...))
	next, err := s.NextAct(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Until("the whole ledger", func(got []string) bool { return len(ids(got)) == int(next) })
	t.Logf("%d acts, %d messages over %d connections", next, len(r.Messages()), r.Connections())
}

// TestPlaceWaitsForTheAnswer: what was written and read moves nothing while the
// receiver has not answered the close; then it does, and is not sent again.
func TestPlaceWaitsForTheAnswer(t *testing.T) {
	t.Parallel()
	s, r := open(t), siemtest.New(t)
	r.Behave(siemtest.Manner{Mute: true})
	act(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: "once"})
	o := options()
	o.Pace.Answer = 10 * time.Millisecond
	x, _ := run(t, s, to(r), o)
	twice := func(got []string) bool {
		n := 0
		for _, m := range got {
			if strings.Contains(m, `subject="once"`) {
				n++
			}
		}
		return n > 1
	}
	r.Until("again", twice)
	if c, err := s.Cursor(t.Context(), "siem/soc/acts"); err != nil || c != 0 {
		t.Errorf("the place is %d (%v) and nobody answered", c, err)
	}
	r.Behave(siemtest.Manner{})
	st := until(t, x, func(st siem.Status) bool { return st.Sent >= 2 })
	if st.Error.Message != "" || st.Behind != 0 || st.Settled.IsZero() {
		t.Errorf("after the answer: %+v", st)
	}
	if c, err := s.Cursor(t.Context(), "siem/soc/acts"); err != nil || c < 2 {
		t.Errorf("the place is %d (%v) after the answer", c, err)
	}
}

// until waits for a status.
func until(t testing.TB, x *siem.Sender, fits func(siem.Status) bool) siem.Status {
	t.Helper()
	for {
		st, err := x.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if fits(st) {
			return st
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("it stays at %+v", st)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// TestClosedBeforeItWasRead: a receiver that closes in good form while messages
// are on their way has confirmed nothing.
func TestClosedBeforeItWasRead(t *testing.T) {
	t.Parallel()
	s, r := open(t), siemtest.New(t)
	r.Behave(siemtest.Manner{CloseAfter: 3})
	for _, n := range numbered(0, 20) {
		act(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: n[9:15]})
	}
	o := options()
	o.Pace.Calm, o.Pace.Settle = 10*time.Second, 10*time.Second // not waited for: the end is seen before
	x, stop := run(t, s, to(r), o)
	st := until(t, x, func(st siem.Status) bool { return st.Error.Message != "" })
	if st.Sent != 0 {
		t.Errorf("%d events count as read", st.Sent)
	}
	stop()
	if c, err := s.Cursor(t.Context(), "siem/soc/acts"); err != nil || c != 0 {
		t.Errorf("the place is %d, %v", c, err)
	}
	r.Behave(siemtest.Manner{})
	run(t, s, to(r), options())
	r.Until("the rest", having(numbered(0, 20)...))
}

// TestOneDeafReceiverHoldsNobody: while one destination takes nothing, another
// gets everything and acts are entered.
func TestOneDeafReceiverHoldsNobody(t *testing.T) {
	t.Parallel()
	s, deaf, good := open(t), siemtest.New(t), siemtest.New(t)
	deaf.Behave(siemtest.Manner{Deaf: true})
	first, second := to(deaf), to(good)
	first.Name = "deaf"
	run(t, s, first, options())
	run(t, s, second, options())
	for n := range 2000 {
		act(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: fmt.Sprintf("n%05d", n)})
	}
	good.Until("everything", having(numbered(0, 2000)...))
	if got := deaf.Messages(); len(got) > 0 {
		t.Errorf("the deaf receiver read %d messages", len(got))
	}
}

// TestWhoIsTrusted: the receiver's certificate must be of the authority and the
// name configured, TLS is 1.2 at least, and a receiver that asks gets ours.
func TestWhoIsTrusted(t *testing.T) {
	t.Parallel()
	s, r, other := open(t), siemtest.New(t), siemtest.New(t)
	act(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: "x"})
	refused := func(d siem.Destination, why string) {
		t.Helper()
		x, stop := run(t, s, d, options())
		st := until(t, x, func(st siem.Status) bool { return st.Error.Message != "" })
		stop()
		if !strings.Contains(st.Error.Message, why) || st.Sent != 0 {
			t.Errorf("%+v, want an error with %q", st, why)
		}
	}
	wrong := to(r)
	wrong.Trust.CA = other.CAFile
	refused(wrong, "certificate")
	named := to(r)
	named.Trust.ServerName = "siem.example"
	refused(named, "siem.example")
	gone := to(r)
	gone.Trust.CA = r.CAFile + ".gone"
	refused(gone, "ca_file")
	r.Stop()
	r.TLS(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	r.Start()
	refused(to(r), "protocol version")
	r.Stop()
	r.TLS(func(c *tls.Config) {
		c.MinVersion, c.MaxVersion, c.ClientAuth = tls.VersionTLS12, tls.VersionTLS12, tls.RequireAndVerifyClientCert
	})
	r.Start()
	if got := r.Messages(); len(got) > 0 {
		t.Errorf("read of who is not trusted: %q", got)
	}
	refused(to(r), "")
	shown := to(r)
	shown.Trust.Cert, shown.Trust.Key = r.CertFile, r.KeyFile
	run(t, s, shown, options())
	r.Until("the act", having(`subject="x"`))
}

// TestBackOff: failures are tried again twice as late each, up to a bound, and
// from the start again once something was read.
func TestBackOff(t *testing.T) {
	t.Parallel()
	s := open(t)
	act(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: "x"})
	var mu sync.Mutex
	var waits []time.Duration
	o := options()
	o.Pace.Retry, o.Pace.Most = time.Second, 10*time.Second
	ctx, cancel := context.WithCancel(t.Context())
	o.Dial = func(context.Context, *siem.Destination) (siem.Conn, error) { return nil, errors.New("nobody is there") }
	o.After = func(d time.Duration) <-chan time.Time {
		mu.Lock()
		defer mu.Unlock()
		if waits = append(waits, d); len(waits) == 6 {
			cancel()
		}
		c := make(chan time.Time, 1)
		c <- time.Time{}
		return c
	}
	x := siem.New(s, siem.Destination{Name: "soc", Address: "siem.example:6514", Format: siem.CEF, Max: noroshi.Ceiling{TLP: noroshi.Red},
		What: []siem.Kind{siem.Audit}, Lang: "en"}, o)
	if err := x.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{1e9, 2e9, 4e9, 8e9, 10e9, 10e9}; !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	if st, err := x.Status(t.Context()); err != nil || st.Error.Message != "nobody is there" || st.Behind == 0 || st.Oldest.IsZero() {
		t.Errorf("status %+v, %v", st, err)
	}
}

// TestSlowReceiver: one that cannot read much before the answer is due gets less
// at once, so that it comes forward all the same.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	s, r := open(t), siemtest.New(t)
	for n := range 300 {
		act(t, s, noroshi.Act{Action: noroshi.ActConfigure, Subject: fmt.Sprintf("n%05d", n)})
	}
	r.Behave(siemtest.Manner{BreakAfter: 3000}) // whatever is more than a dozen messages is never confirmed
	x, _ := run(t, s, to(r), options())
	r.Until("every act", having(numbered(0, 300)...))
	if st := until(t, x, func(st siem.Status) bool { return st.Behind == 0 && st.Sent > 300 }); st.Error.Message != "" {
		t.Errorf("at last: %+v", st)
	}
}
