package https_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/courier/https"
)

// TestCertificateIsSteady: who trusts a node's certificate as a file goes on
// trusting it until its key or its names change.
func TestCertificateIsSteady(t *testing.T) {
	t.Parallel()
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"127.0.0.1", "noroshi.example", "2001:db8::1"}
	made := func(key *ecdsa.PrivateKey, names []string) []byte {
		t.Helper()
		der, err := https.Certificate(key, names)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	first := made(keys[0], names)
	if !bytes.Equal(first, made(keys[0], names)) {
		t.Error("the same key and names make another certificate")
	}
	if bytes.Equal(first, made(keys[1], names)) || bytes.Equal(first, made(keys[0], names[:1])) {
		t.Error("another key or other names make the same certificate")
	}
	cert, err := x509.ParseCertificate(first)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.ParseCertificate(made(keys[0], names[:1]))
	if err != nil {
		t.Fatal(err)
	}
	if other.SerialNumber.Cmp(cert.SerialNumber) == 0 {
		t.Error("two certificates of one issuer have the same serial number (RFC 5280 §4.1.2.2)")
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	for name, good := range map[string]bool{"127.0.0.1": true, "noroshi.example": true, "2001:db8::1": true, "127.0.0.2": false, "other.example": false} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: time.Now()})
		if good != (err == nil) {
			t.Errorf("trusted as a file and called by %s: %v", name, err)
		}
	}
}
