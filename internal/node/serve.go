package node

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/courier/https"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// defaultListen is where a node listens that was not told where: where only
// this machine reaches it.
const defaultListen = "127.0.0.1:0"

// listen binds the partner listener early, so that cards can name its port.
func (n *Node) listen(ctx context.Context) (channels []courier.Channel, err error) {
	l, err := n.listenOn(ctx, cmp.Or(n.Config.Listen, defaultListen))
	if err != nil {
		return nil, err
	}
	outer, err := n.visit(ctx, n.Config.Tools == "" && inner(l.Addr()) && !n.Config.relayed())
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	sender, listener, err := https.New(l, https.Options{Key: n.tlsKey(ctx), Peers: n.peers, Now: n.opts.Now,
		Names: n.Config.names(), Door: outer, Open: n.visitors})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if n.opts.Roles.has(RoleWeb) {
		if err := errors.Join(n.listenTools(ctx), n.listenConsole(ctx)); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	n.bound, n.sender, n.listener = l, sender, listener
	n.endpoints = n.Config.Endpoints
	if len(n.endpoints) == 0 {
		n.endpoints = []string{"https://" + l.Addr().String()}
	}
	for _, w := range sender.Ways(httpsWays) {
		channels = append(channels, w)
	}
	if err := n.openMail(ctx, sender.Certificate()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if n.mail != nil {
		channels = append(channels, n.mail)
	}
	return channels, nil
}

// httpsWays is how many endpoints of a partner are channels of their own.
const httpsWays = 3

// peers lists the partners that may connect now, with the pins of their TLS
// keys.
func (n *Node) peers() map[noroshi.NodeID][][32]byte {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	docs, err := n.Store.Docs(ctx, noroshi.DocPartner)
	if err != nil {
		n.opts.Log.Error("partners cannot be read", "err", err)
		return nil
	}
	out := map[noroshi.NodeID][][32]byte{}
	for _, b := range docs {
		var p noroshi.Partner
		if json.Unmarshal(b, &p) != nil || p.Trust != noroshi.Introduced && p.Trust != noroshi.InForce {
			continue
		}
		doc, err := n.Store.Doc(ctx, noroshi.DocKeyset, p.Node.String())
		if err != nil {
			continue
		}
		if ks, err := n.keysets.read(n.Realm, p.Node, doc); err == nil {
			out[p.Node] = ks.Pins(n.opts.Now())
		}
	}
	return out
}

// keysets are those of partners as they were read last: each request of any
// partner asks for all of them, and to read one costs several keys' checks.
type keysets struct {
	mu   sync.Mutex
	last map[noroshi.NodeID]keysetOf
}

type keysetOf struct {
	doc []byte // as it was read from the store
	ks  *message.Keyset
}

func (k *keysets) read(realm noroshi.Realm, id noroshi.NodeID, doc []byte) (*message.Keyset, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if last, ok := k.last[id]; ok && bytes.Equal(last.doc, doc) {
		return last.ks, nil
	}
	ks, err := message.ParseKeyset(realm, doc)
	if err != nil {
		return nil, err
	}
	if k.last == nil {
		k.last = map[noroshi.NodeID]keysetOf{}
	}
	k.last[id] = keysetOf{doc, ks}
	return ks, nil
}

// Serve runs the node until ctx ends: listeners, followers, streams. It
// returns nil after a graceful stop; ready (may be nil) is called once the
// socket answers, or where another process has it, once everything runs.
//
// What must be done once in a node, by whichever process, is done by the one
// that leads: the exit gate, the streams to partners, keys, what partners are
// told of. The others wait to lead, if they have the role.
func (n *Node) Serve(ctx context.Context, ready func()) error {
	rand.Read(make([]byte, 1)) // to seed the generator takes tens of milliseconds: once, not once for each part that asks it first
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p := &parts{ctx: ctx, stop: stop}
	p.run("disk", n.untilFailure)
	if n.opts.Roles.has(RoleWeb) {
		socket, err := listenSocket(n.Dir, n.Realm)
		if err != nil {
			return err
		}
		if socket == nil {
			n.opts.Log.Warn("another process answers commands for this folder", "realm", n.Realm.String())
		} else {
			defer socket.Close()
			p.run("socket", func(ctx context.Context) error { return serveHTTP(ctx, socket, web.Handler(n.Services())) })
		}
		p.run("refusals", n.refusals.Run)
	}
	if r := n.opts.Roles; r.has(RoleWeb) || r.has(RoleWatch) || r.has(RoleMatch) {
		p.run("arm", n.onceRecovered(n.Watch.Run))
	}
	if n.opts.Roles.has(RoleCourier) {
		p.run("lead", func(ctx context.Context) error { return n.leading(ctx, n.lead) })
	}
	if n.Store.Shared() {
		p.run("turned keys", n.turns)
	}
	if n.tools != nil {
		p.run("tools", n.serveTools)
	}
	if n.console != nil {
		p.run("console", n.serveConsole)
	}
	if n.Config.Metrics != "" {
		p.run("metrics", n.serveMetrics)
	}
	n.opts.Log.Info("serving", "realm", n.Realm.String(), "call_sign", string(n.Self.CallSign), "endpoints", n.endpoints, "roles", n.opts.Roles.String())
	if ready != nil {
		ready()
	}
	return p.wait()
}

// untilFailure ends with the error of a disk that failed: whoever runs the node
// sees it stop, and starts it again when the disk is mended.
func (n *Node) untilFailure(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-n.Store.Failed():
		return n.Store.Failure()
	}
}

// parts are what runs side by side until one fails or ctx ends.
type parts struct {
	ctx     context.Context
	stop    context.CancelCauseFunc
	running sync.WaitGroup
}

func (p *parts) run(name string, run func(context.Context) error) {
	p.running.Go(func() {
		if err := run(p.ctx); err != nil && p.ctx.Err() == nil {
			p.stop(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// wait returns when all have ended: nil when they were told to.
func (p *parts) wait() error {
	<-p.ctx.Done()
	p.running.Wait()
	if cause := context.Cause(p.ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// decide follows the feed through the exit gate.
func (n *Node) decide(ctx context.Context) error {
	for {
		head, err := n.Store.Head(ctx)
		if err != nil {
			return err
		}
		if err := n.Settle(ctx); err != nil {
			return err
		}
		if err := n.waitFor(ctx, head); err != nil {
			return err
		}
	}
}

// lookAgain is how often the exit gate looks though nothing changed: an
// agreement or a marking's time may have begun.
const lookAgain = time.Minute

// waitFor waits until the feed has moved past head, at most for lookAgain.
func (n *Node) waitFor(ctx context.Context, head int64) error {
	soon, cancel := context.WithTimeout(ctx, lookAgain)
	defer cancel()
	err := n.Store.Wait(soon, head)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// serveHTTP serves on a listener until ctx ends, then lets running requests
// finish for a moment.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	err := s.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close()
	}
	<-done
	return err
}

// SocketPath is where the API of a realm's running node listens. A folder
// whose path is too long for a socket has it in the temporary folder, in a
// place only this user may enter.
func SocketPath(dir string, r noroshi.Realm) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	path := filepath.Join(abs, r.File()+".sock")
	if len(path) < 100 {
		return path
	}
	sum := noroshi.Sum([]byte(path))
	return filepath.Join(os.TempDir(), fmt.Sprintf("noroshi-%d-%x", os.Getuid(), sum[:8]), "sock")
}

// listenSocket makes the socket, nil where another process of the node answers
// on it: one of those that share a database. Where none does, a socket that is
// there is a dead one's.
func listenSocket(dir string, r noroshi.Realm) (net.Listener, error) {
	path := SocketPath(dir, r)
	if c, err := net.Dial("unix", path); err == nil {
		return nil, c.Close()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600)
}
