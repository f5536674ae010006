package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console"
)

// softKey is an authenticator made of software, with the browser it speaks
// through: it can be told to say what a good one never does.
type softKey struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	id      []byte
	origin  string // the page that asks, as the browser says
	counter uint32
}

func newSoftKey(t *testing.T, origin string) *softKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &softKey{t: t, key: key, id: []byte(rand.Text()), origin: origin, counter: 1}
}

func (k *softKey) client(kind, challenge string) []byte {
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":false}`, kind, challenge, k.origin)
}

func (k *softKey) data(flags byte) []byte {
	u, err := url.Parse(k.origin)
	if err != nil {
		k.t.Fatal(err)
	}
	rp := sha256.Sum256([]byte(u.Hostname()))
	return binary.BigEndian.AppendUint32(append(rp[:], flags), k.counter)
}

// attestation is the object of a new credential.
func (k *softKey) attestation() []byte {
	k.t.Helper()
	point, err := k.key.PublicKey.Bytes()
	if err != nil {
		k.t.Fatal(err)
	}
	cose := marshal(k.t, map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	data := append(k.data(0x45), make([]byte, 16)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.id)))
	return marshal(k.t, map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": slices.Concat(data, k.id, cose)})
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// made is the field of the form that brings a new passkey.
func (k *softKey) made(challenge string) string {
	b, _ := json.Marshal(map[string]string{"attestation": text(k.attestation()), "client": text(k.client("webauthn.create", challenge))})
	return string(b)
}

// signed is the field of the form that brings what the passkey signed.
func (k *softKey) signed(challenge string) string {
	k.t.Helper()
	data, client := k.data(0x05), k.client("webauthn.get", challenge)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(slices.Concat(data, hash[:]))
	sig, err := ecdsa.SignASN1(rand.Reader, k.key, sum[:])
	if err != nil {
		k.t.Fatal(err)
	}
	b, _ := json.Marshal(map[string]string{"id": text(k.id), "data": text(data), "client": text(client), "signature": text(sig)})
	return string(b)
}

// pack is what the passkey signed as acts have it.
func (k *softKey) pack(challenge string) []byte {
	k.t.Helper()
	var in struct{ ID, Data, Client, Signature string }
	if err := json.Unmarshal([]byte(k.signed(challenge)), &in); err != nil {
		k.t.Fatal(err)
	}
	plain := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			k.t.Fatal(err)
		}
		return b
	}
	a := noroshi.Assertion{Credential: plain(in.ID), Data: plain(in.Data), Client: plain(in.Client), Signature: plain(in.Signature)}
	return a.Pack()
}

// asked is what the console wants signed, or made.
type asked struct {
	Get    struct{ Challenge string }
	Create struct{ Challenge string }
	Nonce  string
}

func (r *reader) ask(path string, fields ...string) (a asked) {
	r.t.Helper()
	status, body := r.post(path, append(fields, "passkey", "ask")...)
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		r.t.Fatalf("%s: %d %v\n%s", path, status, err, body)
	}
	return a
}

func (r *reader) addPasskey(k *softKey) {
	r.t.Helper()
	a := r.ask("/me/passkey", "name", "soft")
	if _, body := r.post("/me/passkey", "name", "soft", "passphrase", nodetest.Passphrase, "passkey", k.made(a.Create.Challenge), "nonce", a.Nonce); !strings.Contains(body, `class="said"`) {
		r.t.Fatalf("the passkey is not added:\n%s", body)
	}
}

func (r *reader) signedIn() bool {
	_, body := r.get("/")
	return !strings.Contains(body, `action="/signin"`)
}

// TestPasskeysAreNotReplayed: what a passkey signed signs in once, at the console
// that asked, and with a counter that rises.
func TestPasskeysAreNotReplayed(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	owner := newReader(t, p)
	owner.signIn("duty")
	k := newSoftKey(t, owner.base)
	owner.addPasskey(k)
	k.counter = 5

	first := newReader(t, p)
	a := first.ask("/signin")
	signed := k.signed(a.Get.Challenge)
	try := func(r *reader, signed, nonce string) bool {
		r.post("/signin", "passkey", signed, "nonce", nonce)
		return r.signedIn()
	}
	if !try(first, signed, a.Nonce) {
		t.Fatal("the passkey does not sign in")
	}
	if try(newReader(t, p), signed, a.Nonce) {
		t.Error("what it signed signs in twice")
	}
	k.counter = 4
	b := first.ask("/signin")
	if try(newReader(t, p), k.signed(b.Get.Challenge), b.Nonce) {
		t.Error("a passkey whose counter went back signs in")
	}
	k.counter = 9
	forged := *k
	forged.origin = strings.Replace(owner.base, "localhost", "localhost.example", 1)
	for name, signed := range map[string]string{"of another origin": forged.signed(b.Get.Challenge), "of a challenge we did not give": k.signed(text(make([]byte, 32)))} {
		if try(newReader(t, p), signed, b.Nonce) {
			t.Errorf("an assertion %s signs in", name)
		}
	}
	if c := first.ask("/signin"); try(newReader(t, p), k.signed(c.Get.Challenge), b.Nonce) || !try(newReader(t, p), k.signed(c.Get.Challenge), c.Nonce) {
		t.Error("a challenge is good with another nonce, or not with its own")
	}
	var log []web.ActRow
	p.Must("audit.log", web.AuditRef{Limit: 500}, &log)
	if n := count(log, "sign-in"); n != 3 {
		t.Errorf("%d sign-ins are on record, want 3", n)
	}
	if n := count(log, "refuse"); n == 0 {
		t.Error("no refusal is on record")
	}
}

func count(log []web.ActRow, action noroshi.Action) (n int) {
	for _, r := range log {
		if r.Action == action {
			n++
		}
	}
	return n
}

// next is the number of a person's next enrolment.
func next(p *nodetest.Party, person string) int {
	var rows []web.PersonRow
	p.Must("person.list", nil, &rows)
	i := slices.IndexFunc(rows, func(r web.PersonRow) bool { return r.ID == person })
	return rows[i].Changes + 1
}

// TestEnrolmentIsGoodOnce: a signature over a change of how a person signs in does
// not count again when the change was taken back; what takes a way to sign in away
// ends what the person is signed in with, but for the session it is done from.
func TestEnrolmentIsGoodOnce(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	enrol := func(e partner.Enrolment) func() string {
		e.Person, e.Number = "duty", next(p, "duty")
		by, err := p.Signed(t.Context(), "duty", noroshi.ActEnrol, e.Person, e.Bound())
		if err != nil {
			t.Fatal(err)
		}
		return func() string {
			return noroshi.CodeOf(p.Do(t.Context(), "person.enrol", web.EnrolRef{Enrolment: e, By: by}, nil))
		}
	}
	first, second := newReader(t, p), newReader(t, p)
	first.signIn("duty")
	second.signIn("duty")
	k := newSoftKey(t, first.base)
	first.addPasskey(k)
	if !first.signedIn() || !second.signedIn() {
		t.Error("a passkey that comes ends a session")
	}
	if _, body := first.post("/me/remove/"+hex.EncodeToString(k.id), "passphrase", nodetest.Passphrase); !strings.Contains(body, `class="said"`) || !first.signedIn() || second.signedIn() {
		t.Errorf("a passkey is taken away: the session it was done from %v, another %v", first.signedIn(), second.signedIn())
	}
	add := enrol(partner.Enrolment{Code: []byte("sealed with the former generator")})
	if code := add(); code != "" {
		t.Fatal(code)
	}
	if !first.signedIn() {
		t.Error("a first code generator ends a session")
	}
	remove := enrol(partner.Enrolment{NoCode: true})
	if code := remove(); code != "" || first.signedIn() {
		t.Errorf("%s: the session goes on: %v", code, first.signedIn())
	}
	if code := add(); code != "person.enrolment-old" {
		t.Errorf("the former generator comes back by the former signature: %q", code)
	}
	if code := enrol(partner.Enrolment{Code: []byte("another")})(); code != "" {
		t.Fatal(code)
	}
	if code := remove(); code != "person.enrolment-old" {
		t.Errorf("the next generator goes by a former signature: %q", code)
	}
}

// TestPasskeySignsAnAct: a passkey signs an act that the form names, and what it
// signed for one act does no other; a passkey cannot bring another; an
// administrator can take one away, and it signs in no more.
func TestPasskeySignsAnAct(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("duty")
	one, two := newSoftKey(t, r.base), newSoftKey(t, r.base)
	r.addPasskey(one)
	r.addPasskey(two)
	remove := func(k *softKey) string { return fmt.Sprintf("%x", k.id) }
	a := r.ask("/me/remove/" + remove(two))
	one.counter = 7
	signed := one.signed(a.Get.Challenge)
	if _, body := r.post("/me/remove/"+remove(one), "passkey", signed); !strings.Contains(body, "It has changed since this page was shown") {
		t.Errorf("what was signed for another act:\n%s", body)
	}
	if _, body := r.post("/me/remove/"+remove(two), "passkey", signed); !strings.Contains(body, `class="said"`) {
		t.Errorf("the act is not done:\n%s", body)
	}
	three := newSoftKey(t, r.base)
	c := r.ask("/me/passkey", "name", "soft")
	if _, body := r.post("/me/passkey", "name", "soft", "passphrase", "wrong-passphrase", "passkey", three.made(c.Create.Challenge), "nonce", c.Nonce); !strings.Contains(body, "not the passphrase of duty") {
		t.Errorf("a passkey is added without the passphrase:\n%s", body)
	}

	e := partner.Enrolment{Person: "duty", Number: next(p, "duty"), Remove: one.id}
	for person, want := range map[string]string{"liaison": "person.enrol-own", "admin": ""} {
		by, err := p.Signed(t.Context(), person, noroshi.ActEnrol, e.Person, e.Bound())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Do(t.Context(), "person.enrol", web.EnrolRef{Enrolment: e, By: by}, nil); noroshi.CodeOf(err) != want {
			t.Errorf("%s takes a passkey away: %v, want %q", person, err, want)
		}
	}
	one.counter = 20
	s := newReader(t, p)
	d := s.ask("/signin")
	if s.post("/signin", "passkey", one.signed(d.Get.Challenge), "nonce", d.Nonce); s.signedIn() {
		t.Error("a passkey that was taken away signs in")
	}
}

// TestGuessesWait: who guesses waits soon, whether the name is somebody's or not,
// while the person signs in from their own browser; it is on record.
func TestGuessesWait(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	own := newReader(t, p)
	own.signIn("duty")
	own.post("/signout")
	for _, name := range []string{"duty", "nobody"} {
		guesser, waited := newReader(t, p), false
		for i := 0; i < 10 && !waited; i++ {
			_, body := guesser.post("/signin", "person", name, "passphrase", "a guess, wrong")
			waited = strings.Contains(body, "Too many wrong tries")
		}
		if !waited {
			t.Errorf("ten guesses in the name of %s, and no wait", name)
		}
		if guesser.post("/signin", "person", name, "passphrase", nodetest.Passphrase); guesser.signedIn() {
			t.Errorf("%s: who must wait is let in", name)
		}
	}
	own.signIn("duty")
	var log []web.ActRow
	p.Must("audit.log", web.AuditRef{Limit: 500}, &log)
	if count(log, "refuse") == 0 {
		t.Error("guesses are not on record")
	}
}

// TestRemovalTakesEffectAtOnce: who is removed, or loses a role, sees nothing more
// with the next request.
func TestRemovalTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	duty, admin := newReader(t, p), newReader(t, p)
	duty.signIn("duty")
	admin.signIn("admin")
	if status, _ := admin.get("/audit"); status != http.StatusOK {
		t.Fatalf("the administrator reads the record: %d", status)
	}
	remove := func(r partner.Removal) {
		t.Helper()
		by, err := p.Signed(t.Context(), "admin", noroshi.ActRemovePerson, r.Person, r.Bound())
		if err != nil {
			t.Fatal(err)
		}
		p.Must("person.remove", web.PersonRemove{Removal: r, By: by}, nil)
	}
	if status, _ := duty.call("import", "", `{"no_such_field":1}`); status != http.StatusOK {
		t.Fatalf("an analyst may import: %d", status)
	}
	remove(partner.Removal{Person: "duty", Roles: []noroshi.Role{noroshi.Analyst, noroshi.Duty}})
	if status, _ := duty.call("import", "", `{"no_such_field":1}`); status != http.StatusNotFound {
		t.Errorf("who is no analyst any more may import: %d", status)
	}
	remove(partner.Removal{Person: "duty"})
	if duty.signedIn() {
		t.Error("who was removed is signed in still")
	}
}

// FuzzReadCredential: whatever an authenticator sends, what is read is a key of a
// known kind, with an id.
func FuzzReadCredential(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	rp := sha256.Sum256([]byte("localhost"))
	data := slices.Concat(rp[:], []byte{0x45, 0, 0, 0, 1}, make([]byte, 16), []byte{0, 2, 'i', 'd'})
	for _, cose := range []map[int]any{{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]}, {1: 1, 3: -8, -1: 6, -2: point[1:33]}} {
		good := marshal(f, map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": slices.Concat(data, marshal(f, cose))})
		if _, ok := console.ReadCredential(good, "localhost"); !ok {
			f.Error("a good one is not read")
		}
		if _, ok := console.ReadCredential(good, "example"); ok {
			f.Error("one of another relying party is read")
		}
		f.Add(good)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, ok := console.ReadCredential(b, "localhost"); ok && (len(k.ID) == 0 || len(k.Key) == 0 || k.RP != "localhost") {
			t.Errorf("%x reads as %+v", b, k)
		}
	})
}

// TestAPasskeyCountsThroughTheAPI: a passkey's counter is kept however what it
// signed came, so that a copy of it is found out; what is not really its own moves
// nothing.
func TestAPasskeyCountsThroughTheAPI(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("admin")
	k := newSoftKey(t, r.base)
	r.addPasskey(k)
	act := func(name string, counter uint32, spoil bool) string {
		k.counter = counter
		_, id := web.NewTokenText()
		now := time.Now().UTC().Truncate(time.Second)
		made := web.Token{ID: id, Person: "admin", Name: name, Scope: []string{"read"}, Made: now, Expires: now.Add(time.Hour)}
		digest := noroshi.ActDigest(noroshi.Real, p.Node.Keys.NodeID(), noroshi.ActToken, id, made.Bound())
		by := noroshi.Signed{Person: "admin", Digest: digest, Signature: k.pack(text(digest[:]))}
		if spoil {
			by.Signature[len(by.Signature)-1] ^= 1
		}
		b, err := json.Marshal(web.TokenAdd{Token: made, By: by})
		if err != nil {
			t.Fatal(err)
		}
		_, body := r.call("token.add", "", string(b))
		return body
	}
	for _, x := range []struct {
		counter uint32
		spoil   bool
		want    string
	}{{7, false, `"result"`}, {900, true, `"person.signature"`}, {7, false, `"passkey.used"`}, {5, false, `"passkey.counter"`}, {8, false, `"result"`}} {
		if body := act(fmt.Sprint(x), x.counter, x.spoil); !strings.Contains(body, x.want) {
			t.Errorf("counter %d: %s, want %s", x.counter, body, x.want)
		}
	}
}
