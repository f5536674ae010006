package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Bounds of what refusals put on record.
const (
	maxRefused   = 80          // bytes of each word of one
	refusedPause = time.Minute // one that is repeated within it is counted
	refusedApart = 256         // told apart within it; further ones are counted by operation and reason
)

// refused puts on record that an act of a person was refused: what, about what,
// in whose name, and why. The name is what the caller claimed.
func (c *Call) refused(ctx context.Context, name string, op Op, err error) {
	var e *noroshi.Error
	kinds := []noroshi.Kind{noroshi.Forbidden, noroshi.Refused, noroshi.Conflict, noroshi.NotFound}
	about, person := claimed(c.Input)
	if !op.Signed && op.Action != noroshi.ActAddPerson && person == "" || !errors.As(err, &e) || !slices.Contains(kinds, noroshi.KindOf(err)) {
		return
	}
	c.Refusals.add(context.WithoutCancel(ctx), name, about, person, e.Code)
}

// claimed reads from the input of an operation what it was to be about and who
// was to have signed.
func claimed(input []byte) (about, person string) {
	var in struct {
		By      noroshi.Signed `json:"by"`
		Subject string         `json:"subject"`
		Hash    string         `json:"hash"`
		Message string         `json:"message"`
		Node    string         `json:"node"`
		Partner string         `json:"partner"`
		Seq     int64          `json:"seq"` // in quarantine
		For     string         `json:"for"`
		Name    string         `json:"name"`
		File    []byte         `json:"file"`
		Card    []byte         `json:"card"`
		Person  noroshi.Person `json:"person"`
		Order   struct {
			noroshi.Order
			Object string `json:"object"`
		} `json:"order"`
		Draft struct {
			ID string `json:"id"`
		} `json:"draft"`
		Removal struct {
			Person string `json:"person"`
		} `json:"removal"`
		Enrolment struct {
			Person string `json:"person"`
		} `json:"enrolment"`
		Token struct {
			Name string `json:"name"`
		} `json:"token"`
		ID string `json:"id"` // of a token
		Of string `json:"of"` // what a translation is of
	}
	if json.Unmarshal(input, &in) != nil {
		return "?", in.By.Person
	}
	for _, file := range [][]byte{in.File, in.Card} {
		if len(file) > 0 {
			return noroshi.Sum(file).String(), in.By.Person
		}
	}
	for _, s := range []string{in.Subject, in.Hash, in.Message, in.Order.Object, in.Order.Subject(), in.Draft.ID, in.Person.ID, in.Removal.Person, in.Enrolment.Person, in.Token.Name, in.ID, in.Of, in.Node, in.Partner, in.For, in.Name} {
		if strings.Trim(s, "0") != "" {
			return s, in.By.Person
		}
	}
	if in.Seq != 0 {
		return strconv.FormatInt(in.Seq, 10), in.By.Person
	}
	return "", in.By.Person
}

// Refusals puts refused acts on record so that whoever is refused without end
// does not fill the ledger: the first of a kind at once, its repetitions within
// a minute as one act with their count when the minute ends, or the node does.
type Refusals struct {
	s   *store.Store
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	told map[string]*refusal // by the act's subject
}

// refusal is one that is on record, and how often it came again.
type refusal struct {
	at    time.Time
	again int
}

// NewRefusals returns the refusals of a node. Run keeps them while it serves;
// Settle must be called before the store is closed.
func NewRefusals(s *store.Store, log *slog.Logger, now func() time.Time) *Refusals {
	return &Refusals{s: s, log: log, now: now, told: map[string]*refusal{}}
}

// Run writes what was counted as the minutes end, until ctx does.
func (r *Refusals) Run(ctx context.Context) error {
	tick := time.NewTicker(refusedPause / 6)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.mu.Lock()
			acts := r.ended(false)
			r.mu.Unlock()
			r.write(ctx, acts)
		}
	}
}

// Settle writes everything that was counted.
func (r *Refusals) Settle(ctx context.Context) {
	r.mu.Lock()
	acts := r.ended(true)
	r.mu.Unlock()
	r.write(ctx, acts)
}

// Note puts on record that somebody was refused who called no operation: at the
// door of the console.
func (r *Refusals) Note(ctx context.Context, what, about, person, code string) {
	r.add(context.WithoutCancel(ctx), what, about, person, code)
}

func (r *Refusals) add(ctx context.Context, op, about, person, code string) {
	r.mu.Lock()
	acts := r.ended(false)
	subject := refusedSubject(op, about, person, code)
	if r.told[subject] == nil && len(r.told) >= refusedApart {
		subject = refusedSubject(op, "*", "*", code)
	}
	if again := r.told[subject]; again != nil {
		again.again++
	} else {
		r.told[subject] = &refusal{at: r.now()}
		acts = append(acts, refusedAct(subject, 0))
	}
	r.mu.Unlock()
	r.write(ctx, acts)
}

// ended forgets the refusals whose minute is over, or all, and returns the acts
// that say how often they came again. The caller holds mu.
func (r *Refusals) ended(all bool) (acts []noroshi.Act) {
	for subject, x := range r.told {
		if since := r.now().Sub(x.at); !all && since >= 0 && since < refusedPause {
			continue
		}
		delete(r.told, subject)
		if x.again > 0 {
			acts = append(acts, refusedAct(subject, x.again))
		}
	}
	slices.SortFunc(acts, func(a, b noroshi.Act) int { return strings.Compare(a.Subject, b.Subject) })
	return acts
}

// write puts acts on record. A refusal that cannot be recorded stays a refusal.
func (r *Refusals) write(ctx context.Context, acts []noroshi.Act) {
	for _, act := range acts {
		if _, err := r.s.Do(ctx, act, func(*store.Tx) error { return nil }); err != nil && r.log != nil {
			r.log.Warn("a refusal was not recorded", "subject", act.Subject, "count", act.Count, "err", err)
		}
	}
}

func refusedAct(subject string, again int) noroshi.Act {
	return noroshi.Act{Action: noroshi.ActRefuse, Subject: subject, Count: again, Precedence: noroshi.Immediate}
}

func refusedSubject(words ...string) string {
	for i, w := range words {
		w = strings.ToValidUTF8(w[:min(len(w), maxRefused)], "")
		if words[i] = strings.Join(strings.Fields(w), "_"); words[i] == "" {
			words[i] = "-"
		}
	}
	return strings.Join(words, " ")
}
