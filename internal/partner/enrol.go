package partner

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Enrolment is one change of the ways a person has beside their passphrase: a
// passkey or a code generator comes, or goes. Exactly one of the fields after
// Number is set.
type Enrolment struct {
	Person string           `json:"person"`
	Number int              `json:"number"` // one more than the person's Changes: what was signed for once does not count again
	Add    *noroshi.Passkey `json:"add,omitempty"`
	Remove []byte           `json:"remove,omitempty"`  // credential id of a passkey
	Code   []byte           `json:"code,omitempty"`    // noroshi.SealCode; a new one takes the place of the former
	NoCode bool             `json:"no_code,omitempty"` // the code generator goes
	SignOn *string          `json:"sign_on,omitempty"` // issuer and subject at a sign-on server; "" = none
}

// Bound is what the signature over an enrolment covers beside the person's id.
func (e Enrolment) Bound() noroshi.Hash {
	b, _ := json.Marshal(e) // strings, bytes and a time: cannot fail
	return noroshi.Sum(b)
}

// maxPasskeys bounds the passkeys a person has at a time, and those they had.
const (
	maxPasskeys       = 8
	maxFormerPasskeys = 64
)

// Enrol does an enrolment. What comes is signed by the person with their own
// key, which takes their passphrase: a passkey cannot bring another. What goes
// may be signed by an administrator too, for who has lost it; that takes a way to
// sign in, and gives nobody one. Who somebody is at a sign-on server an
// administrator says, who is not that person: the server vouches for its subjects
// and does not know ours. The signature is over ActEnrol on the person's
// id, bound to the enrolment's Bound. What hangs on it is done by with in the same
// act, which gets the person's record as it was.
func (o *Office) Enrol(ctx context.Context, e Enrolment, by noroshi.Signed, with func(*store.Tx, noroshi.Person) error) error {
	act := noroshi.Act{Action: noroshi.ActEnrol, Persons: []noroshi.Signed{by}, Subject: e.Person, Precedence: noroshi.Immediate}
	_, err := o.store.Do(ctx, act, func(tx *store.Tx) error {
		all, err := tx.Persons(ctx)
		if err != nil {
			return err
		}
		if err := o.mayEnrol(all, e, by); err != nil {
			return err
		}
		p, err := o.enrolled(all, e)
		if err != nil {
			return err
		}
		if err := tx.PutJSON(noroshi.DocPerson, p.ID, p); err != nil {
			return err
		}
		return with(tx, all[e.Person])
	})
	return err
}

// mayEnrol says why this signature does not do for an enrolment.
func (o *Office) mayEnrol(all noroshi.Register, e Enrolment, by noroshi.Signed) error {
	signer := all[by.Person]
	if err := signer.Check(by, noroshi.ActEnrol, o.digest(noroshi.ActEnrol, e.Person, e.Bound())); err != nil {
		return err
	}
	_, passkey := noroshi.UnpackAssertion(by.Signature)
	goes := e.Remove != nil || e.NoCode
	switch {
	case e.SignOn != nil && signer.Has(noroshi.Administrator) && by.Person != e.Person:
		return nil
	case e.SignOn != nil:
		return noroshi.Errorf(noroshi.Forbidden, "person.link", "an administrator who is not %s links them to a sign-on server", e.Person)
	case by.Person == e.Person && (goes || !passkey), goes && signer.Has(noroshi.Administrator):
		return nil
	case by.Person == e.Person:
		return noroshi.Errorf(noroshi.Forbidden, "person.enrol-passphrase", "a passkey or code generator is added with the passphrase of %s", e.Person)
	}
	return noroshi.Errorf(noroshi.Forbidden, "person.enrol-own", "%s may not change how %s signs in", by.Person, e.Person)
}

// Loosens reports whether an enrolment takes away, or puts another in the place
// of, what sessions of the person may have begun with.
func (e Enrolment) Loosens(before noroshi.Person) bool {
	return e.Remove != nil || e.NoCode || e.Code != nil && len(before.Code) > 0 || e.SignOn != nil && before.SignOn != ""
}

// enrolled returns the person's record after an enrolment.
func (o *Office) enrolled(all noroshi.Register, e Enrolment) (noroshi.Person, error) {
	p := all[e.Person]
	at := slices.IndexFunc(p.Passkeys, func(k noroshi.Passkey) bool { return bytes.Equal(k.ID, e.Remove) && k.Removed.IsZero() })
	unknown := noroshi.Errorf(noroshi.NotFound, "passkey.unknown", "%s has no such passkey or code generator", e.Person)
	set := 0
	for _, is := range []bool{e.Add != nil, e.Remove != nil, e.Code != nil, e.NoCode, e.SignOn != nil} {
		if is {
			set++
		}
	}
	switch {
	case p.ID == "" || p.Removed:
		return p, noroshi.Errorf(noroshi.NotFound, "person.unknown", "person %q is not known here", e.Person)
	case set != 1 || len(e.Code) > maxSealedCode:
		return p, noroshi.Errorf(noroshi.Invalid, "person.enrolment", "an enrolment changes one thing")
	case e.Number != p.Changes+1:
		return p, noroshi.Errorf(noroshi.Conflict, "person.enrolment-old", "how %s signs in was changed since this was signed: it is change %d, and would be %d", e.Person, e.Number, p.Changes+1)
	}
	p.Changes++
	switch {
	case e.Add != nil:
		p.Passkeys = append(slices.Clone(p.Passkeys), *e.Add)
		return p, fits(all, p.ID, *e.Add)
	case e.SignOn != nil:
		p.SignOn = *e.SignOn
		return p, linkable(all, p)
	case e.Code != nil:
		p.Code = e.Code
	case e.NoCode && len(p.Code) == 0, e.Remove != nil && at < 0:
		return p, unknown
	case e.NoCode:
		p.Code = nil
	default:
		p.Passkeys = slices.Clone(p.Passkeys)
		p.Passkeys[at].Removed = o.o.Now().UTC()
	}
	return p, nil
}

const maxSealedCode = 128

// linkable says why a person may not be linked to a subject: it is one person.
func linkable(all noroshi.Register, p noroshi.Person) error {
	if len(p.SignOn) > maxSignOn || !utf8.ValidString(p.SignOn) {
		return noroshi.Errorf(noroshi.Invalid, "person.link-form", "issuer and subject of a sign-on server have at most %d bytes", maxSignOn)
	}
	for id, other := range all {
		if p.SignOn != "" && id != p.ID && other.SignOn == p.SignOn {
			return noroshi.Errorf(noroshi.Conflict, "person.linked", "%s is linked to this subject already", id)
		}
	}
	return nil
}

const maxSignOn = 1024

// fits says why a passkey may not be added: like a person's own key, it stands
// for one person.
func fits(all noroshi.Register, person string, k noroshi.Passkey) error {
	if err := k.Valid(); err != nil {
		return err
	}
	for id, p := range all {
		for _, other := range p.Passkeys {
			if bytes.Equal(other.ID, k.ID) || bytes.Equal(other.Key, k.Key) {
				return noroshi.Errorf(noroshi.Conflict, "passkey.exists", "this passkey is there already, for %s", id)
			}
		}
	}
	has := all[person].Passkeys
	active := slices.DeleteFunc(slices.Clone(has), func(k noroshi.Passkey) bool { return !k.Removed.IsZero() })
	if len(active) >= maxPasskeys || len(has) >= maxFormerPasskeys {
		return noroshi.Errorf(noroshi.Refused, "passkey.too-many", "%s has %d passkeys already: remove one first", person, len(active))
	}
	return nil
}
