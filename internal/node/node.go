// Package node makes a node out of the rooms: configuration, keys at rest,
// wiring, life cycle. It is the only room that knows all the others, and
// decides nothing itself.
//
// A data folder holds noroshi.toml, identity.json, secret/ (sealing key), and a
// database, a file of sealed keys and a socket for each realm. One process at
// a time opens a realm for writing.
package node

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/courier/https"
	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// Options of Open.
type Options struct {
	Log      *slog.Logger     // nil = discard
	Now      func() time.Time // nil = time.Now
	Version  string
	Serving  bool          // Serve will be called: channels are wired
	ReadOnly bool          // beside a running node: nothing is written
	Override func(*Config) // flags over the file; may be nil
}

// Node is one realm of one node, open.
type Node struct {
	Dir    string
	Config Config
	Realm  noroshi.Realm
	Keys   *message.Keyring
	Seal   Seal
	Self   noroshi.Organisation

	Store   *store.Store
	Index   *detect.Index
	Gate    *intake.Gate
	Desk    *release.Desk
	Courier *courier.Courier
	Office  *partner.Office
	Watch   *watch.Watch
	Lists   *intake.WarningLists

	refusals  *web.Refusals
	opts      Options
	bound     net.Listener // the partner listener's socket, nil when not serving
	sender    *https.Sender
	listener  *https.Listener
	endpoints []string
}

// Open opens a realm of the node in dir. An exercise realm that does not exist
// yet is made when it is to be served, with its own database and keys; else it
// is NotFound, so that a mistyped one is not made by looking at it.
func Open(ctx context.Context, dir string, r noroshi.Realm, o Options) (n *Node, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	n = &Node{Dir: dir, Realm: r, opts: o}
	if n.Config, err = ReadConfig(dir); err != nil {
		return nil, err
	}
	if o.Override != nil {
		o.Override(&n.Config)
		if err := n.Config.check(configName); err != nil {
			return nil, err
		}
	}
	if r != noroshi.Real && o.Serving {
		if err := makeKeys(dir, n.Config, r); err != nil {
			return nil, err
		}
	}
	if n.Keys, n.Seal, err = readKeys(dir, n.Config, r); err != nil {
		return nil, err
	}
	identity, err := readIdentity(dir)
	if err != nil {
		return nil, err
	}
	n.Self = noroshi.Organisation{CallSign: n.Config.CallSign, Tokens: n.Config.Tokens, Identity: identity.ID}
	public, sign := n.Keys.Control()
	n.Store, err = store.Open(ctx, filepath.Join(dir, r.File()), store.Options{
		Realm: r, Node: n.Keys.NodeID(), Sign: sign, Key: public, Now: o.Now, ReadOnly: o.ReadOnly})
	if err != nil {
		return nil, err
	}
	if err := n.wire(ctx, identity); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) wire(ctx context.Context, identity *stix.Object) error {
	var err error
	n.Lists, err = WarningLists(n.Config.WarningLists)
	if errors.Is(err, fs.ErrNotExist) {
		return noroshi.Errorf(noroshi.Invalid, "config.field", "%s: %s: %w", filepath.Join(n.Dir, configName), "warninglists", err)
	}
	if err != nil {
		return err
	}
	id, now := n.Keys.NodeID(), n.opts.Now
	n.Gate = intake.New(n.Store, intake.Options{Realm: n.Realm, Node: id, Self: n.Self, Lists: n.Lists, Now: now})
	if !n.opts.ReadOnly {
		if err := n.first(ctx, identity); err != nil {
			return err
		}
	}
	if n.Desk, err = release.New(n.Store, release.Options{Realm: n.Realm, Node: id, Self: n.Self, Now: now}); err != nil {
		return err
	}
	var channels []courier.Channel
	if n.opts.Serving {
		channel, err := n.listen(ctx)
		if err != nil {
			return err
		}
		channels = append(channels, channel)
	}
	n.Courier, err = courier.New(n.Store, n.Gate, n.Desk, courier.Options{Realm: n.Realm, Node: id, Keys: n.Keys,
		Channels: channels, Now: now, Heartbeat: n.Config.Heartbeat})
	if err != nil {
		return err
	}
	if !n.opts.ReadOnly {
		again, err := n.Courier.RepeatRecalls(ctx)
		if err != nil {
			return err
		}
		if again > 0 {
			n.opts.Log.Warn("recalls that this database had forgotten were done again", "count", again)
		}
	}
	n.Office = partner.New(n.Store, n.Courier, partner.Options{Realm: n.Realm, Self: n.Self, Identity: identity.Bytes(), Keys: n.Keys, Now: now})
	n.Courier.OnDocument(n.Office.Document)
	n.Index = detect.NewIndex(n.DetectOptions())
	n.refusals = web.NewRefusals(n.Store, n.opts.Log, now)
	n.Watch = watch.New(n.Store, n.Gate, n.Index, n.Courier, watch.Options{Realm: n.Realm, Node: id, Self: n.Self, Now: now,
		Sectors: n.Config.Sighting.Sectors, Region: n.Config.Sighting.Region})
	if n.opts.ReadOnly {
		return nil
	}
	return n.Watch.Locate(ctx)
}

// first writes what a new realm's store begins with: the node's own word for
// itself, its keyset, its identity object.
func (n *Node) first(ctx context.Context, identity *stix.Object) error {
	if _, err := n.Store.Doc(ctx, docNode, "self"); err == nil {
		return nil
	}
	self, err := json.Marshal(n.Self)
	if err != nil {
		return err
	}
	p, err := n.Gate.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf}, "", []*stix.Object{identity})
	if err != nil {
		return err
	}
	id := n.Keys.NodeID()
	_, err = n.Store.Do(ctx, noroshi.Act{Action: noroshi.ActInit, Subject: id.String()}, func(tx *store.Tx) error {
		if _, err := n.Gate.Admit(tx, p); err != nil {
			return err
		}
		return errors.Join(tx.PutDoc(docNode, "self", self), tx.PutDoc(noroshi.DocKeyset, id.String(), n.Keys.Keyset().Bytes()))
	})
	return err
}

const docNode = "node" // key "self": the Organisation as JSON

// WarningLists reads the warning-lists of a folder or archive, or those in the
// program for "".
func WarningLists(path string) (*intake.WarningLists, error) {
	if path == "" {
		return intake.ReadWarningListsFS(demodata.WarningLists())
	}
	return intake.ReadWarningLists(path)
}

// DetectOptions says how this node's events meet indicators.
func (n *Node) DetectOptions() detect.Options {
	return detect.Options{ExactDomains: n.Config.Detect.ExactDomains, NoWeak: n.Config.Detect.NoWeak, Early: !n.Config.Detect.NotEarly}
}

// Endpoints returns the URLs that stand on this node's cards.
func (n *Node) Endpoints() []string { return n.endpoints }

// Close closes the partner listener and the store; Serve must have returned.
func (n *Node) Close() error {
	if n.bound != nil {
		_ = n.bound.Close() // closed already when Serve has run
		n.sender.Close()
	}
	if n.refusals != nil {
		n.refusals.Settle(context.Background())
	}
	return n.Store.Close()
}

// Settle runs the exit gate over what changed, for a folder that no process
// serves: holds and batches are there when the command ends.
func (n *Node) Settle(ctx context.Context) error {
	if err := n.Office.Begin(ctx); err != nil {
		return err
	}
	for {
		more, err := n.Desk.Step(ctx)
		if err == nil && !more {
			more, err = n.Courier.Step(ctx)
		}
		if err == nil && !more {
			more, err = n.Office.Retain(ctx)
		}
		if err != nil || !more {
			return err
		}
	}
}

// Services returns the rooms as the API calls them.
func (n *Node) Services() *web.Services {
	return &web.Services{Realm: n.Realm, Node: n.Keys.NodeID(), Self: n.Self, Store: n.Store, Index: n.Index, Gate: n.Gate,
		Desk: n.Desk, Courier: n.Courier, Office: n.Office, Watch: n.Watch, Refusals: n.refusals, Log: n.opts.Log, Now: n.opts.Now,
		Running: n.opts.Serving, Version: n.opts.Version, Endpoints: n.endpoints, Doctor: n.doctor}
}
