package console

import (
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// shown is the digest of what stood on the page whose form was sent.
func (v *visit) shown() (h noroshi.Hash, err error) {
	if err := h.UnmarshalText([]byte(v.r.PostFormValue("digest"))); err != nil {
		return h, noroshi.Errorf(noroshi.Invalid, "console.form", "the form cannot be read: %w", err)
	}
	return h, nil
}

// releaseApprove signs exactly what the page showed; whether that is still what
// there is, the desk says.
func releaseApprove(v *visit) error {
	id := v.r.PathValue("id")
	digest, err := v.shown()
	if err != nil {
		return err
	}
	var without []stix.ID
	for _, w := range v.r.PostForm["without"] {
		without = append(without, stix.ID(w))
	}
	by, err := v.sign(noroshi.ActApprove, id, release.ApproveBound(digest, without))
	if err != nil {
		return v.again(err, releaseShow)
	}
	done, err := ask[web.Approved](v, "release.approve", web.HoldSigned{SignedRef: web.SignedRef{Subject: id, By: by}, Digest: digest, Without: without})
	if err != nil {
		return v.again(err, releaseShow)
	}
	if done.Waiting > 0 {
		return v.goTo("/release/"+id, "signed")
	}
	return v.goTo("/release/"+id, "approved")
}

// deferWaits are the times until which a form offers to leave a hold waiting.
var deferWaits = []time.Duration{time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour, 72 * time.Hour}

// Untils are those times counted from now, to the minute, and the one the form
// had.
func (p page) Untils() (list []time.Time) {
	if had := instantOf(p.Form("until")); had.After(p.Now()) {
		list = append(list, had)
	}
	for _, w := range deferWaits {
		list = append(list, p.Now().Add(w).UTC().Truncate(time.Minute))
	}
	return list
}

// releaseDefer leaves a hold waiting, on record.
func releaseDefer(v *visit) error {
	id, why, at := v.r.PathValue("id"), v.r.PostFormValue("why-left"), v.r.PostFormValue("until")
	until := instantOf(at)
	digest, err := v.shown()
	if err == nil && at != "" && until.IsZero() {
		err = noroshi.Errorf(noroshi.Invalid, "console.form", "the form cannot be read: %q is no time", at)
	}
	if err != nil {
		return err
	}
	by, err := v.sign(noroshi.ActDefer, id, release.DeferBound(digest, why, until))
	if err != nil {
		return v.again(err, releaseShow)
	}
	_, err = ask[any](v, "release.defer", web.HoldSigned{SignedRef: web.SignedRef{Subject: id, By: by}, Digest: digest, Why: why, Until: until})
	if err != nil {
		return v.again(err, releaseShow)
	}
	return v.goTo("/release/"+id, "deferred")
}

func releaseReturn(v *visit) error {
	id, why := v.r.PathValue("id"), v.r.PostFormValue("why")
	digest, err := v.shown()
	if err != nil {
		return err
	}
	by, err := v.sign(noroshi.ActReturn, id, release.ReturnBound(digest, why))
	if err != nil {
		return v.again(err, releaseShow)
	}
	_, err = ask[any](v, "release.return", web.HoldSigned{SignedRef: web.SignedRef{Subject: id, By: by}, Digest: digest, Why: why})
	if err != nil {
		return v.again(err, releaseShow)
	}
	return v.goTo("/release/"+id, "returned")
}
