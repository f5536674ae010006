package console

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// MarkLevels are the markings a form offers.
func (page) MarkLevels() []noroshi.TLP { return noroshi.TLPs() }

// releaseMark assigns one level to the objects that were ticked, each under a
// signature of its own over the version that the page showed: as many as a page
// shows, and none when one of them is another by now, or is gone.
func releaseMark(v *visit) error {
	id := v.r.PathValue("id")
	err := v.markTicked(id)
	if err != nil {
		return v.again(err, releaseShow)
	}
	return v.goTo("/release/"+id, "marked")
}

func (v *visit) markTicked(id string) error {
	level, err := noroshi.ParseTLP(v.r.PostFormValue("marking"))
	if err != nil {
		return err
	}
	ticked := v.r.PostForm["object"]
	if len(ticked) == 0 {
		return noroshi.Errorf(noroshi.Invalid, "console.nothing-ticked", "no object is ticked")
	}
	var d releaseData
	if err := v.holdIn(&d, id, false); err != nil {
		return err
	}
	there := map[string]noroshi.Hash{}
	for _, o := range d.Page.Objects {
		there[string(o.ID)] = o.Hash
	}
	for _, o := range ticked {
		if h := there[o]; h.IsZero() || v.r.PostFormValue("hash-"+o) != h.String() {
			return noroshi.Errorf(noroshi.Conflict, "console.changed", "%s has changed meanwhile: look at it again", o)
		}
	}
	for _, o := range ticked {
		by, err := v.sign(noroshi.ActAssignMarking, o, intake.MarkBound(there[o], level))
		if err != nil {
			return err
		}
		if _, err := ask[web.Marked](v, "marking.assign", web.MarkRef{Object: stix.ID(o), Marking: level.String(), By: by}); err != nil {
			return err
		}
	}
	return nil
}

// redraftData is an object and a clear text that is drawn from it.
type redraftData struct {
	Hold   web.HoldDetail
	Object web.Compared
	Clear  string
}

func redraftForm(v *visit) error {
	d, err := v.redraftData()
	if err != nil {
		return err
	}
	return v.show("release-redraft", d)
}

func (v *visit) redraftData() (d redraftData, err error) {
	id, object := v.r.PathValue("id"), stix.ID(v.r.PathValue("object"))
	if d.Hold, err = ask[web.HoldDetail](v, "release.show", web.HoldRef{Hold: id}); err != nil {
		return d, err
	}
	list, err := askAside[[]web.Previewed](v, "release.preview", web.PreviewRef{Partner: d.Hold.Partner, Subject: string(object)})
	if err != nil {
		return d, err
	}
	if len(list) != 1 || !waitsIn(list[0], id) {
		return d, noroshi.Errorf(noroshi.NotFound, "hold.none", "no object %s in hold %s", object, id)
	}
	d.Object.Previewed = list[0]
	if err := v.shows(list); err != nil {
		return d, err
	}
	if d.Clear = v.r.PostFormValue("clear"); d.Clear == "" {
		d.Clear, err = clearOf(d.Object.Held)
	}
	return d, err
}

// waitsIn reports whether an object waits in an open hold.
func waitsIn(o web.Previewed, hold string) bool {
	return slices.ContainsFunc(o.Rules, func(s web.Spoken) bool { return s.Code == "hold.open" && slices.Contains(s.Args, hold) })
}

// clearOf is an object as a draft of its clear text: without what the node sets
// itself and without what a marking says.
func clearOf(held string) (string, error) {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(held), &members); err != nil {
		return "", err
	}
	for _, name := range []string{"id", "type", "spec_version", "created", "modified", "created_by_ref", "revoked", "object_marking_refs", "granular_markings", "external_references"} {
		delete(members, name)
	}
	b, err := json.MarshalIndent(members, "", "  ")
	return string(b), err
}

// redraft has a new object drawn, which a person signs for.
func redraft(v *visit) error {
	object := stix.ID(v.r.PathValue("object"))
	d, err := v.redraftData()
	if err != nil { // of what waits here alone
		return err
	}
	if v.r.PostFormValue("seq") != strconv.FormatInt(d.Object.Seq, 10) {
		return v.again(noroshi.Errorf(noroshi.Conflict, "console.changed", "%s has changed meanwhile: look at it again", object), redraftForm)
	}
	drawn, err := ask[web.Redrawn](v, "indicator.redraw", intake.Redraft{Original: object, Clear: v.r.PostFormValue("clear"), Markings: []string{v.r.PostFormValue("marking")}})
	if err != nil {
		return v.again(err, redraftForm)
	}
	by, err := v.sign(noroshi.ActReauthor, string(object), intake.ReauthorBound([]byte(drawn.Object), []byte(drawn.Link)))
	if err != nil {
		return v.again(err, redraftForm)
	}
	if _, err := ask[any](v, "indicator.reauthor", web.ReauthorRef{Redraft: drawn.Redraft, By: by}); err != nil {
		return v.again(err, redraftForm)
	}
	return v.goTo("/release/"+v.r.PathValue("id"), "redrawn")
}
