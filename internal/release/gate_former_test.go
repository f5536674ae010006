package release_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestFormerVersionNamesNothing: a former version that was released and has not
// gone does not go for its later one when it names what may not go, or is a
// translation of what may not be said any more.
func TestFormerVersionNamesNothing(t *testing.T) {
	report := func(refs ...stix.ID) string {
		return object("report", 3, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":["%s"]`,
			strings.Join([]string{string(refs[0]), string(refs[len(refs)-1])}, `","`)))
	}
	tool := func(members string) string {
		return object("tool", 4, usa.Identity, noroshi.Green, `,"name":"n"`+members)
	}
	words := func(contents string) string {
		return object("language-content", 5, usa.Identity, noroshi.Green, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{%s}}`, id("tool", 4), contents))
	}
	for name, x := range map[string]struct {
		before, after []string
		relabel       stix.ID
	}{
		"a reference": {[]string{object("indicator", 1, usa.Identity, noroshi.Green, ""), report(id("indicator", 1), usa.Identity)},
			[]string{later(report(usa.Identity))}, id("indicator", 1)},
		"a translation": {[]string{tool(`,"description":"zz-secret"`), words(`"name":"n","description":"zz-secret"`)},
			[]string{later(granular(tool(`,"description":"zz-secret"`), noroshi.Red.MarkingID(), "description")), later(words(`"name":"n"`))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, jpn)
			var seqs []int64
			for _, b := range x.before {
				seqs = append(seqs, o.put(version(t, made, "", b))...)
			}
			o.settle()
			if x.relabel != "" {
				o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(seqs[0], noroshi.Red.MarkingID()) })
			}
			for _, b := range x.after {
				o.put(version(t, made, "", b))
			}
			wire := fmt.Sprint(o.sends(jpn)) // the courier is faster than the desk
			o.settle()
			wire += fmt.Sprint(o.sends(jpn))
			if strings.Contains(wire, "zz-secret") || x.relabel != "" && strings.Contains(wire, string(x.relabel)) {
				t.Errorf("leaves: %s", wire)
			}
			if !strings.Contains(wire, string(id("report", 3))) && !strings.Contains(wire, string(id("language-content", 5))) {
				t.Errorf("the later version does not leave: %s", wire)
			}
		})
	}
}

// TestReferenceToTwoBodies: an id of which two bodies are kept is here and
// withheld, so that no reference names it.
func TestReferenceToTwoBodies(t *testing.T) {
	o := newOffice(t, jpn)
	body := object("malware", 1, usa.Identity, noroshi.Green, `,"name":"m","is_family":false`)
	o.put(version(t, made, "", body), version(t, made, "", strings.Replace(body, `"name":"m"`, `"name":"n"`, 1)),
		version(t, made, "", object("tool", 2, usa.Identity, noroshi.Green, fmt.Sprintf(`,"name":"t","x_from_ref":%q`, id("malware", 1)))))
	o.settle()
	got := o.sends(jpn)
	has(t, got, id("tool", 2))
	if strings.Contains(fmt.Sprint(got), string(id("malware", 1))) {
		t.Errorf("leaves: %s", got)
	}
}

// TestNoEchoToTheMaker: what names the partner as its maker is not sent back to
// it, whoever brought it here; what refers to it goes.
func TestNoEchoToTheMaker(t *testing.T) {
	o := newOffice(t, jpn, kor)
	fromKOR := fromJPN
	fromKOR.Partner = kor.Node
	o.put(version(t, fromKOR, "", object("indicator", 1, jpn.Identity, noroshi.Green, "")),
		version(t, fromFile, "", object("indicator", 2, jpn.Identity, noroshi.Green, "")),
		version(t, made, "", object("sighting", 3, usa.Identity, noroshi.Green, fmt.Sprintf(`,"sighting_of_ref":%q`, id("indicator", 1)))))
	o.settle()
	has(t, o.sends(jpn), id("sighting", 3))
	has(t, o.sends(kor), id("indicator", 2), id("sighting", 3))
}

// TestMarkedTwice: an object that names a marking twice can be approved.
func TestMarkedTwice(t *testing.T) {
	o := newOffice(t, jpn)
	mark := id("marking-definition", 8)
	o.put(version(t, made, "", definition(8, "", allowed)), version(t, made, "", marked(object("indicator", 1, usa.Identity, noroshi.Amber, ""), mark, mark)))
	o.settle()
	o.twoApprove(o.holds()[0].ID)
	has(t, o.sends(jpn), id("indicator", 1), mark)
}
