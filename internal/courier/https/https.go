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
// to come again later. While the node has a door for others on the same address
// (Options.Door), who shows no partner's key is let through TLS too, and gets
// that door, or nothing.
package https

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
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
	smallBody   = 64 << 10         // an envelope up to here has slots of its own: FLASH never waits behind bulk
	bulkSlots   = 4                // larger envelopes at once, per partner
	smallSlots  = 16               // small ones at once, per partner
	maxConns    = 256              // connections of all partners
	maxGuests   = 192              // of them, those of who did not show a partner's key, from the moment they come
	maxOthers   = 64               // of those, who have sent a request
	maxVisits   = 32               // answers of the door to all who come, at once
	silence     = 10 * time.Second // Options.Silence
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

	// Silence is how long another end may say nothing: then a sender takes its
	// connection for cut and makes a new one, and a listener lets go of who has
	// not yet sent a request. Half of it is for connecting, and for TLS. 0 = 10 s.
	Silence time.Duration

	Names []string     // host names and addresses the certificate says, for who checks them
	Door  http.Handler // answers everything but Path; nil = nothing does
	Open  func() bool  // whether anybody may come to the door now; nil = no
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
	o.Silence = cmp.Or(o.Silence, silence)
	der, err := Certificate(o.Key, o.Names)
	if err != nil {
		return nil, nil, err
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: o.Key}
	s := &Sender{cert: cert, peers: o.Peers, now: o.Now, silence: o.Silence, clients: map[noroshi.NodeID]*http.Client{}, pauses: map[string]time.Time{}}
	return s, &Listener{ln: ln, cert: cert, peers: o.Peers, silence: o.Silence, door: o.Door, open: o.Open, visits: make(chan struct{}, maxVisits)}, nil
}

// Certificate makes the self-signed certificate that carries the key, in DER:
// the same bytes for the same key and names, so that who was given it as a file
// (noroshi taxii certificate) goes on trusting it until one of them changes.
// Partners check the key and nothing else. An address is a name as well.
func Certificate(key crypto.Signer, names []string) ([]byte, error) {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(public)
	sum := sha256.Sum256([]byte(fmt.Sprintf("%x %q", id, names)))
	template := x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(append([]byte{1}, sum[:15]...)), Subject: pkix.Name{CommonName: "NX/1"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		SubjectKeyId: id[:20], // RFC 7093 §2
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if name != "" {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	// Without randomness ECDSA signs as RFC 6979 says: the same each time.
	return x509.CreateCertificate(nil, &template, &template, key.Public(), key)
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
