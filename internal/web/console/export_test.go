package console

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// Failed is the page that says that a page failed.
func Failed(l locale.Lang, log *slog.Logger, err error) *httptest.ResponseRecorder {
	c := &Console{Services: &web.Services{Realm: noroshi.Real, Log: log, Now: time.Now}, views: sync.OnceValue(func() views { return parse(time.Now) })}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/partners", nil)
	v := visit{Console: c, w: w, r: r, ctx: r.Context(), now: c.Now(), lang: l}
	v.fail(err)
	return w
}

// Network is what wrong tries from an address are counted by.
func Network(remote string) string {
	v := visit{r: &http.Request{RemoteAddr: remote}}
	return v.network()
}

// Paced holds who asks a handler to the pace of the console.
func Paced(next http.Handler) http.Handler { return paced(next) }

// PacedWithin is Paced with another time that a body may keep the node waiting.
func PacedWithin(next http.Handler, waits time.Duration) http.Handler {
	return pacedWithin(next, waits)
}

// Tries are the wrong tries of a console, for tests that have a clock.
type Tries struct{ t tries }

// NewTries returns none.
func NewTries() *Tries { return &Tries{tries{wrong: map[string]wrong{}}} }

// Wait is how long a try in a name from an address must wait.
func (t *Tries) Wait(name, address string, now time.Time) time.Duration {
	return t.t.wait(trying{name, address}, now)
}

// Failed counts a wrong one.
func (t *Tries) Failed(name, address string, now time.Time) { t.t.failed(trying{name, address}, now) }

// Known is how many names and addresses are remembered.
func (t *Tries) Known() int { return len(t.t.wrong) }

// ByPerson reports whether a request is a person's and not that of a page that
// updates itself.
func ByPerson(r *http.Request) bool {
	v := visit{r: r}
	return v.byPerson()
}

// Idle tells idle sessions, for tests that have a clock.
type Idle struct{ i *idle }

// NewIdle returns one that knows of no session, by what noroshi.toml says.
func NewIdle(rules web.SignInRules) *Idle { return &Idle{newIdle(rules)} }

// Over reports whether a session is over when a page is asked for, by its person
// or by the page itself.
func (i *Idle) Over(id string, now time.Time, person bool) bool { return i.i.over(id, now, person) }

// PageOf returns the pattern of the page that a form's route is sent from.
func PageOf(pattern string) string { return pages()[pattern] }

// ParsePages parses the page of every file in each language, and returns how many.
func ParsePages() (n int) {
	for _, pages := range parse(time.Now) {
		for _, page := range pages {
			page()
			n++
		}
	}
	return n
}

// RuleText says what a rule said.
func RuleText(l locale.Lang, names map[stix.ID]web.Named, s web.Spoken) string {
	return ruleText(l, names, s)
}

// Said says a value of a field, and what stands in the object where that is a name.
func Said(l locale.Lang, names map[stix.ID]web.Named, path, value string, theirs bool) (text, id string) {
	s := saidOf(l, path, []web.Span{{Text: value}}, names, theirs).List[0]
	return s.Text, s.ID
}
