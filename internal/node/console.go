package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"net"

	"github.com/noroshi-cti/noroshi/internal/web/console"
)

// noConsole as the address of the console means that there is none.
const noConsole = "off"

// listenConsole binds the address of the screens, and draws the code of the first
// run where the register is empty.
func (n *Node) listenConsole(ctx context.Context) (err error) {
	if n.Config.Console == noConsole {
		return nil
	}
	if n.console, err = n.listenOn(ctx, cmp.Or(n.Config.Console, defaultListen)); err != nil {
		return err
	}
	persons, err := n.Store.Persons(ctx)
	if len(persons) == 0 {
		text := rand.Text()
		n.firstCode = text[:4] + "-" + text[4:8] + "-" + text[8:12] // 60 bits, and who guesses waits
	}
	return err
}

// FirstRun returns where and with which code the first person is made, code "" when
// there is one or no console. The code is in memory alone, until the process ends.
func (n *Node) FirstRun() (url, code string) { return n.consoleURL(), n.firstCode }

// serveConsole serves the screens until ctx ends.
func (n *Node) serveConsole(ctx context.Context) error {
	l := tls.NewListener(bounded(n.console, maxVisitors, maxFromOne, neighbours), &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{n.sender.Certificate()}, NextProtos: []string{"h2", "http/1.1"}})
	on, err := n.Config.SignIn.OIDC.signOn()
	if err != nil {
		n.opts.Log.Error("nobody signs in through the sign-on server", "issuer", n.Config.SignIn.OIDC.Issuer, "err", err)
	}
	screens := console.New(ctx, n.Services(), on)
	defer screens.Close()
	return serveHTTP(ctx, l, screens.Handler())
}

// uploadName begins the names of the folders for what is brought through the
// screens and not yet let in.
const uploadName = ".upload-"

// workspace makes a folder for it.
func (n *Node) workspace() (dir string, done func(), err error) {
	return scratch(n.Dir, uploadName+n.Realm.File()+".")
}

// consoleURL is where the screens are, "" where there are none.
func (n *Node) consoleURL() string {
	if n.console == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(n.console.Addr().String())
	if err != nil {
		return ""
	}
	if inner(n.console.Addr()) {
		host = "localhost" // passkeys are for names, not for addresses
	}
	return "https://" + net.JoinHostPort(host, port) + "/"
}
