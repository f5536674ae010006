package message_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Encodings of points a partner must not have as a key; the first eight are
// the points whose order divides eight (RFC 8032 §5.1: cofactor 8).
var weak = []struct{ name, key string }{
	{"identity", "0100000000000000000000000000000000000000000000000000000000000000"},
	{"order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{"order 4", "0000000000000000000000000000000000000000000000000000000000000000"},
	{"order 4, other", "0000000000000000000000000000000000000000000000000000000000000080"},
	{"order 8, 1", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"},
	{"order 8, 2", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"},
	{"order 8, 3", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"},
	{"order 8, 4", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"},
	{"identity, sign of zero", "0100000000000000000000000000000000000000000000000000000000000080"},
	{"order 2, sign of zero", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
	{"p for 0", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{"p for 0, signed", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
	{"p+1 for 1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{"p+1 for 1, signed", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
	{"2^255-1", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
	{"not on the curve", "0200000000000000000000000000000000000000000000000000000000000000"},
	{"short", "01"},
}

func TestWeakSigningKeys(t *testing.T) {
	t.Parallel()
	for _, w := range weak {
		key, _ := hex.DecodeString(w.key)
		t.Run(w.name, func(t *testing.T) {
			code(t, message.CheckEd25519(key), "keyset.weak-key")
			for _, use := range []message.KeyUse{message.UseRelease, message.UseControl, message.UseRealm} {
				_, err := message.ParseKeyset(noroshi.Real, withKey(t, key, use))
				code(t, err, "keyset.weak-key")
			}
		})
	}
	// Why: under the identity key one signature is good for every message.
	identity, _ := hex.DecodeString(weak[0].key)
	universal := append(slices.Clone(identity), make([]byte, 32)...)
	for _, m := range []string{"I released this", "and never that"} {
		if !ed25519.Verify(identity, []byte(m), universal) {
			t.Errorf("the library refuses the universal signature over %q: the check above may go", m)
		}
	}
	for i := range 50 {
		k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32)).Public().(ed25519.PublicKey)
		if err := message.CheckEd25519(k); err != nil {
			t.Errorf("honest key: %v", err)
		}
	}
}

// The eight small points are all there are: they are the multiples of one of
// order eight, found here by the addition law of RFC 8032 §5.1.4.
func TestSmallPointsAreComplete(t *testing.T) {
	t.Parallel()
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	d.Mul(d, big.NewInt(-121665)).Mod(d, p)
	le, _ := hex.DecodeString(weak[4].key)
	slices.Reverse(le)
	y := new(big.Int).SetBytes(le)
	y2 := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(y2, big.NewInt(1))
	v := new(big.Int).Add(new(big.Int).Mul(d, y2), big.NewInt(1))
	x := u.Mul(u, v.ModInverse(v.Mod(v, p), p)).Mod(u, p)
	x.ModSqrt(x, p)
	gx, gy := x, y
	found := map[string]bool{}
	ax, ay := big.NewInt(0), big.NewInt(1)
	for range 8 {
		b := ay.FillBytes(make([]byte, 32))
		slices.Reverse(b)
		b[31] |= byte(ax.Bit(0)) << 7
		found[hex.EncodeToString(b)] = true
		t1 := new(big.Int).Mul(ax, gx)
		t1.Mul(t1, ay).Mul(t1, gy).Mul(t1, d).Mod(t1, p)
		nx := new(big.Int).Add(new(big.Int).Mul(ax, gy), new(big.Int).Mul(gx, ay))
		ny := new(big.Int).Add(new(big.Int).Mul(ay, gy), new(big.Int).Mul(ax, gx))
		dx, dy := new(big.Int).Add(big.NewInt(1), t1), new(big.Int).Sub(big.NewInt(1), t1)
		ax = nx.Mul(nx, dx.ModInverse(dx.Mod(dx, p), p)).Mod(nx, p)
		ay = ny.Mul(ny, dy.ModInverse(dy.Mod(dy, p), p)).Mod(ny, p)
	}
	if len(found) != 8 {
		t.Fatalf("got %d multiples, want 8", len(found))
	}
	for _, w := range weak[:8] {
		if !found[w.key] {
			t.Errorf("%s is no multiple", w.name)
		}
	}
}

// withKey is a KEYSET document with one more key.
func withKey(t *testing.T, key []byte, use message.KeyUse) []byte {
	t.Helper()
	k := keyring(t, "USA-01", noroshi.Real)
	return message.PublishWith(k, func(ks *message.Keyset) { ks.Keys = append(ks.Keys, message.KeyOf(key, use, ks.Keys[0])) })
}

func TestKeysetRefused(t *testing.T) {
	t.Parallel()
	k := keyring(t, "USA-01", noroshi.Real)
	other := keyring(t, "JPN-01", noroshi.Real)
	for _, c := range []struct {
		name   string
		change func(*message.Keyset)
		want   string
	}{
		{"unchanged", func(*message.Keyset) {}, ""},
		{"two equal ids", func(s *message.Keyset) { s.Keys = append(s.Keys, s.Keys[0]) }, "keyset.form"},
		{"one key for two uses", func(s *message.Keyset) {
			k := s.Keys[0]
			k.Use = message.UseControl
			s.Keys = append(s.Keys, k)
		}, "keyset.form"},
		{"root among the keys", func(s *message.Keyset) { s.Keys[0] = message.KeyOf(s.Root, message.UseRelease, s.Keys[0]) }, "keyset.form"},
		{"id of another key", func(s *message.Keyset) { s.Keys[0].ID[0] ^= 1 }, "keyset.form"},
		{"unknown use", func(s *message.Keyset) { s.Keys[0].Use = 9 }, "keyset.form"},
		{"no keys", func(s *message.Keyset) { s.Keys = nil }, "keyset.form"},
		{"nine keys of a use", func(s *message.Keyset) {
			for i := range 8 {
				pub := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32)).Public().(ed25519.PublicKey)
				s.Keys = append(s.Keys, message.KeyOf(pub, message.UseRelease, s.Keys[0]))
			}
		}, "keyset.form"},
		{"key ends before it begins", func(s *message.Keyset) { s.Keys[0].Until = s.Keys[0].From }, "keyset.form"},
		{"short KEM key", func(s *message.Keyset) { s.Keys[2] = message.KeyOf(s.Keys[2].Key[1:], message.UseKEM, s.Keys[2]) }, "keyset.weak-key"},
		{"KEM key out of range", func(s *message.Keyset) {
			s.Keys[2] = message.KeyOf(slices.Concat(bytes.Repeat([]byte{0xff}, 384), s.Keys[2].Key[384:]), message.UseKEM, s.Keys[2])
		}, "keyset.weak-key"},
		{"short pin", func(s *message.Keyset) { s.Keys[3] = message.KeyOf(s.Keys[3].Key[1:], message.UseTLS, s.Keys[3]) }, "keyset.form"},
		{"version 0", func(s *message.Keyset) { s.Version = 0 }, "keyset.form"},
		{"version 2 without previous", func(s *message.Keyset) { s.Version = 2 }, "keyset.form"},
		{"first with previous", func(s *message.Keyset) { s.Previous = noroshi.Hash{1} }, "keyset.form"},
		{"root of another", func(s *message.Keyset) { s.Root = other.Keyset().Root }, "keyset.signature"},
		{"weak root", func(s *message.Keyset) { s.Root, _ = hex.DecodeString(weak[0].key) }, "keyset.weak-key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := message.ParseKeyset(noroshi.Real, message.PublishWith(k, c.change))
			code(t, err, c.want)
		})
	}
}

func TestRevokedKey(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	sign := func(seq uint64) *message.Message {
		return p.sign(t, dataHeader(seq), message.EncodeObjects(objects(1)))
	}
	ks, err := message.ParseKeyset(noroshi.Real, message.PublishWith(p.a, func(s *message.Keyset) {
		s.Version, s.Previous = 2, p.a.Keyset().Hash()
		s.Revoked = []message.Revocation{
			{ID: s.Keys[0].ID, Last: []message.LastGood{{Epoch: p.epoch, Seq: 5}}},
			{ID: s.Keys[1].ID}, {ID: s.Keys[2].ID}, {ID: s.Keys[3].ID}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := sign(5).Verify(ks); err != nil {
		t.Errorf("last good message: %v", err)
	}
	code(t, sign(6).Verify(ks), "message.key-revoked")
	p.epoch[0] ^= 1
	code(t, sign(1).Verify(ks), "message.key-revoked")
	st, err := message.SignStatement(p.a, p.context(), 1, message.RefuseKind, now, message.EncodeRefuse(message.Refuse{Code: 1}))
	if err != nil {
		t.Fatal(err)
	}
	code(t, st.Verify(ks), "message.key-revoked")
	if n := len(ks.Pins(now)); n != 0 {
		t.Errorf("got %d pins of a revoked key, want 0", n)
	}
	out := message.Outbound{Realm: p.realm, From: p.b.NodeID(), To: ks, Secret: p.secret, Now: now}
	_, err = message.Seal(message.Plain{Document: ks.Bytes()}, out, seed("x"))
	code(t, err, "message.kem")
	doc, err := message.SignAgreement(p.a, []byte(agreementFile), now)
	if err != nil {
		t.Fatal(err)
	}
	_, err = message.VerifyAgreement(doc, ks)
	code(t, err, "agreement.signature")
}

func TestSuccession(t *testing.T) {
	t.Parallel()
	k := keyring(t, "USA-01", noroshi.Real)
	first := k.Keyset()
	node := k.NodeID()
	check := func(name string, next, old *message.Keyset, wantConfirm bool, want string) {
		t.Helper()
		confirm, err := next.Succeeds(old)
		if confirm != wantConfirm {
			t.Errorf("%s: got confirm %v, want %v", name, confirm, wantConfirm)
		}
		code(t, err, want)
	}
	if err := k.Renew(now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	second := k.Keyset()
	check("renewed", second, first, false, "")
	check("older", first, second, false, "keyset.older")
	check("same", second, second, false, "keyset.known")
	if first.Fingerprint() != second.Fingerprint() || k.NodeID() != node {
		t.Error("renewal changes fingerprint or node")
	}
	if err := k.RotateRoot(seed("new root"), nil, false, now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	third := k.Keyset()
	check("rotated", third, second, false, "")
	check("rotated, one version missed", third, first, false, "")
	if third.Fingerprint() == second.Fingerprint() {
		t.Error("the fingerprint does not change with the root")
	}
	if err := k.RotateRoot(seed("newer root"), nil, false, now.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	check("two rotations, one missed", k.Keyset(), second, false, "keyset.root")
	check("of another node", keyring(t, "JPN-01", noroshi.Real).Keyset(), first, false, "keyset.node")

	parse := func(k *message.Keyring, change func(*message.Keyset)) *message.Keyset {
		t.Helper()
		ks, err := message.ParseKeyset(noroshi.Real, message.PublishWith(k, change))
		if err != nil {
			t.Fatal(err)
		}
		return ks
	}
	k = keyring(t, "USA-01", noroshi.Real)
	next := func(s *message.Keyset) { s.Version, s.Previous = 2, first.Hash() }
	check("fork", parse(k, func(s *message.Keyset) { next(s); s.FreshUntil = now }), second, false, "keyset.fork")
	check("wrong previous", parse(k, func(s *message.Keyset) { next(s); s.Previous[0] ^= 1 }), first, false, "keyset.fork")
	check("next changed", parse(k, func(s *message.Keyset) { next(s); s.Next[0] ^= 1 }), first, false, "keyset.root")

	// Signed by the new root alone: two persons confirm it by voice.
	if err := k.RotateRoot(seed("new root"), nil, false, now); err != nil {
		t.Fatal(err)
	}
	check("old root silent", parse(k, func(*message.Keyset) {}), first, true, "")
	// A thief with a root of its own names the node's version 2.
	thief := keyring(t, "thief", noroshi.Real)
	check("stranger's root", parse(thief, func(s *message.Keyset) { next(s); s.Node = node }), first, false, "keyset.root")
}

func TestFingerprintForm(t *testing.T) {
	t.Parallel()
	a, b := keyring(t, "USA-01", noroshi.Real).Keyset(), keyring(t, "JPN-01", noroshi.Real).Keyset()
	if ok := regexp.MustCompile(`^[0-9]{5}( [0-9]{5}){11}$`).MatchString(a.Fingerprint()); !ok || a.Fingerprint() == b.Fingerprint() {
		t.Errorf("got %q and %q", a.Fingerprint(), b.Fingerprint())
	}
}

func TestKeyringFile(t *testing.T) {
	t.Parallel()
	k, err := message.NewKeyring(noroshi.Real, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	got, err := message.UnmarshalKeyring(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.MarshalBinary()
	if err != nil || !bytes.Equal(again, b) || got.NodeID() != k.NodeID() {
		t.Errorf("keyring differs after reading (%v)", err)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Contains(s, "{") {
		t.Errorf("printing a keyring shows more than its node: %s", s)
	}
	pub, sign := got.Control()
	if !ed25519.Verify(pub, []byte("checkpoint"), sign([]byte("checkpoint"))) {
		t.Error("control key does not sign")
	}
	pin, err := message.SPKIPin(got.TLSKey(1).Public())
	if err != nil || !slices.Contains(k.Keyset().Pins(time.Now()), pin) {
		t.Errorf("TLS key is not pinned (%v)", err)
	}
	if _, err := x509.MarshalPKIXPublicKey(got.TLSKey(1).Public()); err != nil {
		t.Error(err)
	}
	// A file whose secrets are not those its KEYSET names is not used.
	var seeds [6 * 32]byte
	io.ReadFull(seed("keyring"), seeds[:])
	if k, err = message.NewKeyringFrom(bytes.NewReader(seeds[:]), noroshi.Real, now); err != nil {
		t.Fatal(err)
	}
	if b, err = k.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		part := seeds[32*i : 32*i+32]
		other := slices.Clone(part)
		other[7] ^= 1
		if bytes.Count(b, part) != 1 {
			t.Fatalf("seed %d stands %d times in the file", i, bytes.Count(b, part))
		}
		_, err := message.UnmarshalKeyring(bytes.Replace(b, part, other, 1))
		code(t, err, "keyring.form")
	}
	if _, err := message.NewKeyring(noroshi.Realm{}, now); err == nil {
		t.Error("a keyring of no realm is made")
	}
}
