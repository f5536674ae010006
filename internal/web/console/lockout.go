package console

import (
	"crypto/ed25519"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Who guesses is made to wait: after a few wrong tries in a name, or from an
// address, each further one takes longer, up to a quarter of an hour, and while
// one waits nothing is looked at. It ends by itself, so that nobody is locked out
// for ever by somebody who guesses in their name; and a browser that the person
// has signed in with before has tries of its own in their name, so that guesses elsewhere do not
// delay them at all, nor those of a neighbour behind the same address. What a
// passkey signs cannot be guessed and never waits. A name that nobody has counts
// like one that somebody has. The counts are in memory: whoever can restart the
// node need not guess.
type tries struct {
	mu    sync.Mutex
	wrong map[string]wrong
}

// wrong is what was tried under one key.
type wrong struct {
	times int
	last  instant
}

const (
	freeByName    = 5  // wrong tries that cost nothing
	freeByAddress = 25 // a proxy has many behind it
	longestWait   = 15 * time.Minute
	forgotten     = 2 * time.Hour // without a wrong try
	maxTried      = 4096          // names and addresses remembered; the one left alone longest goes
)

// trying is one try: the keys it counts under.
type trying struct{ name, address string }

// wait is how long a try must still wait.
func (t *tries) wait(x trying, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(t.wrong[x.name].wait(freeByName, now), t.wrong[x.address].wait(freeByAddress, now))
}

func (w wrong) wait(free int, now time.Time) time.Duration {
	if w.times < free || now.Sub(w.last) > forgotten {
		return 0
	}
	pause := min(time.Second<<min(w.times-free+1, 20), longestWait)
	return w.last.Add(pause).Sub(now)
}

// failed counts a wrong try.
func (t *tries) failed(x trying, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range []string{x.name, x.address} {
		if key == "" {
			continue
		}
		w, known := t.wrong[key]
		if !known && len(t.wrong) >= maxTried {
			t.forgetOne()
		}
		if now.Sub(w.last) > forgotten {
			w.times = 0
		}
		t.wrong[key] = wrong{w.times + 1, now}
	}
}

func (t *tries) forgetOne() {
	var oldest string
	var last time.Time
	for key, w := range t.wrong {
		if oldest == "" || w.last.Before(last) {
			oldest, last = key, w.last
		}
	}
	delete(t.wrong, oldest)
}

// good forgets what was tried in a name: they are who they say.
func (t *tries) good(x trying) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.wrong, x.name)
}

// mayTry says how long a try must wait, as an error.
func (v *visit) mayTry(x trying) error {
	if d := v.tries.wait(x, v.Now()); d > 0 { // it may have queued since it came
		return noroshi.Errorf(noroshi.Busy, "console.wait", "too many wrong tries: wait %d seconds", int(d.Seconds())+1)
	}
	return nil
}

// unseals bounds how many passphrases are tried at once: each takes 19 MiB.
const unseals = 2

// try runs one try of a passphrase in one of the places for it. Tries that come
// all at once queue for a place, so whether one must wait is asked again once it
// has its place, and that it was wrong is counted before the place is given back:
// each sees what those before it came to.
func (v *visit) try(x trying, open func() error) error {
	if err := v.mayTry(x); err != nil {
		return err
	}
	select {
	case v.unsealing <- struct{}{}:
	case <-v.ctx.Done():
		return v.ctx.Err()
	}
	defer func() { <-v.unsealing }()
	if err := v.mayTry(x); err != nil {
		return err
	}
	err := open()
	switch {
	case err == nil:
		v.tries.good(x)
	case noroshi.KindOf(err) == noroshi.Forbidden:
		v.tries.failed(x, v.Now())
	}
	return err
}

// unseal opens a person's key with the passphrase in a field of the form; it is
// called within try.
func (v *visit) unseal(p noroshi.Person, field string) (ed25519.PrivateKey, error) {
	return p.Unseal([]byte(v.r.PostFormValue(field)))
}

// unsealOwn opens the reader's own key with the passphrase of the form; who has
// got hold of somebody's session guesses as slowly as at the door.
func (v *visit) unsealOwn() (key ed25519.PrivateKey, err error) {
	err = v.try(trying{name: "session " + v.session.ID}, func() (err error) {
		key, err = v.unseal(v.person, "passphrase")
		return err
	})
	if noroshi.KindOf(err) == noroshi.Forbidden {
		v.Refusals.Note(v.ctx, "sign", v.address(), v.person.ID, noroshi.CodeOf(err))
	}
	return key, err
}
