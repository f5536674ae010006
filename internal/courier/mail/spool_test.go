package mail_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
)

// inFolder runs a node that has a folder in place of a gateway and a listener.
func inFolder(t *testing.T, dir string, set func(*mail.Options)) *inbox {
	t.Helper()
	return open(t, func(o *mail.Options) {
		o.Listener.Close()
		o.Listener, o.Relay, o.Spool = nil, nil, dir
		if set != nil {
			set(o)
		}
	})
}

// names lists a folder.
func names(t *testing.T, dir ...string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir...))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func put(t *testing.T, b []byte, old time.Duration, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".part", b, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-old)
	if err := os.Chtimes(name+".part", at, at); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".part", name); err != nil {
		t.Fatal(err)
	}
}

// TestSpool: letters lie in out/ whole; what a mail system puts into in/, as
// files or as a Maildir, is taken over and moved to done/, what is for nobody
// here to quarantine/. One that comes again, as after a crash, is harmless.
func TestSpool(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	put(t, []byte("left by a crash"), 0, from, "out", ".0123.eml")
	if err := os.Rename(filepath.Join(from, "out", ".0123.eml"), filepath.Join(from, "out", ".0123.eml.part")); err != nil {
		t.Fatal(err)
	}
	a := inFolder(t, from, func(o *mail.Options) { o.From, o.MaxLetter = "noroshi@usa.example", 100_000 })
	small, large := envelope(2000), envelope(250_000)
	for _, e := range [][]byte{small, large} {
		if err := a.Send(t.Context(), jpn, noroshi.Routine, e); err != nil {
			t.Fatal(err)
		}
	}
	letters := names(t, from, "out")
	if len(letters) != 5 || slices.ContainsFunc(letters, func(n string) bool { return !strings.HasSuffix(n, ".eml") || n[0] == '.' }) {
		t.Fatalf("out has %q, want five whole letters", letters)
	}
	b := inFolder(t, to, nil)
	b.hold(1)
	for i, n := range letters {
		folder := []string{"in", "in/new", "in/cur"}[i%3]
		letter, err := os.ReadFile(filepath.Join(from, "out", n))
		if err != nil {
			t.Fatal(err)
		}
		put(t, letter, 0, to, folder, n)
	}
	put(t, []byte("Subject: x\n\nSomebody writes.\n"), time.Hour, to, "in", "stray")
	put(t, []byte("Subject: x\n\nSomebody writes.\n"), time.Hour, to, "in/new", "stray")
	put(t, []byte("Subject: half of it\n\n"), 0, to, "in", "young")
	if err := os.Symlink(filepath.Join(from, "out", letters[0]), filepath.Join(to, "in", "link")); err != nil {
		t.Fatal(err)
	}
	b.until(t, "all is read", func() bool { return len(b.all()) == 2 && b.Counts().Dropped == 2 })
	if got := b.all(); !holds(got, small) || !holds(got, large) {
		t.Error("what arrived is not what was sent")
	}
	b.until(t, "all is moved", func() bool { return len(names(t, to, "done")) == 5 })
	if q := names(t, to, "quarantine"); !slices.Equal(q, []string{"stray", "stray.1"}) {
		t.Errorf("quarantine has %q", q)
	}
	if left := names(t, to, "in"); !slices.Equal(left, []string{"cur", "link", "new", "young"}) {
		t.Errorf("in has %q: what is young, and what is no file, stays", left)
	}
	again, err := os.ReadFile(filepath.Join(from, "out", letters[0]))
	if err != nil {
		t.Fatal(err)
	}
	put(t, again, 0, to, "in", letters[0]) // as if the process had been killed before the move
	b.until(t, "it is moved again", func() bool { return len(names(t, to, "done")) == 6 })
}

// TestPartsWaitWhereTheyLie: letters with parts of an envelope stay in in/ until it
// is whole, more of them than are looked at in a round too, so that a restart in
// between loses nothing.
func TestPartsWaitWhereTheyLie(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	a := inFolder(t, from, func(o *mail.Options) { o.From, o.MaxLetter = "noroshi@usa.example", 64<<10 })
	large := envelope(24 << 20)
	if err := a.Send(t.Context(), jpn, noroshi.Routine, large); err != nil {
		t.Fatal(err)
	}
	letters := names(t, from, "out")
	bring := func(name string) {
		letter, err := os.ReadFile(filepath.Join(from, "out", name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, letter, time.Hour, to, "in", name)
	}
	for _, n := range letters[:len(letters)-1] {
		bring(n)
	}
	if len(letters) < 510 {
		t.Fatalf("%d letters are looked at in one round", len(letters))
	}
	first := inFolder(t, to, nil)
	first.until(t, "all parts are read", func() bool { return first.Counts().Taken == int64(len(letters)-1) })
	if in, done := names(t, to, "in"), names(t, to, "done"); len(in) != len(letters)-1 || len(done) > 0 {
		t.Errorf("of a set that is not whole %d letters lie in in, %d in done", len(in), len(done))
	}
	first.end(t)
	second := inFolder(t, to, nil)
	bring(letters[len(letters)-1])
	second.until(t, "the envelope is whole", func() bool { return len(second.all()) == 1 })
	if !holds(second.all(), large) {
		t.Error("it is another")
	}
	second.until(t, "all is moved", func() bool { return len(names(t, to, "done")) == len(letters) && len(names(t, to, "in")) == 0 })
}

// TestNobodyFetches: a folder nothing is fetched from takes so many letters and then
// says that it is full; after an hour it is a way that does not work.
func TestNobodyFetches(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := inFolder(t, dir, nil)
	for i := range 999 {
		put(t, []byte("x"), time.Minute, dir, "out", fmt.Sprintf("%d.eml", i))
	}
	if err := a.Send(t.Context(), jpn, noroshi.Routine, envelope(500)); err != nil {
		t.Errorf("the thousandth: %v", err)
	}
	if err := a.Send(t.Context(), jpn, noroshi.Routine, envelope(500)); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("one more: %v", err)
	}
	put(t, []byte("x"), 2*time.Hour, dir, "out", "0.eml")
	if err := a.Send(t.Context(), jpn, noroshi.Routine, envelope(500)); noroshi.KindOf(err) != noroshi.Queued {
		t.Errorf("after two hours: %v", err)
	}
}

// TestArchivesAreBounded: done and quarantine keep the newest and no more.
func TestArchivesAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 1200 {
		put(t, []byte("x"), 48*time.Hour-time.Duration(i)*time.Second, dir, "quarantine", fmt.Sprintf("old-%04d", i))
	}
	b := inFolder(t, dir, nil)
	put(t, bytes.Repeat([]byte("spam\n"), 10), time.Hour, dir, "in", "new")
	b.until(t, "the oldest are removed", func() bool { return b.Counts().Cleared == 201 })
	left := names(t, dir, "quarantine")
	if len(left) != 1000 || left[0] != "new" || left[1] != "old-0201" {
		t.Errorf("%d are left, from %s %s on", len(left), left[0], left[1])
	}
}

// TestOptionsAreChecked: what cannot work is refused with the reason.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*mail.Options){
		"no address":        func(o *mail.Options) { o.From = "noroshi" },
		"nothing to send":   func(o *mail.Options) { o.Spool = "" },
		"tiny letters":      func(o *mail.Options) { o.MaxLetter = 1000 },
		"a strange mailbox": func(o *mail.Options) { o.Recipients = []string{"a b@c.example"} },
		"a long turn":       func(o *mail.Options) { o.Turn = 48 * time.Hour },
		"no port":           func(o *mail.Options) { o.Relay = &mail.Relay{Address: "mail.example", Security: mail.TLS} },
		"no security":       func(o *mail.Options) { o.Relay = &mail.Relay{Address: "mail.example:25"} },
		"a password in the clear": func(o *mail.Options) {
			o.Relay = &mail.Relay{Address: "mail.example:25", Security: mail.NoTLS, User: "u", Password: "p"}
		},
		"pin and CA": func(o *mail.Options) {
			o.Relay = &mail.Relay{Address: "mail.example:25", Security: mail.TLS, Pin: [32]byte{1}, CAFile: "ca.pem"}
		},
		"half a password": func(o *mail.Options) {
			o.Relay = &mail.Relay{Address: "mail.example:25", Security: mail.TLS, User: "u"}
		},
		"two lines": func(o *mail.Options) {
			o.Relay = &mail.Relay{Address: "mail.example:25", Security: mail.TLS, Hello: "a\r\nMAIL"}
		},
	} {
		o := mail.Options{From: "noroshi@jpn.example", Spool: "x"}
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		if set(&o); noroshi.KindOf(o.Validate()) != noroshi.Invalid {
			t.Errorf("%s: %v", name, o.Validate())
		}
	}
	for _, pin := range []string{"zz", strings.Repeat("a", 63), strings.Repeat("a", 66)} {
		if _, err := mail.ParsePin(pin); err == nil {
			t.Errorf("pin %q is taken", pin)
		}
	}
}
