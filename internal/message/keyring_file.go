package message

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

const keyringName = "NX/1 keyring 2"

type wireKeyring struct {
	_          struct{} `cbor:",toarray"`
	Name       string
	Realm      string
	Root, Next []byte // seeds; no Next where it is kept elsewhere
	Signers    []wireSigner
	KEMs       []wireKEM
	TLS        []wireTLS
	Keyset     []byte
}

type wireSigner struct {
	_           struct{} `cbor:",toarray"`
	Use         uint8
	Seed        []byte
	From, Until uint64
	Since       uint64 // first version of the KEYSET that names it
}

type wireTLS struct {
	_     struct{} `cbor:",toarray"`
	Key   []byte
	Since uint64
}

type wireKEM struct {
	_    struct{} `cbor:",toarray"`
	Key  []byte
	From uint64
}

// MarshalBinary writes the keyring in plain: whoever reads it is the node.
func (k *Keyring) MarshalBinary() ([]byte, error) {
	h := k.head.Load()
	w := wireKeyring{Name: keyringName, Realm: k.realm.String(), Root: h.root.priv.Seed(), Next: []byte{}, Keyset: h.keyset.doc}
	if h.next != nil {
		w.Next = h.next.priv.Seed()
	}
	for _, s := range h.signers {
		w.Signers = append(w.Signers, wireSigner{Use: uint8(s.use), Seed: s.priv.Seed(), From: unix(s.from), Until: unix(s.until), Since: s.since})
	}
	for _, x := range h.kems {
		b, err := x.priv.Bytes()
		if err != nil {
			return nil, err
		}
		w.KEMs = append(w.KEMs, wireKEM{Key: b, From: unix(x.from)})
	}
	for _, x := range h.tls {
		b, err := x.priv.Bytes()
		if err != nil {
			return nil, err
		}
		w.TLS = append(w.TLS, wireTLS{Key: b, Since: x.since})
	}
	return encode(w), nil
}

func badKeyring(why string) error {
	return noroshi.Errorf(noroshi.Invalid, "keyring.form", "read keyring: %s", why)
}

// UnmarshalKeyring reads what MarshalBinary wrote and checks that the KEYSET
// names exactly these keys.
func UnmarshalKeyring(b []byte) (*Keyring, error) {
	var w wireKeyring
	if err := decode("keyring", b, &w); err != nil {
		return nil, err
	}
	realm, err := noroshi.ParseRealm(w.Realm)
	if err != nil {
		return nil, err
	}
	if w.Name != keyringName || len(w.Root) != 32 || len(w.Next) != 32 && len(w.Next) != 0 || len(w.KEMs) == 0 || len(w.TLS) == 0 {
		return nil, badKeyring("is of another form")
	}
	k := &Keyring{realm: realm}
	h := &head{root: newSigningKey(w.Root, 0)}
	if len(w.Next) > 0 {
		h.next = newSigningKey(w.Next, 0)
	}
	if h.keyset, err = ParseKeyset(realm, w.Keyset); err != nil {
		return nil, err
	}
	k.head.Store(h)
	for _, s := range w.Signers {
		if len(s.Seed) != 32 {
			return nil, badKeyring("a seed must be 32 bytes")
		}
		x := newSigningKey(s.Seed, KeyUse(s.Use))
		x.from, x.until, x.since = time.Unix(int64(s.From), 0).UTC(), time.Unix(int64(s.Until), 0).UTC(), s.Since
		h.signers = append(h.signers, x)
	}
	for _, x := range w.KEMs {
		key, err := h.kemOf(x)
		if err != nil {
			return nil, err
		}
		h.kems = append(h.kems, key)
	}
	slices.SortStableFunc(h.kems, func(a, b kemKey) int { return b.from.Compare(a.from) })
	for _, x := range w.TLS {
		if len(x.Key) != 32 {
			return nil, badKeyring("a seed must be 32 bytes")
		}
		pair, err := tlsKey(x.Key)
		if err != nil {
			return nil, err
		}
		h.tls = append(h.tls, tlsKeyPair{priv: pair, since: x.Since})
	}
	return k, k.matches()
}

// kemOf reads a KEM key. The file does not say of which suite it is: seeds of
// both have one length, and the KEYSET names what comes of it.
func (h *head) kemOf(w wireKEM) (kemKey, error) {
	for _, s := range sealings {
		priv, err := s.kem().NewPrivateKey(w.Key)
		if err != nil {
			return kemKey{}, badKeyring(err.Error())
		}
		id := kidOf(priv.PublicKey().Bytes())
		if slices.ContainsFunc(h.keyset.Keys, func(k Key) bool { return k.Use == UseKEM && k.ID == id }) {
			return kemKey{suite: s.suite, priv: priv, from: time.Unix(int64(w.From), 0).UTC()}, nil
		}
	}
	return kemKey{}, badKeyring("a KEM key is not in its keyset")
}

// matches checks that the private keys are those the KEYSET names.
func (k *Keyring) matches() error {
	h := k.head.Load()
	if string(h.root.key) != string(h.keyset.Root) || h.next != nil && noroshi.Sum(h.next.key) != h.keyset.Next {
		return badKeyring("the roots are not those of its keyset")
	}
	named := map[[4]byte]KeyUse{}
	for _, x := range h.keyset.Keys {
		named[x.ID] = x.Use
	}
	for _, s := range h.signers {
		if named[s.kid] != s.use {
			return badKeyring("a signing key is not in its keyset")
		}
	}
	for _, x := range h.tls {
		pin, err := SPKIPin(x.priv.Public())
		if err != nil || named[kidOf(pin[:])] != UseTLS {
			return badKeyring("a TLS key is not in its keyset")
		}
	}
	for _, use := range []KeyUse{UseRelease, UseControl} {
		if _, err := k.signer(use, h.keyset.Created, h.keyset.Version); err != nil {
			return badKeyring("lacks a release or control key")
		}
	}
	return nil
}
