package web

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// A session is kept as a document under the hash of its token: who has the
// database cannot sign in with what is in it. Beginning and end are acts. Of each
// person the latest sessions are listed in a document of their own.
const (
	docSession  = "session"      // key: Session.ID
	docSessions = "session-list" // key: Person.ID; body: ids, the latest last
	docCodeUsed = "code-used"    // key: Person.ID; body: step of the code used last
	docBrowsers = "browsers"     // key: Person.ID; body: []knownBrowser, the latest last
	docCounter  = "passkey-used" // key: credential id; body: counter of its last signature
)

// SessionLasts is how long a session lasts from signing in, whatever happens: a
// shift.
const SessionLasts = 12 * time.Hour

// maxSessions bounds the sessions a person has at a time; the oldest ends.
const maxSessions = 16

// Session is one person signed in from one browser.
type Session struct {
	ID      string    `json:"id"` // hash of its token, hex
	Person  string    `json:"person"`
	Way     string    `json:"way"`     // "passphrase", "code" (passphrase and code), "passkey", "oidc"
	Browser string    `json:"browser"` // as it names itself
	Address string    `json:"address"` // where it asked from
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"` // by the person, or by an administrator
}

// Lasts reports whether the session is not over; that it was idle is the
// console's to know.
func (s Session) Lasts(now time.Time) bool {
	return s.Ended.IsZero() && now.Before(s.Began.Add(SessionLasts))
}

// SessionIdle is after how long a session ends of which no page is open and none is
// asked for, unless the rules say otherwise.
const SessionIdle = 30 * time.Minute

// SignInRules are what noroshi.toml says about signing in to the console.
type SignInRules struct {
	PassphraseOnly bool          // no second factor is asked for, even of who has one
	Idle           time.Duration // after so long without a page asked for by its person a session ends, open or not; 0 = SessionIdle, and an open page lasts
}

// SignIn is a person's way in as it was found good.
type SignIn struct {
	By      noroshi.Signed // over ActSignIn; zero where another server vouches
	Code    int64          // step of the code that was used, 0 = none
	Passkey *noroshi.Assertion
	Browser string // hash of what the browser is known by from now on, "" = it is not
}

// knownBrowser is one a person signed in with.
type knownBrowser struct {
	Hash  string    `json:"hash"`
	Until time.Time `json:"until"`
}

const (
	browserKnown  = 90 * 24 * time.Hour
	knownBrowsers = 8 // of a person; the one not used longest goes
)

// KnowsBrowser reports whether a person signed in with a browser lately.
func (s *Services) KnowsBrowser(ctx context.Context, person, hash string) (bool, error) {
	all, err := store.DocOrZero[[]knownBrowser](ctx, s.Store.Reads, docBrowsers, person)
	return slices.ContainsFunc(all, func(b knownBrowser) bool { return b.Hash == hash && s.Now().Before(b.Until) }), err
}

// know notes the browser of a sign-in.
func (in SignIn) know(ctx context.Context, tx *store.Tx, begun Session) error {
	if in.Browser == "" {
		return nil
	}
	all, err := store.DocOrZero[[]knownBrowser](ctx, tx.Reads, docBrowsers, begun.Person)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(b knownBrowser) bool { return b.Hash == in.Browser })
	all = append(all, knownBrowser{in.Browser, begun.Began.Add(browserKnown)})
	return tx.PutJSON(docBrowsers, begun.Person, all[max(0, len(all)-knownBrowsers):])
}

// BeginSession puts a sign-in on record and begins its session. Each code and
// each count of a passkey is good once: Conflict when it was used meanwhile.
func (s *Services) BeginSession(ctx context.Context, begun Session, in SignIn) error {
	act := noroshi.Act{Action: noroshi.ActSignIn, Subject: begun.Person, Precedence: noroshi.Immediate}
	if in.By.Person != "" {
		act.Persons = []noroshi.Signed{in.By}
	}
	_, err := s.Store.Do(ctx, act, func(tx *store.Tx) error {
		if err := in.use(ctx, tx, begun.Person); err != nil {
			return err
		}
		if err := in.know(ctx, tx, begun); err != nil {
			return err
		}
		ids, err := sessionsOf(ctx, tx.Reads, begun.Person)
		if err != nil {
			return err
		}
		if len(ids) >= maxSessions {
			if err := endOne(ctx, tx, ids[0], begun.Began); err != nil {
				return err
			}
			ids = ids[1:]
		}
		if err := tx.PutJSON(docSessions, begun.Person, append(ids, begun.ID)); err != nil {
			return err
		}
		return tx.PutJSON(docSession, begun.ID, begun)
	})
	return err
}

// endSessions ends all sessions of a person but one.
func endSessions(ctx context.Context, tx *store.Tx, person, but string) error {
	ids, err := sessionsOf(ctx, tx.Reads, person)
	for _, id := range ids {
		if err == nil && id != but {
			err = endOne(ctx, tx, id, tx.Time().UTC())
		}
	}
	return err
}

func endOne(ctx context.Context, tx *store.Tx, id string, now time.Time) error {
	old, err := store.DocOf[Session](ctx, tx.Reads, docSession, id)
	if err != nil || !old.Lasts(now) {
		return err
	}
	old.Ended = now
	return tx.PutJSON(docSession, id, old)
}

// use notes what is good once.
func (in SignIn) use(ctx context.Context, tx *store.Tx, person string) error {
	if in.Code != 0 {
		used, err := CodeUsed(ctx, tx.Reads, person)
		if err != nil {
			return err
		}
		if in.Code <= used {
			return noroshi.Errorf(noroshi.Conflict, "console.code-used", "this code was used already: wait for the next one")
		}
		if err := tx.PutJSON(docCodeUsed, person, in.Code); err != nil {
			return err
		}
	}
	if in.Passkey == nil {
		return nil
	}
	return count(ctx, tx, *in.Passkey)
}

// CodeUsed is the step of the code a person used last, 0 when they used none.
func CodeUsed(ctx context.Context, r store.Reads, person string) (int64, error) {
	return store.DocOrZero[int64](ctx, r, docCodeUsed, person)
}

// count keeps a passkey's counter. One that does not rise is a copy of the
// passkey, or the passkey while a copy of it is in use (WebAuthn §6.1.1): refused.
// Authenticators that do not count say 0 for ever.
func count(ctx context.Context, tx *store.Tx, a noroshi.Assertion) error {
	key := noroshi.Sum(a.Credential).String()
	last, err := store.DocOrZero[uint32](ctx, tx.Reads, docCounter, key)
	switch {
	case err != nil || a.Counter() == 0 && last == 0:
		return err
	case a.Counter() == last: // a form that was sent twice
		return noroshi.Errorf(noroshi.Conflict, "passkey.used", "this signature was used already")
	case a.Counter() < last:
		return noroshi.Errorf(noroshi.Forbidden, "passkey.counter", "this passkey has signed %d times and says %d: it may have been copied", last, a.Counter())
	}
	return tx.PutJSON(docCounter, key, a.Counter())
}

// CountPasskey keeps the counter of a passkey that signed an act, and refuses one
// that does not rise.
func (s *Services) CountPasskey(ctx context.Context, person string, a noroshi.Assertion) error {
	if a.Counter() == 0 {
		if last, err := store.DocOrZero[uint32](ctx, s.Store.Reads, docCounter, noroshi.Sum(a.Credential).String()); err != nil || last == 0 {
			return err
		}
	}
	_, err := s.Store.Do(ctx, noroshi.Act{Action: noroshi.ActPasskey, Subject: person, Precedence: noroshi.Immediate}, func(tx *store.Tx) error { return count(ctx, tx, a) })
	return err
}

func sessionsOf(ctx context.Context, r store.Reads, person string) ([]string, error) {
	return store.DocOrZero[[]string](ctx, r, docSessions, person)
}

// SessionOf returns a session by its id; NotFound when there is none.
func (s *Services) SessionOf(ctx context.Context, id string) (Session, error) {
	return store.DocOf[Session](ctx, s.Store.Reads, docSession, id)
}

// Sessions lists the sessions of a person that are not over, the latest first.
func (s *Services) Sessions(ctx context.Context, person string) ([]Session, error) {
	ids, err := sessionsOf(ctx, s.Store.Reads, person)
	if err != nil {
		return nil, err
	}
	rows := []Session{}
	for _, id := range slices.Backward(ids) {
		x, err := s.SessionOf(ctx, id)
		if err != nil {
			return nil, err
		}
		if x.Lasts(s.Now()) {
			rows = append(rows, x)
		}
	}
	return rows, nil
}

func sessionList(ctx context.Context, c *Call) (any, error) {
	var in PersonRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if err := ownOrAdministrator(ctx, in.Person); err != nil {
		return nil, err
	}
	return c.Sessions(ctx, in.Person)
}

// SessionRef names a session of a person.
type SessionRef struct {
	Person  string `json:"person"`
	Session string `json:"session"`
}

func sessionEnd(ctx context.Context, c *Call) (any, error) {
	var in SessionRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if err := ownOrAdministrator(ctx, in.Person); err != nil {
		return nil, err
	}
	subject := in.Person
	if by := callerOf(ctx); by != "" && by != in.Person {
		subject += " " + by // who ended it
	}
	_, err := c.Store.Do(ctx, noroshi.Act{Action: noroshi.ActSignOut, Subject: subject, Precedence: noroshi.Immediate}, func(tx *store.Tx) error {
		x, err := store.DocOrZero[Session](ctx, tx.Reads, docSession, in.Session)
		switch {
		case err != nil:
			return err
		case x.Person != in.Person || !x.Lasts(c.Now()):
			return noroshi.Errorf(noroshi.NotFound, "session.unknown", "%s has no such session", in.Person)
		}
		x.Ended = c.Now().UTC()
		return tx.PutJSON(docSession, x.ID, x)
	})
	return nil, err
}
