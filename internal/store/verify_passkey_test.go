package store_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// officer is a release officer with a passkey, as a node's record has them.
type officer struct {
	noroshi.Person
	t   *testing.T
	s   *store.Store
	key ed25519.PrivateKey // of the passkey
}

func newOfficer(t *testing.T, s *store.Store) *officer {
	t.Helper()
	person, err := noroshi.NewPerson("mika", "Mika", []noroshi.Role{noroshi.ReleaseOffice}, []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	person.Passkeys = []noroshi.Passkey{{ID: []byte("k"), Key: der, RP: "console.example", Origin: "https://console.example", Name: "desk", Added: time.Unix(1700000000, 0).UTC()}}
	o := &officer{person, t, s, key}
	o.keep()
	return o
}

// keep puts the officer on record as they are now.
func (o *officer) keep() {
	o.t.Helper()
	do(o.t, o.s, noroshi.Act{Action: noroshi.ActEnrol, Subject: o.ID}, func(tx *store.Tx) error { return tx.PutJSON(noroshi.DocPerson, o.ID, o.Person) })
}

// What may become of an officer.
func (o *officer) loses()  { o.Passkeys[0].Removed = time.Unix(1700000001, 0).UTC(); o.keep() }
func (o *officer) leaves() { o.Removed = true; o.keep() }
func (o *officer) shifts() { o.Roles = []noroshi.Role{noroshi.Analyst}; o.keep() }

// approval is the officer's of a hold, by their passkey.
func (o *officer) approval(hold string, root noroshi.Hash, wrong bool) store.Approval {
	digest := noroshi.ActDigest(noroshi.Real, nodeA, noroshi.ActApprove, hold, root)
	challenge := digest
	if wrong {
		challenge[0] ^= 1
	}
	return store.Approval{Hold: hold, Person: o.ID, Root: root, Digest: digest, Signature: asserted(o.key, o.Passkeys[0], challenge), Time: time.UnixMilli(1700000000000).UTC()}
}

// TestVerifyReadsPasskeys: an approval that a passkey signed verifies with the
// record alone. It counts by what its person could sign with when it was given, and
// when it let the batch go: what they lost afterwards takes nothing from it, what
// they had lost by then does not count.
func TestVerifyReadsPasskeys(t *testing.T) {
	t.Parallel()
	type step = func(*officer)
	for name, x := range map[string]struct {
		wrong                  bool // it is over something else
		before, between, after step // giving it, and its batch
		table, says            string
	}{
		"good":                              {},
		"over another act":                  {wrong: true, table: "approval", says: "not over what"},
		"passkey removed before":            {before: (*officer).loses, table: "approval", says: "passkey"},
		"passkey removed between":           {between: (*officer).loses, table: "batch", says: "passkey"},
		"passkey removed after":             {after: (*officer).loses},
		"person removed before":             {before: (*officer).leaves, table: "approval", says: "not known"},
		"person removed between":            {between: (*officer).leaves, table: "batch", says: "not known"},
		"person removed after":              {after: (*officer).leaves},
		"of another role before":            {before: (*officer).shifts, table: "approval", says: "may not"},
		"of another role between":           {between: (*officer).shifts, table: "batch", says: "may not"},
		"of another role after":             {after: (*officer).shifts},
		"of another role by then, and back": {before: (*officer).shifts, after: func(o *officer) { o.Roles = []noroshi.Role{noroshi.ReleaseOffice}; o.keep() }, table: "approval", says: "may not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			o := newOfficer(t, s)
			then := func(f step) {
				if f != nil {
					f(o)
				}
			}
			rows := fill(t, s, 3)
			g := store.HoldGroup{ID: "h1", Partner: nodeB, Run: "run-1", Label: "TLP:AMBER", Key: noroshi.TwoPersons, Clause: "2"}
			do(t, s, noroshi.Act{Action: noroshi.ActHold, Subject: "h1"}, func(tx *store.Tx) error { return tx.PutHold(g, rows) })
			members, err := s.HoldMembers(t.Context(), "h1", 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			a := o.approval("h1", store.BatchRoot(members), x.wrong)
			signed := []noroshi.Signed{{Person: a.Person, Digest: a.Digest, Signature: a.Signature}}
			then(x.before)
			given := do(t, s, noroshi.Act{Action: noroshi.ActApprove, Subject: "h1", Persons: signed}, func(tx *store.Tx) error { return tx.PutApproval(a) })
			then(x.between)
			gone := do(t, s, noroshi.Act{Action: noroshi.ActRelease, Subject: "b1", Partner: nodeB, Persons: signed}, func(tx *store.Tx) error {
				if err := tx.PutBatch(store.Batch{ID: "b1", Partner: nodeB, Hold: "h1", Precedence: 2, Approvals: []store.Approval{a}}, members); err != nil {
					return err
				}
				return tx.CloseHold("h1", store.HoldApproved)
			})
			then(x.after)
			v := verify(t, s)
			if x.table == "" {
				if len(v.Faults) > 0 {
					t.Errorf("faults: %+v", v.Faults)
				}
				return
			}
			at := map[string]uint64{"approval": given.Index, "batch": gone.Index}[x.table]
			if !slices.ContainsFunc(v.Faults, func(f store.Fault) bool {
				return f.Code == "batch-signature" && f.Table == x.table && f.Index == at && strings.Contains(f.Msg, x.says) && strings.Contains(f.Msg, "mika")
			}) {
				t.Errorf("faults: %+v, want one of %s at act %d that says %q", v.Faults, x.table, at, x.says)
			}
		})
	}
}

// asserted is what an authenticator with this passkey signs for a challenge.
func asserted(key ed25519.PrivateKey, k noroshi.Passkey, challenge noroshi.Hash) []byte {
	rp := sha256.Sum256([]byte(k.RP))
	data := append(rp[:], 0x05, 0, 0, 0, 0)
	client := fmt.Appendf(nil, `{"type":"webauthn.get","challenge":%q,"origin":%q}`, base64.RawURLEncoding.EncodeToString(challenge[:]), k.Origin)
	sum := sha256.Sum256(client)
	return noroshi.Assertion{Credential: k.ID, Data: data, Client: client, Signature: ed25519.Sign(key, slices.Concat(data, sum[:]))}.Pack()
}
