package node

import (
	"context"
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

// listen binds the partner listener early, so that cards can name its port.
func (n *Node) listen(ctx context.Context) (courier.Channel, error) {
	addr := n.Config.Listen
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "serve.listen", "listen on %s: %w", addr, err)
	}
	channel, listener, err := https.New(l, https.Options{Key: n.Keys.TLSKey(), Peers: n.peers, Now: n.opts.Now})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	n.bound, n.sender, n.listener = l, channel, listener
	n.endpoints = n.Config.Endpoints
	if len(n.endpoints) == 0 {
		n.endpoints = []string{"https://" + l.Addr().String()}
	}
	return channel, nil
}

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
		if ks, err := message.ParseKeyset(n.Realm, doc); err == nil {
			out[p.Node] = ks.Pins(n.opts.Now())
		}
	}
	return out
}

// Serve runs the node until ctx ends: listeners, followers, streams. It
// returns nil after a graceful stop; ready (may be nil) is called once the
// socket answers.
func (n *Node) Serve(ctx context.Context, ready func()) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	part := func(name string, run func(context.Context) error) {
		running.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	socket, err := listenSocket(n.Dir, n.Realm)
	if err != nil {
		return err
	}
	defer socket.Close()
	part("arm", n.Watch.Run)
	part("release", n.decide)
	part("keys", n.renew)
	part("courier", n.Courier.Run)
	part("documents", n.Office.Resend)
	part("partners", func(ctx context.Context) error { return n.listener.Serve(ctx, n.Courier.Receive) })
	part("refusals", n.refusals.Run)
	part("socket", func(ctx context.Context) error { return serveHTTP(ctx, socket, web.Handler(n.Services())) })
	if n.Config.Metrics != "" {
		part("metrics", n.serveMetrics)
	}
	n.opts.Log.Info("serving", "realm", n.Realm.String(), "call_sign", string(n.Self.CallSign), "endpoints", n.endpoints)
	if ready != nil {
		ready()
	}
	<-ctx.Done()
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
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
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
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

// listenSocket makes the socket. The store's lock says that no other process
// serves the realm, so a socket that is there is a dead one's.
func listenSocket(dir string, r noroshi.Realm) (net.Listener, error) {
	path := SocketPath(dir, r)
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
