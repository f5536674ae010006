package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/https"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/taxii"
)

// cursorKey is the document with the key that signs the cursors TAXII hands out:
// they outlive the process.
const docDoor, cursorKey = "door", "cursor"

func (n *Node) cursorKey(ctx context.Context) ([]byte, error) {
	key, err := n.Store.Doc(ctx, docDoor, cursorKey)
	if noroshi.KindOf(err) != noroshi.NotFound {
		return key, err
	}
	key = make([]byte, 32)
	rand.Read(key)
	_, err = n.Store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: "door"}, func(tx *store.Tx) error {
		return tx.PutDoc(docDoor, cursorKey, key)
	})
	return key, err
}

// visit returns what an address serves to clients: the inner door, or the one
// that partners have.
func (n *Node) visit(ctx context.Context, inside bool) (http.Handler, error) {
	key, err := n.cursorKey(ctx)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", taxii.NewHandler(n.Door.TAXII(inside), taxii.Options{
		Title: string(n.Self.CallSign), Realm: "noroshi", Key: key, Log: n.opts.Log,
	}))
	mux.Handle(door.SensorPath, n.Door.Sensors(inside))
	return mux, nil
}

// inner reports whether only this machine reaches an address.
func inner(a net.Addr) bool {
	p, err := netip.ParseAddrPort(a.String())
	return err == nil && p.Addr().IsLoopback()
}

// relayed reports whether partners reach this node at another machine's address,
// from where something passes them on.
func (c Config) relayed() bool {
	return slices.ContainsFunc(noroshi.Partner{Endpoints: c.Endpoints}.Ways(noroshi.ChannelHTTPS), func(e string) bool {
		u, err := url.Parse(e)
		if err != nil || u.Hostname() == "localhost" {
			return err != nil
		}
		a, err := netip.ParseAddr(u.Hostname())
		return err != nil || !a.IsLoopback()
	})
}

// hostName is a name a certificate may have (RFC 1123 §2.1).
var hostName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// named reports whether a certificate can have a host or address.
func named(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Zone() == "" && !a.IsUnspecified() || err != nil && len(host) < 254 && hostName.MatchString(host)
}

// names are the hosts and addresses in the certificate: those of the
// configuration alone, so that it is the same whether the node runs or not.
func (c Config) names() (hosts []string) {
	add := func(host string) {
		if named(host) && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	for _, addr := range []string{cmp.Or(c.Listen, defaultListen), c.Tools, c.Console} {
		if host, _, err := net.SplitHostPort(addr); err == nil {
			add(host)
		}
	}
	for _, e := range (noroshi.Partner{Endpoints: c.Endpoints}).Ways(noroshi.ChannelHTTPS) {
		if u, err := url.Parse(e); err == nil {
			add(u.Hostname())
		}
	}
	for _, name := range c.Names {
		add(name)
	}
	return hosts
}

// certificate is what tools and partners' clients see of this node.
func (n *Node) certificate() (web.Certificate, error) {
	der, err := https.Certificate(n.tlsKey(context.Background()), n.Config.names())
	if err != nil {
		return web.Certificate{}, err
	}
	pin, err := message.SPKIPin(n.tlsKey(context.Background()).Public())
	return web.Certificate{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Pin: "sha256//" + base64.StdEncoding.EncodeToString(pin[:]), Names: n.Config.names()}, err
}

// visitors reports whether there is anybody whom the door would let in.
func (n *Node) visitors() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	some, err := n.Door.Visitors(ctx)
	if err != nil {
		n.opts.Log.Error("clients cannot be read", "err", err)
	}
	return some
}

// listenTools binds the inner door's own address.
func (n *Node) listenTools(ctx context.Context) error {
	if n.Config.Tools == "" {
		return nil
	}
	l, err := n.listenOn(ctx, n.Config.Tools)
	n.tools = l
	return err
}

// serveTools serves the inner door until ctx ends. A client that has a
// certificate shows it; its key is the client's to prove and the door's to know.
func (n *Node) serveTools(ctx context.Context) error {
	h, err := n.visit(ctx, true)
	if err != nil {
		return err
	}
	l := tls.NewListener(n.tools, &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
		Certificates: []tls.Certificate{n.sender.Certificate()}, NextProtos: []string{"h2", "http/1.1"}})
	return serveHTTP(ctx, l, h)
}
