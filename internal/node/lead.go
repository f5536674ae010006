package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Role is a part of what a process of a node does.
type Role string

// The roles.
const (
	RoleWeb     Role = "web"     // answers commands
	RoleCourier Role = "courier" // leads, or waits to: exit gate, streams to partners and their listener, keys
	RoleWatch   Role = "watch"   // keeps warnings
	RoleMatch   Role = "match"   // keeps the armed index and counts what it meets
)

var allRoles = Roles{RoleWeb, RoleCourier, RoleWatch, RoleMatch}

// Roles are what one process does; none stands for all.
type Roles []Role

// ParseRoles reads names of roles.
func ParseRoles(names []string) (Roles, error) {
	var list Roles
	for _, name := range names {
		r := Role(strings.TrimSpace(name))
		if !slices.Contains(allRoles, r) {
			return nil, noroshi.Errorf(noroshi.Invalid, "serve.role", "role %q must be one of %s", name, allRoles.String())
		}
		list = append(list, r)
	}
	return list, nil
}

func (r Roles) has(one Role) bool { return len(r) == 0 || slices.Contains(r, one) }

// String lists the roles as ParseRoles reads them.
func (r Roles) String() string {
	if len(r) == 0 {
		r = allRoles
	}
	names := make([]string, len(r))
	for i, one := range r {
		names[i] = string(one)
	}
	return strings.Join(names, ",")
}

// leaseNode is the lease of the process that decides and sends.
const leaseNode = "node"

// leading waits to lead and then runs fn. A process that has led and does not
// any more ends with an error: what it holds of the streams is of the term
// before, and it begins anew when it is started again.
func (n *Node) leading(ctx context.Context, fn func(context.Context) error) error {
	led := false
	for {
		err := n.Store.Lead(ctx, leaseNode, func(ctx context.Context) error {
			led = true
			return fn(ctx)
		})
		if err == nil || led || ctx.Err() != nil || noroshi.KindOf(err) != noroshi.Busy {
			return err
		}
		n.opts.Log.Warn("the database does not answer", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// lead does what one process of a node does at a time.
func (n *Node) lead(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p := &parts{ctx: ctx, stop: stop}
	n.opts.Log.Info("leading", "realm", n.Realm.String())
	p.run("release", n.decide)
	p.run("keys", n.renew)
	p.run("courier", n.Courier.Run)
	p.run("documents", n.documents)
	p.run("reads", n.Watch.Tell)
	p.run("partners", func(ctx context.Context) error { return n.listener.Serve(ctx, n.Courier.Receive) })
	for _, l := range n.lines {
		p.run(l.Name(), l.Run)
	}
	if n.mail != nil {
		p.run("mail", n.mail.Run)
	}
	p.run("feeds", n.Feeds.Serve)
	for _, s := range n.siem {
		p.run("siem", n.onceRecovered(s.Run))
	}
	for _, x := range n.Config.Exports {
		p.run("export", func(ctx context.Context) error { return n.keepExports(ctx, x.scheduled()) })
	}
	return p.wait()
}

// documents hands the courier what partners are to get of agreements and keys:
// at the start, and when another process of the node has made some.
func (n *Node) documents(ctx context.Context) error {
	after, err := n.Store.Head(ctx)
	if err != nil {
		return err
	}
	if err := n.Office.Resend(ctx); err != nil || !n.Store.Shared() {
		return err
	}
	papers := func(c store.Change) bool {
		return c.Kind == store.PartnerChanged || c.Kind == store.AgreementChanged
	}
	return n.onChange(ctx, after, papers, func() error { return n.Office.Resend(ctx) })
}

// onChange calls do after each page of changes behind after that has one of
// these, until ctx ends or something fails.
func (n *Node) onChange(ctx context.Context, after int64, of func(store.Change) bool, do func() error) error {
	for {
		if err := n.Store.Wait(ctx, after); err != nil {
			return err
		}
		changes, err := n.Store.Feed(ctx, after, store.MaxPage)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			after = changes[len(changes)-1].Seq
		}
		if slices.ContainsFunc(changes, of) {
			if err := do(); err != nil {
				return err
			}
		}
	}
}

// SettleAtRest is Settle where no process of the node leads; the one that does
// settles by itself.
func (n *Node) SettleAtRest(ctx context.Context) error {
	_, err := n.Store.TryLead(ctx, leaseNode, n.Settle)
	return err
}

// talking runs fn with a courier that runs: that of a node that is served, or of
// this command alone where no process of the node leads.
func (n *Node) talking(ctx context.Context, fn func(context.Context) error) error {
	if n.opts.Serving {
		return n.Courier.While(ctx, false, fn)
	}
	led, err := n.Store.TryLead(ctx, leaseNode, func(ctx context.Context) error { return n.Courier.While(ctx, true, fn) })
	if err == nil && !led {
		return noroshi.Errorf(noroshi.Queued, "courier.stopped", "no courier runs here now")
	}
	return err
}
