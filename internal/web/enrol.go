package web

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// EnrolRef carries an enrolment and the signature of partner.Office.Enrol.
type EnrolRef struct {
	Enrolment partner.Enrolment `json:"enrolment"`
	By        noroshi.Signed    `json:"by"`
}

// personEnrol also ends what the person is signed in with but for the session that
// asks: who has the passkey that goes, or the former code generator, may be in one.
func personEnrol(ctx context.Context, c *Call) (any, error) {
	var in EnrolRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Office.Enrol(ctx, in.Enrolment, in.By, func(tx *store.Tx, before noroshi.Person) error {
		if !in.Enrolment.Loosens(before) {
			return nil
		}
		return endSessions(ctx, tx, in.Enrolment.Person, sessionOf(ctx))
	})
}

// SignOnSubject is who somebody is at a sign-on server, as a person's record has
// it. An issuer has no blank in it.
func SignOnSubject(issuer, subject string) string { return issuer + " " + subject }
