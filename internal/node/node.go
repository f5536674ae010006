// Package node makes a node out of the rooms: configuration, keys at rest,
// wiring, life cycle. It is the only room that knows all the others, and
// decides nothing itself.
//
// A data folder holds noroshi.toml, identity.json, secret/ (sealing key), and a
// database, a file of sealed keys and a socket for each realm. One process at
// a time opens a realm's file for writing; with a PostgreSQL database several
// do, and one of them leads.
package node

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/courier/https"
	"github.com/noroshi-cti/noroshi/internal/courier/line"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/door/siem"
	"github.com/noroshi-cti/noroshi/internal/door/translate"
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
	Roles    Roles         // what Serve does; the zero value is all of it
	ReadOnly bool          // beside a running node: nothing is written, but what an interrupted restore left to be moved
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
	Door    *door.Door
	Feeds   *feed.Reader
	Courier *courier.Courier
	Office  *partner.Office
	Watch   *watch.Watch
	Lists   func() *intake.WarningLists // see WarningLists

	refusals  *web.Refusals
	checker   *web.Checker
	tally     *web.Tally
	imports   chan struct{}
	siem      []*siem.Sender
	words     *translate.Service // nil = none
	wordless  error              // why there is none though one is named
	kept      kept
	keysets   keysets
	tls       crypto.Signer // shown to partners and tools since the start
	opts      Options
	bound     net.Listener // the partner listener's socket, nil when not serving
	sender    *https.Sender
	listener  *https.Listener
	lines     []*line.Line
	mail      *mail.Mail   // nil when not serving or there is none
	tools     net.Listener // of Config.Tools, nil when not serving or there is none
	console   net.Listener // of the screens, nil when not serving or there are none
	firstCode string       // with which the console makes the first person, "" when there is one
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
	if err := finishRestore(ctx, dir); err != nil {
		return nil, err
	}
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
	place, err := n.Config.place(dir, r)
	if err != nil {
		return nil, err
	}
	public, sign := n.Keys.Control()
	n.Store, err = store.Open(ctx, place, store.Options{Realm: r, Node: n.Keys.NodeID(), Sign: sign, Key: public, Former: n.Keys.Controls(), Now: o.Now,
		ReadOnly: o.ReadOnly, Recalls: filepath.Join(dir, r.File()+".recalls")})
	if err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		err = sweep(dir, r, !store.IsDSN(place)) // a file is this process's alone now
	}
	if err == nil && !o.ReadOnly {
		err = errors.Join(n.settleKeys(ctx), n.resign(ctx))
	}
	if err == nil {
		err = n.wire(ctx, identity)
	}
	if err != nil {
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
	if err := n.openDoor(); err != nil {
		return err
	}
	var channels []courier.Channel
	if n.opts.Serving && n.opts.Roles.has(RoleCourier) {
		if channels, err = n.listen(ctx); err != nil {
			return err
		}
		lines, err := n.wireLines()
		if err != nil {
			return err
		}
		channels = append(channels, lines...)
	}
	n.Courier, err = courier.New(n.Store, n.Gate, n.Desk, courier.Options{Realm: n.Realm, Node: id, Keys: n.Keys,
		Channels: channels, Now: now, Heartbeat: n.Config.Heartbeat, Checkpoint: n.Config.Checkpoint, Quota: n.Config.Quota << 20, Vault: n.vault()})
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
	n.Office = partner.New(n.Store, n.Courier, partner.Options{Realm: n.Realm, Self: n.Self, Identity: identity.Bytes(), Keys: n.Keys, Now: now,
		Custody: n.custody(), Logs: n.Courier})
	n.Courier.OnDocument(n.Office.Document)
	n.Index = detect.NewIndex(n.DetectOptions())
	n.refusals, n.checker = web.NewRefusals(n.Store, n.opts.Log, now), web.NewChecker(now)
	n.tally, n.imports = web.NewTally(n.Store, now), make(chan struct{}, web.MaxImports)
	n.Watch = watch.New(n.Store, n.Gate, n.Index, n.Courier, watch.Options{Realm: n.Realm, Node: id, Self: n.Self, Now: now,
		Sectors: n.Config.Sighting.Sectors, Region: n.Config.Sighting.Region})
	if n.words, n.wordless = n.Config.Translate.service(); n.wordless != nil {
		n.opts.Log.Error("nothing is translated by the service", "url", n.Config.Translate.URL, "err", n.wordless)
	}
	if err := n.wireSIEM(); err != nil || n.opts.ReadOnly {
		return err
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
	_, err = n.Store.Do(ctx, noroshi.Act{Action: noroshi.ActInit}, func(tx *store.Tx) error {
		if _, err := tx.Doc(ctx, docNode, "self"); err == nil {
			return nil // another process was first
		}
		tx.Act().Subject = id.String()
		if _, err := n.Gate.Admit(tx, p); err != nil {
			return err
		}
		return errors.Join(tx.PutDoc(docNode, "self", self), tx.PutDoc(noroshi.DocKeyset, id.String(), n.Keys.Keyset().Bytes()))
	})
	return err
}

const docNode = "node" // key "self": the Organisation as JSON

// WarningLists reads the warning-lists of a folder or archive. Those in the
// program, for "", are read when they are first asked for, once for all nodes:
// most commands hold nothing against them.
func WarningLists(path string) (func() *intake.WarningLists, error) {
	if path == "" {
		return ownLists, nil
	}
	lists, err := intake.ReadWarningLists(path)
	return func() *intake.WarningLists { return lists }, err
}

var ownLists = sync.OnceValue(func() *intake.WarningLists {
	lists, err := intake.ReadWarningListsFS(demodata.WarningLists())
	if err != nil {
		panic("node: the program's own warning-lists: " + err.Error())
	}
	return lists
})

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
		if n.tools != nil {
			_ = n.tools.Close()
		}
		if n.console != nil {
			_ = n.console.Close()
		}
		n.sender.Close()
	}
	var err error
	if n.mail != nil {
		err = n.mail.Close()
	}
	if n.refusals != nil {
		n.checker.Close()
		n.refusals.Settle(context.Background())
	}
	if n.Door != nil {
		err = errors.Join(err, n.Door.Settle(context.Background(), true))
	}
	return errors.Join(err, n.Store.Close())
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
		if err == nil && !more {
			more, err = n.Door.Step(ctx)
		}
		if err != nil || !more {
			return err
		}
	}
}

// Services returns the rooms as the API calls them.
func (n *Node) Services() *web.Services {
	return &web.Services{Realm: n.Realm, Node: n.Keys.NodeID(), Self: n.Self, Store: n.Store, Index: n.Index, Gate: n.Gate,
		Desk: n.Desk, Door: n.Door, Feeds: n.Feeds, Courier: n.Courier, Office: n.Office, Watch: n.Watch, Refusals: n.refusals, Checker: n.checker, Tally: n.tally, Log: n.opts.Log, Now: n.opts.Now,
		Running: n.opts.Serving, Version: n.opts.Version, Endpoints: n.endpoints, Certificate: n.certificate, Talking: n.talking, Doctor: n.doctor, SIEM: n.siems, Translator: n.words, Exports: n.kept.list, Scratch: n.workspace, Imports: n.imports, Backup: n.backUp, Sealed: sealedBackup, Console: n.consoleURL(), SignInRules: n.Config.SignIn.rules(), FirstCode: n.firstCode, Control: n.Keys.Control}
}
