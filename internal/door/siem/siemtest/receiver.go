// Package siemtest is a SIEM's end of syslog over TLS for tests, on loopback: it
// reads frames as RFC 5425 §4.3 writes them, keeps whole messages, and can be
// made to break connections, to stop listening, and to read nothing.
package siemtest

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Manner is how a receiver treats connections.
type Manner struct {
	BreakAfter int  // resets a connection when it has read so many bytes; 0 = never
	CloseAfter int  // closes a connection in good form when it has read so many messages; 0 = never
	Deaf       bool // takes connections and reads nothing
	Mute       bool // reads, and never answers the end of a connection
}

// Receiver listens until the test ends.
type Receiver struct {
	Addr              string
	CAFile            string // of who signed its certificate
	CertFile, KeyFile string // a certificate it knows, for a client

	t      testing.TB
	config *tls.Config
	mu     sync.Mutex // guards what follows
	l      net.Listener
	manner Manner
	conns  map[*tls.Conn]chan struct{} // closed when it is broken off
	seen   int                         // connections
	got    []string
	news   chan struct{} // closed when got grows
	group  sync.WaitGroup
}

// New makes a receiver with certificates of its own, for 127.0.0.1.
func New(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{t: t, Addr: "127.0.0.1:0", conns: map[*tls.Conn]chan struct{}{}, news: make(chan struct{})}
	dir := t.TempDir()
	ca, caKey := r.sign(nil, nil, "CA")
	server, serverKey := r.sign(ca, caKey, "127.0.0.1")
	client, clientKey := r.sign(ca, caKey, "noroshi")
	r.CAFile, r.CertFile, r.KeyFile = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{r.CAFile: {Type: "CERTIFICATE", Bytes: ca.Raw}, r.CertFile: {Type: "CERTIFICATE", Bytes: client.Raw},
		r.KeyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	r.config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}}, ClientCAs: pool}
	r.Start()
	t.Cleanup(r.Stop)
	return r
}

// TLS lets a test change the receiver's configuration; before the next Start.
func (r *Receiver) TLS(change func(*tls.Config)) { change(r.config) }

func (r *Receiver) sign(parent *x509.Certificate, key *ecdsa.PrivateKey, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	r.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		r.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: parent == nil, BasicConstraintsValid: true}
	if parent == nil {
		parent, key = c, own
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &own.PublicKey, key)
	if err != nil {
		r.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		r.t.Fatal(err)
	}
	return made, own
}

// Start listens, again on the same address.
func (r *Receiver) Start() {
	r.t.Helper()
	l, err := tls.Listen("tcp", r.Addr, r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.l, r.Addr = l, l.Addr().String()
	r.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.group.Go(func() { r.serve(c.(*tls.Conn)) })
		}
	})
}

// Stop ends listening and every connection, as a process that is gone does.
func (r *Receiver) Stop() {
	r.mu.Lock()
	if r.l != nil {
		r.l.Close()
		r.l = nil
	}
	r.breakAll()
	r.mu.Unlock()
	r.group.Wait()
}

// Behave changes the manner for connections that come, and breaks those there are.
func (r *Receiver) Behave(m Manner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manner = m
	r.breakAll()
}

// breakAll breaks every connection; the lock is held.
func (r *Receiver) breakAll() {
	for c, broken := range r.conns {
		reset(c)
		close(broken)
		delete(r.conns, c)
	}
}

// reset breaks a connection: what was not read of it is gone.
func reset(c *tls.Conn) {
	if tcp, ok := c.NetConn().(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
	}
}

func (r *Receiver) serve(c *tls.Conn) {
	defer c.Close()
	broken := make(chan struct{})
	r.mu.Lock()
	m := r.manner
	r.seen++
	if r.l == nil {
		r.mu.Unlock()
		return
	}
	r.conns[c] = broken
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.conns, c)
		r.mu.Unlock()
	}()
	if m.Deaf {
		_ = c.Handshake()
		<-broken
		return
	}
	from, limit := io.Reader(c), &io.LimitedReader{R: c, N: int64(m.BreakAfter)}
	if m.BreakAfter > 0 {
		from = limit
	}
	in, whole := bufio.NewReaderSize(from, 16), true
	for n := 1; whole && (m.CloseAfter == 0 || n <= m.CloseAfter); n++ {
		whole = r.read(in)
	}
	switch {
	case m.BreakAfter > 0 && limit.N == 0:
		reset(c)
	case m.Mute:
		<-broken
	}
}

// read reads one frame: MSG-LEN SP SYSLOG-MSG.
func (r *Receiver) read(in *bufio.Reader) bool {
	size, err := in.ReadString(' ')
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(strings.TrimSuffix(size, " "))
	if err != nil || n <= 0 || n > 1<<16 || size[0] == '0' {
		r.t.Errorf("a frame begins with %q", size)
		return false
	}
	msg := make([]byte, n)
	if _, err := io.ReadFull(in, msg); err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, string(msg))
	close(r.news)
	r.news = make(chan struct{})
	return true
}

// Messages returns what was read whole so far.
func (r *Receiver) Messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// Connections counts the connections so far.
func (r *Receiver) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// Until waits for messages that satisfy a condition; a fault after a minute.
func (r *Receiver) Until(what string, enough func([]string) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for {
		r.mu.Lock()
		got, news := slices.Clone(r.got), r.news
		r.mu.Unlock()
		if enough(got) {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			r.t.Fatalf("%s: not among %d messages", what, len(got))
		}
	}
}
