package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/noroshi-cti/noroshi"
)

// A form that a person signs has the part "sign": a field for the passphrase,
// and for who has a passkey a button. The button's script (static/js/sign.js)
// sends the form once with passkey=ask, is answered with what the passkey must
// sign, asks the passkey, and sends the same form again with what it signed. So
// what is signed must follow from the form and the state of the node alone:
// whoever makes up an id or a time for an act puts it into the form first.

// asked is what a passkey is to be asked for; an answer, not a page.
type asked struct {
	Get    *wantAssertion `json:"get,omitempty"`
	Create *wantPasskey   `json:"create,omitempty"`
	Nonce  string         `json:"nonce,omitempty"` // comes back with the form
}

// Error says what is missing, for whoever looks at it as an error.
func (asked) Error() string { return "a passkey must be asked" }

// wantAssertion says what is to be signed and by which passkeys; none = any.
type wantAssertion struct {
	Text  string   `json:"challenge"` // base64url
	Allow []string `json:"allow,omitempty"`
}

// asking reports whether the form came to ask what a passkey must sign.
func (v *visit) asking() bool { return v.r.PostFormValue("passkey") == "ask" }

// sign signs an act as the person: with their passkey where the form brings what
// it signed, else with the passphrase they typed, whose key is open for the time
// of this call.
func (v *visit) sign(a noroshi.Action, subject string, bound noroshi.Hash) (noroshi.Signed, error) {
	digest := noroshi.ActDigest(v.Realm, v.Node, a, subject, bound)
	switch {
	case v.asking():
		return noroshi.Signed{}, asked{Get: &wantAssertion{Text: unpadded(digest[:]), Allow: v.passkeyIDs()}}
	case v.r.PostFormValue("passkey") != "":
		return v.signedByPasskey(a, digest)
	}
	key, err := v.unsealOwn()
	if err != nil {
		return noroshi.Signed{}, err
	}
	defer clear(key)
	return noroshi.SignAct(v.person.ID, key, digest), nil
}

// signedByPasskey reads what the person's passkey signed. That it fits is said
// here, before anything is done, and again by whoever does it; its counter is kept
// by the operation that it is for.
func (v *visit) signedByPasskey(a noroshi.Action, digest noroshi.Hash) (noroshi.Signed, error) {
	x, err := v.assertion()
	if err != nil {
		return noroshi.Signed{}, err
	}
	s := noroshi.Signed{Person: v.person.ID, Digest: digest, Signature: x.Pack()}
	if err := v.person.Check(s, a, digest); err != nil {
		return noroshi.Signed{}, err
	}
	return s, nil
}

// assertion reads the field that the script fills in.
func (v *visit) assertion() (a noroshi.Assertion, err error) {
	var in struct{ ID, Data, Client, Signature string }
	if json.Unmarshal([]byte(v.r.PostFormValue("passkey")), &in) != nil {
		return a, noroshi.Errorf(noroshi.Invalid, "console.passkey", "what the passkey signed cannot be read")
	}
	for _, part := range []struct {
		to   *[]byte
		text string
	}{{&a.Credential, in.ID}, {&a.Data, in.Data}, {&a.Client, in.Client}, {&a.Signature, in.Signature}} {
		if *part.to, err = base64.RawURLEncoding.DecodeString(part.text); err != nil {
			return a, noroshi.Errorf(noroshi.Invalid, "console.passkey", "what the passkey signed cannot be read")
		}
	}
	if _, ok := noroshi.UnpackAssertion(a.Pack()); !ok {
		return a, noroshi.Errorf(noroshi.Invalid, "console.passkey", "what the passkey signed cannot be read")
	}
	return a, nil
}

// passkeys are those the person has for this address of the console.
func (v *visit) passkeys() (list []noroshi.Passkey) {
	for _, k := range v.person.Passkeys {
		if k.Removed.IsZero() && k.Origin == v.origin() {
			list = append(list, k)
		}
	}
	return list
}

func (v *visit) passkeyIDs() (ids []string) {
	for _, k := range v.passkeys() {
		ids = append(ids, unpadded(k.ID))
	}
	return ids
}

// origin is the console's as the browser has it.
func (v *visit) origin() string { return "https://" + v.r.Host }

func unpadded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// HasPasskey reports whether the reader can sign with a passkey here.
func (p page) HasPasskey() bool { return len(p.visit.passkeys()) > 0 }

// answer hands what a passkey is to be asked for to the script.
func (a asked) answer(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(a)
}
