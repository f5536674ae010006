// Package https carries sealed bytes between nodes by push: one POST an
// envelope, over TLS 1.3 with both ends pinned to the TLS key (use 4) in the
// other's KEYSET. There is no CA and no name to check: a partner is who holds
// the key it published.
//
// It knows only sealed bytes. The status 204 says that the other end took them
// over from the wire, never that they are stored: receipts are statements.
//
// Request: POST /nx1, content type application/octet-stream, one envelope of
// at most 24 MiB. Everything else is answered 404 with nothing more. 503 asks
// to come again later.
package https

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Path is the only path there is.
const Path = "/nx1"

// Bounds of a listener.
const (
	smallBody   = 64 << 10 // an envelope up to here has slots of its own: FLASH never waits behind bulk
	bulkSlots   = 4        // larger envelopes at once, per partner
	smallSlots  = 16       // small ones at once, per partner
	maxConns    = 256      // connections of all partners
	headTimeout = 10 * time.Second
	bodyTimeout = 2 * time.Minute
	idleTimeout = 5 * time.Minute
)

// Peers lists whoever may connect or be connected to now, with the pins of
// their TLS keys as their KEYSETs name them. It is asked at every handshake and
// every envelope, so a revoked key is out at once.
type Peers func() map[noroshi.NodeID][][32]byte

// Options of New.
type Options struct {
	Key   crypto.Signer // the TLS key this node's KEYSET pins
	Peers Peers
	Now   func() time.Time // nil = time.Now

	// Silence is after which a sender takes a connection that says nothing for
	// cut and makes a new one; 0 = 10 s.
	Silence time.Duration
}

// New returns both ends of the channel: what sends to partners, and what
// listens to them on ln once it is told to serve.
func New(ln net.Listener, o Options) (*Sender, *Listener, error) {
	if o.Key == nil || o.Peers == nil {
		return nil, nil, noroshi.Errorf(noroshi.Invalid, "https.options", "an https channel needs a TLS key and the partners' pins")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	cert, err := certificate(o.Key)
	if err != nil {
		return nil, nil, err
	}
	s := &Sender{cert: cert, peers: o.Peers, now: o.Now, silence: cmp.Or(o.Silence, silence), clients: map[noroshi.NodeID]*http.Client{}, pauses: map[string]time.Time{}}
	return s, &Listener{ln: ln, cert: cert, peers: o.Peers}, nil
}

// certificate makes the self-signed certificate that only carries the key.
// What it says is checked by nobody; the key is.
func certificate(key crypto.Signer) (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "NX/1"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// config is TLS 1.3 for both ends: our certificate, and a check of the other
// end's key. Go proves that the other end holds the private key; the pin
// decides whose it is.
func config(cert tls.Certificate, accept func(pin [32]byte) bool) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{cert},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection below is the check
		SessionTicketsDisabled: true, // each connection shows its key anew
		VerifyConnection: func(cs tls.ConnectionState) error {
			pin, ok := pinOf(cs)
			if !ok || !accept(pin) {
				return errPin
			}
			return nil
		},
	}
}

// pinOf is the SHA-256 of the SubjectPublicKeyInfo the other end showed.
func pinOf(cs tls.ConnectionState) ([32]byte, bool) {
	if len(cs.PeerCertificates) != 1 {
		return [32]byte{}, false
	}
	key, ok := cs.PeerCertificates[0].PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return [32]byte{}, false
	}
	pin, err := message.SPKIPin(key)
	return pin, err == nil && sha256.Sum256(cs.PeerCertificates[0].RawSubjectPublicKeyInfo) == pin
}

var errPin = noroshi.Errorf(noroshi.Broken, "https.pin", "the other end's TLS key is not the one in its KEYSET")

func holds(pins [][32]byte, pin [32]byte) bool { return slices.Contains(pins, pin) }
