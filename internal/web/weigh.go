package web

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// WeighRef asks what would become of the objects of a STIX file, plain or gz,
// which follows the input, if they were imported with a marking or a profile.
type WeighRef struct {
	Partner noroshi.CallSign `json:"partner"`
	Name    string           `json:"name"` // of the file
	Marking string           `json:"marking,omitempty"`
	ProfileRef
}

// Weighed is the answer: each object that could be read, and how many could not.
type Weighed struct {
	Summary    []WeighedRow    `json:"summary"`
	Mapped     []intake.Mapped `json:"mapped,omitempty"` // what the profile made of them
	Objects    []Previewed     `json:"objects"`
	Unreadable int             `json:"unreadable"` // or under an id that came before
}

// WeighedRow counts the objects with one outcome for one reason: that of the
// rule that decided.
type WeighedRow struct {
	Outcome string          `json:"outcome"`
	Key     noroshi.HoldKey `json:"key,omitempty"`
	Reason  Spoken          `json:"reason"`
	Count   int             `json:"count"`
}

// maxWeighed bounds the file of one question, unpacked.
const maxWeighed = 64 << 20

func releaseWeigh(ctx context.Context, c *Call) (any, error) {
	var in WeighRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	assign, w, err := in.assign()
	if err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, string(in.Partner))
	if err != nil {
		return nil, err
	}
	objects, unreadable, err := weighable(c.Body, in.Name)
	if err != nil {
		return nil, err
	}
	w.Unreadable = unreadable
	list, err := c.Desk.Weigh(ctx, objects, release.Entry{Assign: assign, KnownGood: func(o *stix.Object) bool { return len(c.Gate.Flags(o)) > 0 }}, p.Node)
	w.Objects = make([]Previewed, 0, len(list))
	for _, v := range list {
		w.Objects = append(w.Objects, previewed(v))
	}
	w.Summary = summary(w.Objects)
	return w, err
}

// assign returns what an import with the marking or profile asked for assigns.
func (in WeighRef) assign() (func(*stix.Object) []stix.ID, *Weighed, error) {
	w := &Weighed{}
	profile, err := in.profile()
	switch {
	case err != nil:
		return nil, nil, err
	case profile != nil && in.Marking != "":
		return nil, nil, noroshi.Errorf(noroshi.Invalid, "import.profile", "a profile is for STIX and stands in place of a marking")
	case profile != nil:
		return func(o *stix.Object) []stix.ID {
			ids, m := profile.Assign(o)
			w.Mapped = intake.Tally(w.Mapped, m)
			return ids
		}, w, nil
	case in.Marking == "":
		return func(*stix.Object) []stix.ID { return nil }, w, nil
	}
	level, err := noroshi.ParseTLP(in.Marking)
	return func(o *stix.Object) []stix.ID { return intake.Assigned(o, level) }, w, err
}

// weighable reads the objects of a file, each id once.
func weighable(body io.Reader, name string) (objects []*stix.Object, unreadable int, err error) {
	file, err := intake.Open(body, name, maxWeighed)
	if err != nil {
		return nil, 0, err
	}
	seen := map[stix.ID]bool{}
	for r := stix.NewReader(file); ; {
		it, err := r.Next()
		var known *noroshi.Error
		switch {
		case err == io.EOF && len(objects)+unreadable == 0:
			return nil, 0, noroshi.Errorf(noroshi.Invalid, "release.file-empty", "there is no STIX object in the file")
		case err == io.EOF:
			return objects, unreadable, nil
		case errors.As(err, &known):
			return nil, 0, err
		case err != nil:
			return nil, 0, noroshi.Errorf(noroshi.Invalid, "release.file", "read the file: %w", err)
		}
		if it.Err != nil || seen[it.Object.ID] {
			unreadable++
			continue
		}
		seen[it.Object.ID] = true
		objects = append(objects, it.Object)
	}
}

// summary counts by outcome and deciding rule, what stays here first.
func summary(objects []Previewed) []WeighedRow {
	at := map[string]int{}
	rows := []WeighedRow{}
	for _, p := range objects {
		r := WeighedRow{Outcome: p.Outcome, Key: p.Key, Reason: deciding(p)}
		key := strings.Join([]string{r.Outcome, string(r.Key), r.Reason.Code, r.Reason.Clause, r.Reason.Marking, strings.Join(r.Reason.Args, " ")}, "\x00")
		i, ok := at[key]
		if !ok {
			i, at[key] = len(rows), len(rows)
			rows = append(rows, r)
		}
		rows[i].Count++
	}
	slices.SortStableFunc(rows, func(a, b WeighedRow) int {
		return cmp.Or(cmp.Compare(b.Reason.Outcome, a.Reason.Outcome), cmp.Compare(b.Count, a.Count))
	})
	return rows
}

// deciding is the rule an outcome comes from: a clause where it releases. Of
// rules about places in an object only their kind is said: the places differ.
func deciding(p Previewed) Spoken {
	var s Spoken
	for _, r := range p.Rules {
		if r.Reason.Outcome.String() != p.Outcome || p.Outcome == noroshi.Hold.String() && r.Key != p.Key {
			continue
		}
		if s.Code == "" || r.Clause != "" && p.Outcome == noroshi.Release.String() {
			s = r
		}
	}
	switch family, _, _ := strings.Cut(s.Code, "."); family {
	case "closure", "text", "granular", "translation":
		s.Code, s.Marking, s.Args = s.Code+release.GroupSuffix, "", nil
	}
	return s
}
