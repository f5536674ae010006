package intake

import (
	"context"
	"encoding/hex"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// list says whose entries become indicators, and as what. Its indicators are
// derivable: their bytes are a function of the node's identity, the list's name,
// the value and the time of the first import, so that a thin link can carry
// those alone.
type list struct {
	rules
	format string // "list" or "tsv"
	name   string
	self   stix.ID
	space  [16]byte // UUID of the node's identity
	first  stix.Time
}

// listName is the name a list goes by: the file's without folder and endings,
// so that a renewed file of the same name is the same list.
func listName(file string) string {
	name := path.Base(strings.ReplaceAll(file, `\`, "/"))
	for _, ending := range []string{".gz", ".txt", ".tsv", ".csv", ".list"} {
		name = strings.TrimSuffix(name, ending)
	}
	return name
}

// namespace returns the UUID of an identity.
func namespace(id stix.ID) ([16]byte, error) {
	var u [16]byte
	_, text, _ := strings.Cut(string(id), "--")
	n, err := hex.Decode(u[:], []byte(strings.ReplaceAll(text, "-", "")))
	if err != nil || n != 16 || id.Type() != "identity" {
		return u, noroshi.Errorf(noroshi.Invalid, "intake.no-identity", "a list needs the node's identity to make indicators of: %q is none", string(id))
	}
	return u, nil
}

// id derives the id of an entry's indicator, the nth: revoked is final, so an
// entry that vanished from its feed and is back has the next.
func (l *list) id(v noroshi.Value, nth int) stix.ID {
	name := l.name + "\n" + string(v.Kind) + "\n" + v.String()
	if nth > 1 {
		name += "\n" + strconv.Itoa(nth)
	}
	return stix.DeriveID("indicator", l.space, name)
}

// indicator makes the nth indicator of an entry. Member order, spelling and times
// are fixed for ever: they are what makes it derivable.
func (l *list) indicator(v noroshi.Value, nth int) (*stix.Object, error) {
	return stix.Make(
		stix.Member{Name: "type", Value: "indicator"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: l.id(v, nth)},
		stix.Member{Name: "created_by_ref", Value: l.self},
		stix.Member{Name: "created", Value: l.first},
		stix.Member{Name: "modified", Value: l.first},
		stix.Member{Name: "name", Value: l.name},
		stix.Member{Name: "indicator_types", Value: []string{"malicious-activity"}},
		stix.Member{Name: "pattern", Value: detect.PatternOf(v)},
		stix.Member{Name: "pattern_type", Value: "stix"},
		stix.Member{Name: "pattern_version", Value: "2.1"},
		stix.Member{Name: "valid_from", Value: l.first},
	)
}

// entry makes what is admitted of an entry, the nth time it is new.
func (g *Gate) entry(l *list, v noroshi.Value, nth int) element {
	o, err := l.indicator(v, nth)
	if err != nil {
		return element{refused: refuse(codeMalformed, "no indicator can be made of it: %s", err)}
	}
	values := []noroshi.Value{v}
	return element{version: &store.Version{
		Object: o, Hash: o.Hash(), Source: l.source, Creator: true, Run: l.run, Values: values,
		Assign: Assigned(o, l.assign), Flags: g.flags(values), Text: l.name,
	}}
}

// known looks an indicator of ours up: it is as it was at its first import, and
// a further import of the list changes nothing. Only our own counts: somebody
// else's object under the id is no reason to arm nothing.
func (g *Gate) known(ctx context.Context, ids []stix.ID) (map[stix.ID]*knownVersion, error) {
	held, err := g.store.Held(ctx, ids)
	if err != nil {
		return nil, err
	}
	own := map[stix.ID]*knownVersion{}
	for id, here := range held {
		if !here {
			continue
		}
		versions, err := g.store.Versions(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, r := range versions {
			if r.Source.Kind == noroshi.FromSelf {
				own[id] = &knownVersion{seq: r.Seq, tlp: max(strictest(r.Assigned), strictest(r.Object.Markings)), assigned: r.Assigned,
					over: r.Object.Revoked && !r.Withdrawn}
			}
		}
	}
	return own, nil
}

// meet counts a list entry that is here, and marks it where this import does
// and no marking was there.
func (a *Admitted) meet(tx *store.Tx, e *element) error {
	a.Unchanged++
	a.Each = append(a.Each, Outcome{Result: store.Unchanged, Seq: e.known.seq, Object: e.version.Object})
	missing := e.missing()
	if len(missing) == 0 {
		a.otherwise(e.known.tlp, e.version)
		return nil
	}
	a.Marked++
	for _, id := range missing {
		if err := tx.AssignMarking(e.known.seq, id); err != nil {
			return err
		}
	}
	return nil
}

// missing returns the markings a known entry is to get: the import's where it
// has none, and the source's own where that narrows.
func (e *element) missing() []stix.ID {
	if e.mapped.Rule == "" {
		if e.known.tlp != noroshi.NoTLP {
			return nil
		}
		return e.version.Assign
	}
	var ids []stix.ID
	for _, id := range e.version.Assign {
		level := noroshi.TLPOf(id)
		if !slices.Contains(e.known.assigned, id) && (level == noroshi.NoTLP || level > e.known.tlp) {
			ids = append(ids, id)
		}
	}
	return ids
}

// idle reports whether admitting the element writes nothing.
func (e *element) idle() bool {
	return e.refused != nil && e.kept || e.refused == nil && e.known != nil && len(e.missing()) == 0
}
