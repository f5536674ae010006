package message

import (
	"crypto/hpke"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

const keyringName = "NX/1 keyring"

type wireKeyring struct {
	_          struct{} `cbor:",toarray"`
	Name       string
	Realm      string
	Root, Next []byte // seeds
	Signers    []wireSigner
	KEMs       []wireKEM
	TLS        []byte
	Keyset     []byte
}

type wireSigner struct {
	_           struct{} `cbor:",toarray"`
	Use         uint8
	Seed        []byte
	From, Until uint64
}

type wireKEM struct {
	_    struct{} `cbor:",toarray"`
	Key  []byte
	From uint64
}

// MarshalBinary writes the keyring in plain: whoever reads it is the node.
func (k *Keyring) MarshalBinary() ([]byte, error) {
	h := k.head.Load()
	w := wireKeyring{Name: keyringName, Realm: k.realm.String(), Root: h.root.priv.Seed(), Next: h.next.priv.Seed(), Keyset: h.keyset.doc}
	for _, s := range k.signers {
		w.Signers = append(w.Signers, wireSigner{Use: uint8(s.use), Seed: s.priv.Seed(), From: unix(s.from), Until: unix(s.until)})
	}
	for _, x := range k.kems {
		b, err := x.priv.Bytes()
		if err != nil {
			return nil, err
		}
		w.KEMs = append(w.KEMs, wireKEM{Key: b, From: unix(x.from)})
	}
	var err error
	if w.TLS, err = k.tls.Bytes(); err != nil {
		return nil, err
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
	if w.Name != keyringName || len(w.Root) != 32 || len(w.Next) != 32 || len(w.KEMs) == 0 {
		return nil, badKeyring("is of another form")
	}
	k := &Keyring{realm: realm}
	h := &head{root: newSigningKey(w.Root, 0), next: newSigningKey(w.Next, 0)}
	if h.keyset, err = ParseKeyset(realm, w.Keyset); err != nil {
		return nil, err
	}
	k.head.Store(h)
	for _, s := range w.Signers {
		if len(s.Seed) != 32 {
			return nil, badKeyring("a seed must be 32 bytes")
		}
		x := newSigningKey(s.Seed, KeyUse(s.Use))
		x.from, x.until = time.Unix(int64(s.From), 0).UTC(), time.Unix(int64(s.Until), 0).UTC()
		k.signers = append(k.signers, x)
	}
	for _, x := range w.KEMs {
		priv, err := hpke.MLKEM768X25519().NewPrivateKey(x.Key)
		if err != nil {
			return nil, badKeyring(err.Error())
		}
		k.kems = append(k.kems, kemKey{priv: priv, from: time.Unix(int64(x.From), 0).UTC()})
	}
	slices.SortStableFunc(k.kems, func(a, b kemKey) int { return b.from.Compare(a.from) })
	if k.tls, err = tlsKey(w.TLS); err != nil {
		return nil, err
	}
	return k, k.matches()
}

// matches checks that the private keys are those the KEYSET names.
func (k *Keyring) matches() error {
	h := k.head.Load()
	if string(h.root.key) != string(h.keyset.Root) || noroshi.Sum(h.next.key) != h.keyset.Next {
		return badKeyring("the roots are not those of its keyset")
	}
	named := map[[4]byte]KeyUse{}
	for _, x := range h.keyset.Keys {
		named[x.ID] = x.Use
	}
	for _, s := range k.signers {
		if named[s.kid] != s.use {
			return badKeyring("a signing key is not in its keyset")
		}
	}
	pin, err := SPKIPin(k.tls.Public())
	if err != nil || named[kidOf(pin[:])] != UseTLS {
		return badKeyring("the TLS key is not in its keyset")
	}
	for _, x := range k.kems {
		if named[kidOf(x.priv.PublicKey().Bytes())] != UseKEM {
			return badKeyring("a KEM key is not in its keyset")
		}
	}
	for _, use := range []KeyUse{UseRelease, UseControl} {
		if _, err := k.signer(use, h.keyset.Created); err != nil {
			return badKeyring("lacks a release or control key")
		}
	}
	return nil
}
