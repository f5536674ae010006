package intake

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

// beside is a document to be kept beside the objects, and the one that is kept
// now.
type beside struct {
	lift.Beside
	former lift.Beside
	known  bool // there is a former one
}

// meetBeside looks up what earlier imports kept of the same sources.
func (im *importing) meetBeside(ctx context.Context, list []lift.Beside) error {
	im.beside = map[string]*beside{}
	for _, b := range list {
		k := &beside{Beside: b}
		im.beside[b.Key] = k
		body, err := im.gate.store.Doc(ctx, b.Kind, b.Key)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err == nil {
			k.former, err = im.lifts.Kept(body)
		}
		if err != nil {
			return noroshi.Errorf(noroshi.Broken, "import.beside", "read what is kept beside the objects of %s: %w", b.Key, err)
		}
		k.known = true
	}
	return nil
}

// keepBeside writes what has changed of them. An older state of a source takes
// the place of no later one.
func (im *importing) keepBeside(tx *store.Tx) error {
	for _, b := range im.beside {
		if b.known && (b.former.At.Compare(b.At) > 0 || bytes.Equal(b.former.Body, b.Body)) {
			continue
		}
		if err := tx.PutDoc(b.Kind, b.Key, b.Body); err != nil {
			return err
		}
	}
	return nil
}

// tagged assigns what the tags of an item say by the import's profile, or by the
// one of its format. With the import's marking the stricter of the two counts. A
// tag that a person has to judge leaves the object unmarked, whatever the import
// says; only that its source as a whole names a narrower circle is answered by a
// marking the person gives.
func (im *importing) tagged(e *element, item lift.Item) {
	if item.Object == nil || len(item.Tags) == 0 || e.version == nil {
		return
	}
	tags := item.Tags
	if im.o.Marking != noroshi.NoTLP {
		tags = slices.DeleteFunc(slices.Clone(tags), func(s string) bool { return strings.HasPrefix(s, misp.EventDistribution) })
	}
	tag, what := im.tags.strictestOf(tags)
	v := e.version
	switch {
	case tag.hold:
		v.Assign, e.mapped = nil, Mapped{Rule: LeftTag, What: what}
		e.doubt = im.fresh(item)
	case tag.level > strictest(v.Assign):
		v.Assign, e.mapped = []stix.ID{tag.level.MarkingID()}, Mapped{Rule: MappedTag, What: what, Marking: tag.level.String()}
	}
	if item.Common {
		e.mapped = Mapped{}
	}
}

// fresh reports whether the source as a whole has a tag that a person has to
// judge and that it had not when its objects were let in: what was marked then
// was marked without knowing of it.
func (im *importing) fresh(item lift.Item) bool {
	b := im.beside[item.Of]
	if b == nil || !b.known || item.Common {
		return false
	}
	return slices.ContainsFunc(b.Tags, func(tag string) bool {
		t, _ := im.tags.strictestOf([]string{tag})
		return t.hold && !slices.Contains(b.former.Tags, tag)
	})
}
