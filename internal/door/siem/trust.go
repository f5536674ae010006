package siem

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"

	"github.com/noroshi-cti/noroshi"
)

// Trust says by which files the receiver and this node know each other.
type Trust struct {
	ServerName string // in the receiver's certificate; "" = the host of the address
	CA         string // PEM file of those who may have signed it; "" = the system's
	Cert, Key  string // PEM files of this node's own certificate; "" = it shows none
}

// Config reads the files for a connection to an address: TLS 1.2 or later (RFC
// 9662 takes back what RFC 5425 §4.2 asked for), the receiver's certificate
// checked by name.
func (t Trust) Config(address string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if c.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, noroshi.Errorf(noroshi.Invalid, "siem.address", "address %q must be host:port: %w", address, err)
		}
		c.ServerName = host
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, noroshi.Errorf(noroshi.Invalid, "siem.file", "ca_file: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, noroshi.Errorf(noroshi.Invalid, "siem.ca", "ca_file: there is no certificate in %s", t.CA)
		}
	}
	if t.Cert != "" || t.Key != "" {
		own, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, noroshi.Errorf(noroshi.Invalid, "siem.pair", "cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}
