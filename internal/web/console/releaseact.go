package console

import (
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
